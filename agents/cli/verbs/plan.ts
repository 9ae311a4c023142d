import { Command } from 'commander';
import { DEFAULT_ROOT } from '../../../lib/standalone/deployment.ts';
import { exitCodes } from '../exit-codes.ts';
import { openOutput } from '../output.ts';
import { planTopology } from '../planned.ts';
import { requireRoot } from '../privilege.ts';
import { planDocument, renderPlan } from '../render/plan.ts';
import { readTopologyFile } from '../topology-file.ts';

const HELP = `
Shows every step "viaduct up FILE" would take on this host now, in order: + create, ~ change, - remove.
The kernel is read, nothing is changed. Exit 0 when there is nothing to do, 2 when there is something,
65 when the file has errors.

Examples:
  viaduct plan net.yaml
  viaduct plan --json net.yaml | jq '.counts'
`;

interface Flags {
  readonly stateDir: string;
  readonly json?: boolean;
}

export function plan(): Command {
  return new Command('plan')
    .description('show what up would change on this host, and change nothing')
    .argument('<file>', 'topology file (YAML)')
    .option('--json', 'print the result as JSON')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (file: string, flags: Flags) => {
      process.exitCode = await run(file, flags);
    });
}

async function run(file: string, flags: Flags): Promise<number> {
  readTopologyFile(file);
  requireRoot('plan');
  const output = openOutput(flags);
  const planned = await planTopology(file, flags.stateDir);
  if (output.json) output.document(planDocument(planned));
  else for (const line of renderPlan(output, planned)) output.line(line);
  if (planned.owners.some((owner) => owner.steps.length > 0)) return exitCodes.changes;
  // What could not be read is not the same as nothing to do.
  if (planned.owners.length > 0) return exitCodes.failed;
  if (!output.json) output.line(`nothing to do: this host is as ${file} says`);
  return exitCodes.ok;
}
