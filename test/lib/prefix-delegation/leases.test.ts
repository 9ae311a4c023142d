import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Leases } from '../../../lib/prefix-delegation/leases.ts';

const ROUTER = '0b1c2d3e-0000-4000-8000-000000000001';
const [ONE, TWO] = ['0b1c2d3e-0000-4000-8000-000000000002', '0b1c2d3e-0000-4000-8000-000000000003'] as const;
const lease = {
  prefix: '2001:db8:f000:1::/64',
  server: '00020000',
  renewAt: 5,
  rebindAt: 8,
  validUntil: null,
};
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'viaduct-leases-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('the next process finds what this one wrote, for the same client only', () => {
  new Leases(directory).write(ROUTER, ONE, '000200aa', lease);
  const next = new Leases(directory);
  expect(next.of(ROUTER)).toEqual([ONE]);
  expect(next.read(ROUTER, ONE, '000200aa')).toEqual(lease);
  expect(next.read(ROUTER, ONE, '000200bb')).toBeUndefined();
  expect(next.of(ONE)).toEqual([]);
});

test('with the last lease the directory of its router goes', () => {
  const leases = new Leases(join(directory, 'pd'));
  leases.write(ROUTER, ONE, '000200aa', lease);
  leases.write(ROUTER, TWO, '000200aa', lease);
  leases.remove(ROUTER, ONE);
  expect(leases.of(ROUTER)).toEqual([TWO]);
  leases.remove(ROUTER, TWO);
  leases.remove(ROUTER, TWO);
  expect(readdirSync(join(directory, 'pd'))).toEqual([]);
});

test('a damaged lease is none, and what others keep there is left alone', () => {
  mkdirSync(join(directory, `${ROUTER}:${ONE}:qr-1`));
  mkdirSync(join(directory, ROUTER));
  writeFileSync(join(directory, ROUTER, `${ONE}.json`), '{"prefix": "2001:db8::/64"');
  const leases = new Leases(directory);
  expect(leases.read(ROUTER, ONE, '000200aa')).toBeUndefined();
  expect(leases.of(ROUTER)).toEqual([ONE]);
  leases.remove(ROUTER, ONE);
  expect(existsSync(join(directory, `${ROUTER}:${ONE}:qr-1`))).toBe(true);
});
