import { Command } from 'commander';
import { DEFAULT_ROOT } from '../../../lib/standalone/deployment.ts';
import { concerning } from '../concerning.ts';
import { inspect } from '../inspect.ts';
import { openOutput } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { renderRunning, runningDocument } from '../render/running.ts';
import { renderOwner } from '../render/show.ts';
import { healthOf } from '../render/state.ts';
import { describeThing, resolveThing } from '../resolve.ts';
import { thingsOf } from '../things.ts';

const HELP = `
Any name does: of a router, network, instance or port; an id or its first characters; a fixed or floating IP;
a MAC; a device (qr-…, tap…, brq…); a namespace. When it may be several things they are listed, exit 1.

Every line is something that should be there: ✓ it is, "- missing", "~ changed" with what differs, and
"+ extra" for what should not be there. For a port or floating IP these are the lines that name it, in every
namespace it matters in.

Examples:
  viaduct show r1
  viaduct show 203.0.113.10          a floating IP: where it is answered and translated
  viaduct show fa:16:3e:12:34:56
`;

interface Flags {
  readonly stateDir: string;
  readonly json?: boolean;
}

export function show(): Command {
  return new Command('show')
    .description('what should be, beside what is, of a router, network, instance, port, IP or MAC')
    .argument('<name>', 'name, id, IP address, MAC, device or namespace')
    .option('--json', 'print the result as JSON')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (name: string, flags: Flags) => {
      requireRoot('show');
      await run(name, flags);
    });
}

async function run(name: string, flags: Flags): Promise<void> {
  const output = openOutput(flags);
  const { deployment, thing } = resolveThing(flags.stateDir, name);
  const states = concerning(await inspect(deployment), thing, thingsOf(deployment.recorded));
  if (output.json) {
    const owners = states.map((state) => ({ ...state, state: healthOf(state) }));
    output.document({
      deployment: deployment.facts.name,
      running: runningDocument(deployment.running),
      thing,
      owners,
    });
    return;
  }
  for (const line of renderRunning(deployment)) output.line(line);
  if (thing.kind === 'port' || thing.kind === 'floating-ip') output.line(describeThing(thing));
  for (const state of states) for (const line of renderOwner(output, state)) output.line(line);
  if (states.length === 0) output.line('nothing on this host is about it');
}
