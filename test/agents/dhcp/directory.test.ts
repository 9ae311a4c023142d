import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { closedDirectory, wholeLeases } from '../../../agents/dhcp/directory.ts';

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

test.each(['', '0 fa:16:3e:00:00:05 10.0'])(
  'a lease file that is being written (%j) is read once it is whole',
  async (part) => {
    mkdirSync(root, { recursive: true });
    const path = join(root, 'leases');
    writeFileSync(path, part);
    const read = wholeLeases(root);
    const whole = '0 fa:16:3e:00:00:05 10.0.1.5 * *\n';
    writeFileSync(path, whole);
    expect(await read).toBe(whole);
  },
);

test('a lease file without leases is empty', async () => {
  mkdirSync(root, { recursive: true });
  expect(await wholeLeases(root)).toBe('');
  writeFileSync(join(root, 'leases'), '');
  expect(await wholeLeases(root)).toBe('');
});
