import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { DEFAULT_ROOT, readFacts } from '../../../lib/standalone/deployment.ts';
import { findPackageRoot } from '../../../lib/standalone/run.ts';
import { check } from '../demo/checks.ts';
import { type DemoPlace, directoryOf, findRunning, startDetached, waitUntilBuilt } from '../demo/process.ts';
import { checkRequirements } from '../demo/requirements.ts';
import { sceneOf } from '../demo/scene.ts';
import { CommandFailure, exitCodes } from '../exit-codes.ts';
import { type Output, openOutput } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { type Check, renderChecks, showProgress } from '../progress.ts';
import { tearDown } from '../teardown.ts';
import { readTopologyFile } from '../topology-file.ts';

const HELP = `
Builds the network of deploy/demo.yaml (two tenants with the same addresses, routers, floating IPs, IPv6,
instances with a DHCP client, an "internet"), checks it with real packets and leaves it up. Run again, it checks what is
up. Exit 1 if a check fails; the last line names it.

Examples:
  viaduct demo
  viaduct demo down              remove everything again
`;

interface Flags {
  readonly stateDir: string;
  readonly json?: boolean;
}

export function demo(): Command {
  return new Command('demo')
    .description('build an example network, check it with real packets, leave it up')
    .argument('[action]', '"down" removes it')
    .option('--json', 'print the checks as JSON')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (action: string | undefined, flags: Flags) => {
      if (action !== undefined && action !== 'down')
        throw new CommandFailure(`demo ${action}: the only action is "down"`, exitCodes.usage);
      requireRoot('demo');
      const file = join(findPackageRoot(), 'deploy/demo.yaml');
      const output = openOutput(flags);
      const run = action === 'down' ? remove : show;
      process.exitCode = await run(file, resolve(flags.stateDir), output);
    });
}

async function show(file: string, root: string, output: Output): Promise<number> {
  checkRequirements();
  const topology = readTopologyFile(file);
  const place: DemoPlace = { name: topology.name, file, root };
  const progress = showProgress(output);
  const known = findRunning(place);
  if (known) output.note(`The demo is up already (process ${known.pid}): checking it again.`);
  else output.note('Building the tenants, their routers and instances:');
  const running = known ?? (await progress.step('starting viaduct up', () => startDetached(place)));
  await progress.step('everything in deploy/demo.yaml is built', () => waitUntilBuilt(place, running));
  output.note('Checking it with real packets:');
  const checks = await check(sceneOf(topology), (done) => tell(output, done));
  report(output, checks, running.log);
  return checks.every(({ passed }) => passed) ? exitCodes.ok : exitCodes.failed;
}

/** On a terminal it is seen that something goes on; the table comes at the end. */
function tell(output: Output, { name }: Check): void {
  if (process.stderr.isTTY && !output.json) process.stderr.write(`\r\u001b[K  … ${name}`);
}

function report(output: Output, checks: readonly Check[], log: string): void {
  if (process.stderr.isTTY && !output.json) process.stderr.write('\r\u001b[K');
  if (output.json) {
    output.document({ checks, log });
    return;
  }
  for (const line of renderChecks(output.color, checks)) output.line(line);
  const command = 'node dist/agents/cli/main.js';
  output.line();
  output.line(`The network stays up (log: ${log}). Look around, with viaduct = ${command}:`);
  output.line('  viaduct ls                                     what there is');
  output.line(
    '  viaduct show 203.0.113.101                     a floating IP: what should be, beside what is',
  );
  output.line('  viaduct exec red-web -- ping -c3 198.51.100.10 from an instance to the internet');
  output.line('  viaduct exec red-router -- ip address          inside a router');
  output.line(
    '  viaduct diff                                   nothing differs; delete something and look again',
  );
  output.line('Edit deploy/demo.yaml and the network follows. Remove it all: npm run demo -- down');
}

async function remove(file: string, root: string, output: Output): Promise<number> {
  const { name } = readTopologyFile(file);
  const directory = directoryOf({ name, file, root });
  if (!readFacts(directory)) {
    output.line('The demo is not up: nothing to remove.');
    return exitCodes.ok;
  }
  const { problems } = await tearDown(directory, showProgress(output));
  for (const problem of problems) output.note(problem);
  if (problems.length > 0) return exitCodes.failed;
  output.line('The demo is removed.');
  return exitCodes.ok;
}
