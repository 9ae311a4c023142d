import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endPredecessor } from '../../../lib/prefix-delegation/predecessor.ts';

const ROUTER = '0b1c2d3e-0000-4000-8000-000000000001';
const [SUBNET, OTHER] = ['0b1c2d3e-0000-4000-8000-000000000002', '0b1c2d3e-0000-4000-8000-000000000003'];
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'viaduct-pd-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** What dibbler-client looks like from outside: its arguments and its pid file. */
function client(subnet: string) {
  const own = join(directory, `${ROUTER}:${subnet}:qr-1`);
  mkdirSync(own);
  // A process that waits, with the directory in its arguments.
  const waiting = spawn('sh', ['-c', 'read line', own], { stdio: ['pipe', 'ignore', 'ignore'] });
  writeFileSync(join(own, 'client.pid'), `${waiting.pid}\n`);
  return {
    own,
    waiting,
    ended: new Promise((resolve) => waiting.once('exit', (_code, how) => resolve(how))),
  };
}

test('the client of the subnet is killed, and its directory goes; others stay', async () => {
  const [one, two] = [client(SUBNET!), client(OTHER!)];
  endPredecessor(directory, ROUTER, SUBNET!);
  expect(await one.ended).toBe('SIGKILL');
  expect(readdirSync(directory)).toEqual([`${ROUTER}:${OTHER}:qr-1`]);
  expect(two.waiting.exitCode).toBeNull();
  two.waiting.kill('SIGKILL');
  await two.ended;
});

test('a pid that is somebody else’s by now is left alone', () => {
  const own = join(directory, `${ROUTER}:${SUBNET}:qr-1`);
  mkdirSync(own);
  writeFileSync(join(own, 'client.pid'), `${process.pid}\n`);
  endPredecessor(directory, ROUTER, SUBNET!);
  expect(existsSync(own)).toBe(false);
  endPredecessor(join(directory, 'none'), ROUTER, SUBNET!);
});
