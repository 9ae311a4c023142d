import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseNetwork } from '../../../lib/model/network.ts';
import { parseRouter } from '../../../lib/model/router.ts';

const root = join(import.meta.dirname, '../../fixtures/recorded');
const files = readdirSync(root).flatMap((scenario) =>
  readdirSync(join(root, scenario)).map((file) => `${scenario}/${file}`),
);
const read = (file: string): unknown[] => {
  const result: unknown = JSON.parse(readFileSync(join(root, file), 'utf8'));
  return Array.isArray(result) ? result : [result];
};

describe('payloads of a real neutron-server', () => {
  it.each(files.filter((file) => file.includes('/sync_routers')))('routers of %s are accepted', (file) => {
    for (const payload of read(file)) {
      const router = parseRouter(payload);
      expect(router).toMatchObject(payload as object);
      expect(Array.isArray(router._interfaces)).toBe(true);
    }
  });

  it.each(files.filter((file) => file.includes('/get_')))('networks of %s are accepted', (file) => {
    for (const payload of read(file)) expect(parseNetwork(payload)).toMatchObject(payload as object);
  });
});
