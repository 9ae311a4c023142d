/** `viaduct gc`. The names end with a suffix that the agents of nobody else on this machine have. */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deleteNamespace, listNamespaces } from '../../lib/kernel/netns.ts';
import { program } from '../e2e/build.ts';
import { output, run, until } from '../e2e/shell.ts';
import { testId } from './routers.ts';

const SUFFIX = `.vdtgc${process.pid}`;
const name = (prefix: string, n: number): string => `${prefix}-${testId(0x6c, n)}${SUFFIX}`;
const EMPTY = name('qdhcp', 1);
const WITH_DEVICE = name('qrouter', 2);
const WITH_PROCESS = name('qdhcp', 3);
const RECORDED = name('qrouter', 4);
const FOREIGN = `something${SUFFIX}`;
const ALL = [EMPTY, WITH_DEVICE, WITH_PROCESS, RECORDED, FOREIGN];
let folder: string;
let inside: ChildProcess;

const left = (): string[] => ALL.filter((ns) => listNamespaces().includes(ns));
const gc = (...args: string[]) =>
  run(
    program(
      'cli',
      'gc',
      ...['--config-file', join(folder, 'neutron.conf'), '--state-dir', join(folder, 'none')],
      ...args,
    ),
  );

beforeEach(async () => {
  folder = fs.mkdtempSync(join(tmpdir(), 'vdt-gc-'));
  fs.writeFileSync(
    join(folder, 'neutron.conf'),
    `[DEFAULT]\nstate_path = ${folder}\nnamespace_suffix = ${SUFFIX}\n`,
  );
  const records = join(folder, 'viaduct/records');
  fs.mkdirSync(records, { recursive: true });
  fs.writeFileSync(join(records, `${testId(0x6c, 4)}.json`), '{"kind":"router","payload":{}}');
  for (const ns of ALL) await output('ip', 'netns', 'add', ns);
  await output('ip', '-n', WITH_DEVICE, 'link', 'add', 'qr-12345678-9a', 'type', 'bridge');
  inside = spawn('ip', ['netns', 'exec', WITH_PROCESS, 'sleep', '1000']);
  await until('it runs', async () => (await output('ip', 'netns', 'pids', WITH_PROCESS)) !== '');
});
afterEach(() => {
  inside.kill('SIGKILL');
  for (const ns of left()) deleteNamespace(ns);
  fs.rmSync(folder, { recursive: true, force: true });
});

test('[O11] what nobody has and nothing is in goes; what is in use stays, and all is named with the reason', async () => {
  const dry = await gc('--dry-run');
  expect(dry.code).toBe(2);
  expect(dry.stdout.split('\n').sort()).toEqual(
    [
      `- ${EMPTY}: no record names it, and neither a process nor a device is in it`,
      `  ${WITH_DEVICE}: no record names it, but it has qr-12345678-9a (--force removes it)`,
      `  ${WITH_PROCESS}: no record names it, but it has sleep (pid ${inside.pid}) (--force removes it)`,
      '1 namespace to remove; nothing was done, 2 kept',
      '',
    ].sort(),
  );
  expect(left()).toEqual(ALL);

  const done = await gc();
  expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('1 namespace removed, 2 kept')]);
  expect(left()).toEqual(ALL.filter((ns) => ns !== EMPTY));
  expect((await gc('--dry-run')).code).toBe(0);
});

test('[O11] with --force what is in use goes, too; a record keeps its namespace in any case', async () => {
  const { code, stdout } = await gc('--force', '--json');
  expect(code).toBe(0);
  const { namespaces } = JSON.parse(stdout) as { namespaces: { namespace: string; removed: boolean }[] };
  expect(new Set(namespaces.filter(({ removed }) => removed).map(({ namespace }) => namespace))).toEqual(
    new Set([EMPTY, WITH_DEVICE, WITH_PROCESS]),
  );
  expect(left()).toEqual([RECORDED, FOREIGN]);
  await until('the process has ended', () => inside.exitCode !== null || inside.signalCode !== null);
});
