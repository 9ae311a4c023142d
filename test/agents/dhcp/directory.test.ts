import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { closedDirectory } from '../../../agents/dhcp/directory.ts';

const root = mkdtempSync(join(tmpdir(), 'vdt-closed-'));
chmodSync(root, 0o755);

afterEach(() => rmSync(root, { recursive: true, force: true }));

test('the nearest directory that other users cannot pass is named, also above one that is not there yet', () => {
  mkdirSync(join(root, 'closed'), { recursive: true });
  chmodSync(root, 0o755);
  expect(closedDirectory(join(root, 'closed', 'dhcp'))).toBeUndefined();
  chmodSync(join(root, 'closed'), 0o700);
  expect(closedDirectory(join(root, 'closed', 'dhcp'))).toBe(join(root, 'closed'));
});
