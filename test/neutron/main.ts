/**
 * `npm run test:neutron`: runs the tests against Neutron, each file in a machine of its own (network, mounts, process
 * ids, temporary files), several beside each other. Nothing of it is left when it ends. The last line is
 * `N passed, N failed`, alone, for people and scripts.
 */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { packageRoot } from '../house/package-root.ts';
import { type Tally, tally } from '../house/tally.ts';
import { runVitest } from '../house/vitest-run.ts';
import { besideOthers } from './cloud/private.ts';
import { schemaFile } from './cloud/schema.ts';

const USAGE = `usage: npm run test:neutron [-- [--jobs N] [-t TITLE] [FILE…]]
  --jobs   files that run at the same time; as many as processors, at most 2, if not given
  -t       only tests whose title matches this regular expression
  FILE     only files whose path has one of these in it
`;
/** Milliseconds for one file: far more than any takes, so that one that hangs does not keep the others from counting. */
const LIMIT = 25 * 60_000;
/** Those that take longest begin first, so that none of them is waited for alone. */
const FIRST = ['differential', 'faults-broker', 'takeover', 'dhcp', 'l3', 'faults-answers'];

const root = packageRoot();
/** All that is written on the way, also by those who ask for a temporary directory; dnsmasq reads as a user of its own. */
const scratch = mkdtempSync(join(tmpdir(), 'vdt-neutron-'));
chmodSync(scratch, 0o755);
process.env.TMPDIR = scratch;
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => process.exit(1));

async function prepare(): Promise<void> {
  if (existsSync(schemaFile(root))) return;
  console.log('== the tables of neutron-server');
  const main = fileURLToPath(new URL('./cloud/schema-main.js', import.meta.url));
  const code = await besideOthers([process.execPath, main], { directory: root, output: 1, limit: LIMIT });
  if (code !== 0) throw new Error('the tables of neutron-server could not be made');
}

function testFiles(wanted: readonly string[]): string[] {
  const rank = (file: string): number => {
    const found = FIRST.findIndex((name) => file === `test/neutron/${name}.test.ts`);
    return found < 0 ? FIRST.length : found;
  };
  return readdirSync(join(root, 'test/neutron'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test/neutron', name))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Says how it went; all that was said in it only if something failed. */
async function runFile(file: string, titles: string | undefined): Promise<Tally> {
  const log = join(scratch, file.replaceAll('/', '-'));
  const output = openSync(log, 'w');
  const begun = Date.now();
  const result = tally(
    await runVitest({
      root,
      projects: ['neutron'],
      ...(titles === undefined ? {} : { titles }),
      more: [file],
      launch: (argv, directory) => besideOthers(argv, { directory, output, limit: LIMIT }),
      output: 1,
    }),
  );
  closeSync(output);
  const { passed, failed } = result;
  if (failed > 0) console.log(readFileSync(log, 'utf8'));
  console.log(
    `== ${file}: ${passed} passed, ${failed} failed (${Math.round((Date.now() - begun) / 1000)} s)`,
  );
  return { ...result, broken: result.broken.map((line) => `${file}: ${line}`) };
}

/** All of them, so many at the same time. */
async function runFiles(
  files: readonly string[],
  jobs: number,
  titles: string | undefined,
): Promise<Tally[]> {
  const waiting = [...files];
  const results: Tally[] = [];
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
      results.push(await runFile(file, titles));
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

const sum = (tallies: readonly Tally[], of: 'passed' | 'failed'): number =>
  tallies.reduce((total, one) => total + one[of], 0);

/** @throws RangeError, TypeError naming what is wrong */
function asked(): { files: string[]; jobs: number; titles: string | undefined } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { jobs: { type: 'string' }, testNamePattern: { type: 'string', short: 't' } },
  });
  const jobs = Number(values.jobs ?? Math.min(2, availableParallelism()));
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new RangeError(`--jobs: ${values.jobs} is not a number of files`);
  const files = testFiles(positionals);
  if (files.length === 0) throw new RangeError(`no test file has ${positionals.join(' or ')} in its path`);
  return { files, jobs, titles: values.testNamePattern };
}

async function main(): Promise<void> {
  const { files, jobs, titles } = asked();
  await prepare();
  const tallies = await runFiles(files, jobs, titles);
  for (const line of tallies.flatMap(({ broken }) => broken)) console.log(`failed: ${line}`);
  // With -t most of them are meant not to run.
  const notRun = titles === undefined ? tallies.flatMap((one) => one.notRun) : [];
  if (notRun.length > 0) console.log(`not run: ${notRun.length} tests`);
  for (const name of notRun) console.log(`  ${name}`);
  const failed = sum(tallies, 'failed');
  console.log(`\n${sum(tallies, 'passed')} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

try {
  await main();
} catch (error) {
  const usage = error instanceof RangeError || error instanceof TypeError ? `\n${USAGE}` : '';
  console.log(`${error instanceof Error ? error.message : String(error)}${usage}\n\n0 passed, 1 failed`);
  process.exitCode = 1;
}
