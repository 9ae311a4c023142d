import { Argument, Command } from 'commander';
import { DEFAULT_ROOT } from '../../../lib/standalone/deployment.ts';
import { concerning } from '../concerning.ts';
import { type Deployment, openDeployments } from '../deployment.ts';
import { inspect } from '../inspect.ts';
import { type Output, openOutput } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { listDocument, type Part, partsDocument, renderList, renderParts } from '../render/ls.ts';
import { renderRunning, runningDocument } from '../render/running.ts';
import { healthOf, type OwnerState } from '../render/state.ts';
import { type ThingKind, thingsOf } from '../things.ts';

const HELP = `
One line per network, router and instance of every deployment: its namespace, whether the kernel is as it
should be, and when Viaduct last changed something. Works with no agent running.

States: converged, drifted (something differs), absent (nothing of it is there), unknown (could not be read).

Examples:
  viaduct ls
  viaduct ls routers
  viaduct ls floating-ips
  viaduct ls --json | jq '.deployments[].owners[] | select(.state != "converged")'
`;

const KINDS: Readonly<Record<string, ThingKind>> = {
  networks: 'network',
  routers: 'router',
  instances: 'instance',
  ports: 'port',
  'floating-ips': 'floating-ip',
};

interface Flags {
  readonly stateDir: string;
  readonly json?: boolean;
}

export function ls(): Command {
  const names = Object.keys(KINDS);
  return new Command('ls')
    .description('list what is built on this host and whether it is as it should be')
    .addArgument(
      new Argument(
        '[kind]',
        'networks, routers, instances, ports or floating-ips; default: the first three',
      ).choices([...names, ...Object.values(KINDS)]),
    )
    .option('--json', 'print the result as JSON')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (kind: string | undefined, flags: Flags) => {
      requireRoot('ls');
      await run(kind === undefined ? undefined : (KINDS[kind] ?? (kind as ThingKind)), flags);
    });
}

async function run(kind: ThingKind | undefined, flags: Flags): Promise<void> {
  const output = openOutput(flags);
  const documents: unknown[] = [];
  const deployments = openDeployments(flags.stateDir);
  if (deployments.length === 0 && !output.json) output.line('nothing is built on this host');
  for (const [position, deployment] of deployments.entries()) {
    const { facts, directory, running } = deployment;
    const listed = list(output, deployment, await inspect(deployment), kind);
    documents.push({ ...facts, directory, running: runningDocument(running), ...listed.document });
    if (output.json) continue;
    if (position > 0) output.line();
    for (const line of [...renderRunning(deployment), ...listed.lines]) output.line(line);
  }
  if (output.json) output.document({ deployments: documents });
}

interface Listed {
  readonly lines: readonly string[];
  readonly document: object;
}

function list(
  output: Output,
  deployment: Deployment,
  states: readonly OwnerState[],
  kind: ThingKind | undefined,
): Listed {
  if (kind === 'port' || kind === 'floating-ip') {
    const parts = partsOf(deployment, states, kind);
    return {
      lines: renderParts(output, parts),
      document: { [`${kind.replace('-', '_')}s`]: partsDocument(parts) },
    };
  }
  // A damaged record is always told: it may be one of those asked for.
  const owners = states.filter(
    (owner) => kind === undefined || owner.kind === kind || owner.kind === 'record',
  );
  return { lines: renderList(output, owners, Date.now()), document: { owners: listDocument(owners) } };
}

function partsOf(deployment: Deployment, states: readonly OwnerState[], kind: ThingKind): Part[] {
  const things = thingsOf(deployment.recorded);
  return things
    .filter((thing) => thing.kind === kind)
    .map((thing) => {
      const concerned = concerning(states, thing, things);
      const rows = concerned.flatMap((state) => state.rows);
      const unreadable = concerned.find((state) => state.unreadable !== undefined)?.unreadable;
      // No rows: it is nowhere on this host, which is neither right nor wrong.
      if (rows.length === 0 && unreadable === undefined) return { thing, state: 'unknown' };
      const seen = { kind: 'router' as const, id: thing.id, namespace: '', rows };
      return { thing, state: healthOf(unreadable === undefined ? seen : { ...seen, unreadable }) };
    });
}
