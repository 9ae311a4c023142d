import { Command } from 'commander';
import { DEFAULT_ROOT } from '../../../lib/standalone/deployment.ts';
import { concerning } from '../concerning.ts';
import { openDeployments } from '../deployment.ts';
import { exitCodes } from '../exit-codes.ts';
import { inspect } from '../inspect.ts';
import { openOutput } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { diffDocument, differs, renderDiff } from '../render/diff.ts';
import type { OwnerState } from '../render/state.ts';
import { resolveThing } from '../resolve.ts';
import { thingsOf } from '../things.ts';

const HELP = `
Compares the kernel with what was last asked for; works with no agent running and changes nothing.
"- missing" should be there, "+ extra" should not, "~ changed" is there with other values. What could not be
read is named and counts as a difference.

Examples:
  viaduct diff
  viaduct diff r1
  viaduct diff --exit-code || echo "somebody changed something"     exit 2 when anything differs
`;

interface Flags {
  readonly stateDir: string;
  readonly exitCode?: boolean;
  readonly json?: boolean;
}

export function diff(): Command {
  return new Command('diff')
    .description('where the kernel differs from what should be')
    .argument('[name]', 'only this router, network, instance, port or IP; any name show takes')
    .option('--exit-code', 'exit 2 when something differs')
    .option('--json', 'print the result as JSON')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (name: string | undefined, flags: Flags) => {
      requireRoot('diff');
      process.exitCode = await run(name, flags);
    });
}

async function run(name: string | undefined, flags: Flags): Promise<number> {
  const output = openOutput(flags);
  const states =
    name === undefined ? await statesOfAll(flags.stateDir) : await statesOf(flags.stateDir, name);
  if (output.json) output.document(diffDocument(states));
  else for (const line of renderDiff(output, states)) output.line(line);
  return flags.exitCode && differs(states) ? exitCodes.changes : exitCodes.ok;
}

async function statesOfAll(root: string): Promise<OwnerState[]> {
  const states: OwnerState[] = [];
  for (const deployment of openDeployments(root)) states.push(...(await inspect(deployment)));
  return states;
}

async function statesOf(root: string, name: string): Promise<OwnerState[]> {
  const { deployment, thing } = resolveThing(root, name);
  return concerning(await inspect(deployment), thing, thingsOf(deployment.recorded));
}
