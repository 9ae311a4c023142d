/**
 * Runs the tests against Neutron in a machine of their own. Arguments go to vitest. The last line is
 * `N passed, N failed`, alone, for people and scripts.
 */
import { packageRoot } from '../house/package-root.ts';
import { tally } from '../house/tally.ts';
import { runVitest } from '../house/vitest-run.ts';
import { inPrivateMachine } from './cloud/private.ts';

const { passed, failed, notRun, broken } = tally(
  runVitest({
    root: packageRoot(),
    projects: ['neutron'],
    more: process.argv.slice(2),
    launch: inPrivateMachine,
    output: 1,
  }),
);
for (const line of broken) console.log(`failed: ${line}`);
if (notRun.length > 0) console.log(`not run: ${notRun.length} tests`);
for (const name of notRun) console.log(`  ${name}`);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
