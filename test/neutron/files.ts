/** The files of test/neutron, each run in a machine of its own: network, mounts, process ids, temporary files. */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { tally } from '../house/tally.ts';
import { runVitest, type VitestRun } from '../house/vitest-run.ts';
import { besideOthers } from './cloud/private.ts';
import { schemaFile } from './cloud/schema.ts';

/** Milliseconds for one file: far more than any takes, so that one that hangs does not keep the others from counting. */
const LIMIT = 25 * 60_000;
/** Those that take longest begin first, so that none of them is waited for alone. */
const FIRST = ['differential', 'faults-broker', 'takeover', 'dhcp', 'l3', 'faults-answers'];

export interface FilesToRun {
  readonly root: string;
  /** paths below root, as neutronFiles gives them */
  readonly files: readonly string[];
  /** files that run at the same time; as many as processors, at most 2, if not given */
  readonly jobs?: number;
  /** only tests whose title matches this regular expression */
  readonly titles?: string | undefined;
  /** where it says how it goes: 1 or 2 */
  readonly output: 1 | 2;
}

export interface FileRun {
  readonly file: string;
  readonly run: VitestRun;
}

/** All of them, or those with one of `parts` in their path; in the order they are best begun. */
export function neutronFiles(root: string, parts: readonly string[] = []): string[] {
  const rank = (file: string): number => {
    const found = FIRST.findIndex((name) => file === `test/neutron/${name}.test.ts`);
    return found < 0 ? FIRST.length : found;
  };
  return readdirSync(join(root, 'test/neutron'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test/neutron', name))
    .filter((file) => parts.length === 0 || parts.some((part) => file.includes(part)))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/**
 * For all that is written on the way, also by those who ask for a temporary directory; dnsmasq reads as a user of its
 * own. Nothing of it is left when this process ends.
 */
function scratchDirectory(): string {
  const scratch = mkdtempSync(join(tmpdir(), 'vdt-neutron-'));
  chmodSync(scratch, 0o755);
  process.env.TMPDIR = scratch;
  process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => process.exit(1));
  return scratch;
}

/** Several beside each other. All that was said in one is shown only if something failed in it. */
export async function runNeutronFiles(wanted: FilesToRun): Promise<FileRun[]> {
  const logs = scratchDirectory();
  await prepareTables(wanted);
  const waiting = [...wanted.files];
  const runs: FileRun[] = [];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
      runs.push({ file, run: await runFile(file, logs, wanted) });
  };
  const jobs = wanted.jobs ?? Math.min(2, availableParallelism());
  await Promise.all(Array.from({ length: jobs }, worker));
  return runs;
}

async function runFile(file: string, logs: string, { root, titles, output }: FilesToRun): Promise<VitestRun> {
  const path = join(logs, file.replaceAll('/', '-'));
  const log = openSync(path, 'w');
  const begun = Date.now();
  const run = await runVitest({
    root,
    projects: ['neutron'],
    ...(titles === undefined ? {} : { titles }),
    more: [file],
    launch: (argv, directory) => besideOthers(argv, { directory, output: log, limit: LIMIT }),
    output,
  });
  closeSync(log);
  const { passed, failed } = tally(run);
  if (failed > 0) writeSync(output, `${readFileSync(path, 'utf8')}\n`);
  const seconds = Math.round((Date.now() - begun) / 1000);
  writeSync(output, `== ${file}: ${passed} passed, ${failed} failed (${seconds} s)\n`);
  return run;
}

async function prepareTables({ root, output }: FilesToRun): Promise<void> {
  if (existsSync(schemaFile(root))) return;
  writeSync(output, '== the tables of neutron-server\n');
  const main = fileURLToPath(new URL('./cloud/schema-main.js', import.meta.url));
  const code = await besideOthers([process.execPath, main], { directory: root, output, limit: LIMIT });
  if (code !== 0) throw new Error('the tables of neutron-server could not be made');
}
