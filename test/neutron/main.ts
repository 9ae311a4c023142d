/**
 * `npm run test:neutron`: runs the tests against Neutron, each file in a machine of its own, several beside each other.
 * Nothing of it is left when it ends. The last line is `N passed, N failed`, alone, for people and scripts.
 */
import { parseArgs } from 'node:util';
import { packageRoot } from '../house/package-root.ts';
import { type Tally, tally } from '../house/tally.ts';
import { type FilesToRun, neutronFiles, runNeutronFiles } from './files.ts';

const USAGE = `usage: npm run test:neutron [-- [--jobs N] [-t TITLE] [FILE…]]
  --jobs   files that run at the same time; as many as processors, at most 2, if not given
  -t       only tests whose title matches this regular expression
  FILE     only files whose path has one of these in it
`;

const sum = (tallies: readonly Tally[], of: 'passed' | 'failed'): number =>
  tallies.reduce((total, one) => total + one[of], 0);

/** @throws RangeError, TypeError naming what is wrong */
function asked(): FilesToRun {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { jobs: { type: 'string' }, testNamePattern: { type: 'string', short: 't' } },
  });
  const jobs = values.jobs === undefined ? undefined : Number(values.jobs);
  if (jobs !== undefined && (!Number.isInteger(jobs) || jobs < 1))
    throw new RangeError(`--jobs: ${values.jobs} is not a number of files`);
  const root = packageRoot();
  const files = neutronFiles(root, positionals);
  if (files.length === 0) throw new RangeError(`no test file has ${positionals.join(' or ')} in its path`);
  return { root, files, ...(jobs === undefined ? {} : { jobs }), titles: values.testNamePattern, output: 1 };
}

async function main(): Promise<void> {
  const wanted = asked();
  const tallies = (await runNeutronFiles(wanted)).map(({ file, run }) => {
    const one = tally(run);
    return { ...one, broken: one.broken.map((line) => `${file}: ${line}`) };
  });
  for (const line of tallies.flatMap(({ broken }) => broken)) console.log(`failed: ${line}`);
  // With -t most of them are meant not to run.
  const notRun = wanted.titles === undefined ? tallies.flatMap((one) => one.notRun) : [];
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
