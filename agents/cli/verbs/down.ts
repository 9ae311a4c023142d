import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { DEFAULT_ROOT, deployments, readFacts } from '../../../lib/standalone/deployment.ts';
import { CommandFailure, exitCodes } from '../exit-codes.ts';
import { type Output, openOutput, printable } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { type Progress, showProgress } from '../progress.ts';
import { type TornDown, tearDown } from '../teardown.ts';
import { readTopologyFile } from '../topology-file.ts';

const HELP = `
Ends the "viaduct up" or agents of the deployment, then removes all they built: namespaces, devices,
bridges, daemons, files and the state directory. Only what is on record is touched. Afterwards the host is
as it was before "up". A deployment that is not there is no error.

What could not be removed is named, exit 1; its state stays, so that down can be run again.

Examples:
  viaduct down net.yaml
  viaduct down demo              by the name of the deployment, when the file is gone
  viaduct down --all
`;

interface Flags {
  readonly stateDir: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function down(): Command {
  return new Command('down')
    .description('remove everything that up built')
    .argument('[file]', 'topology file, or name of the deployment')
    .option('--all', 'remove every deployment of this host')
    .option('--json', 'print the result as JSON')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (file: string | undefined, flags: Flags) => {
      process.exitCode = await run(file, flags);
    });
}

const silent: Progress = { step: async (_title, work) => work() };

async function run(file: string | undefined, flags: Flags): Promise<number> {
  if ((file === undefined) === (flags.all !== true))
    throw new CommandFailure('name a topology file, or say --all', exitCodes.usage);
  requireRoot('down');
  const output = openOutput(flags);
  const root = resolve(flags.stateDir);
  const directories = file === undefined ? deployments(root) : find(root, file);
  const progress = output.json ? silent : showProgress(output);
  const results: TornDown[] = [];
  for (const directory of directories) results.push(await tearDown(directory, progress));
  report(output, results, file);
  return results.some(({ problems }) => problems.length > 0) ? exitCodes.failed : exitCodes.ok;
}

/**
 * State directories a topology file or a name stands for. The file may have errors by now, have another
 * name in it, or be gone: the deployments remember where they came from.
 */
function find(root: string, file: string): string[] {
  const all = deployments(root);
  const known = all.filter((directory) => {
    const facts = readFacts(directory);
    return facts?.topology === resolve(file) || (facts?.name === file && !existsSync(file));
  });
  try {
    const named = join(root, readTopologyFile(file).name);
    return [...new Set([...known, ...all.filter((directory) => directory === named)])];
  } catch (error) {
    if (known.length > 0) return known;
    throw error;
  }
}

function report(output: Output, results: readonly TornDown[], file: string | undefined): void {
  if (output.json) {
    output.document({ deployments: results });
    return;
  }
  if (results.length === 0)
    output.line(
      file === undefined ? 'nothing is up on this host' : `${printable(file)} is not up: nothing to remove`,
    );
  for (const { name, problems } of results) {
    if (problems.length === 0) output.line(`${printable(name)} is removed`);
    for (const problem of problems) output.note(`${printable(name)}: ${printable(problem)}`);
  }
}
