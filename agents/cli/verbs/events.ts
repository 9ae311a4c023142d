import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { DEFAULT_ROOT } from '../../../lib/standalone/deployment.ts';
import { openJournal } from '../../../lib/telemetry/journal.ts';
import { type Deployment, openDeployments } from '../deployment.ts';
import { openOutput } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { type Event, eventsDocument, renderEvents } from '../render/events.ts';
import { resolveThing } from '../resolve.ts';
import { type Subject, subjectOf } from '../subject.ts';

const HELP = `
The journal: what started each change, every step in order, how long it took, and what failed and why. It
is on disk, so it is there after restarts and with no agent running. A cause "drift" means that somebody
else changed something, and that it was put back.

Examples:
  viaduct events
  viaduct events r1 --since 10m
  viaduct events --json | jq 'select(.[].outcome == "failed")'
`;

interface Flags {
  readonly stateDir: string;
  /** milliseconds */
  readonly since?: number;
  readonly json?: boolean;
}

export function events(): Command {
  return new Command('events')
    .description('what was changed when and why: cause, steps, duration')
    .argument('[name]', 'only of this router, network or instance; any name show takes')
    .option('--since <age>', 'only of the last 30s, 10m, 2h or 1d', milliseconds)
    .option('--json', 'print the result as JSON')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action((name: string | undefined, flags: Flags) => {
      requireRoot('events');
      run(name, flags);
    });
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** '10m' → 600000 */
export function milliseconds(text: string): number {
  const [, number, unit] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  if (number === undefined) throw new InvalidArgumentError('write it like 30s, 10m, 2h or 1d');
  return Number(number) * UNITS[unit!]!;
}

function run(name: string | undefined, flags: Flags): void {
  const output = openOutput(flags);
  const found = name === undefined ? undefined : resolveThing(flags.stateDir, name);
  const deployments = found ? [found.deployment] : openDeployments(flags.stateDir);
  const earliest = flags.since === undefined ? '' : new Date(Date.now() - flags.since).toISOString();
  const all = deployments
    .flatMap(eventsOf)
    .filter(({ subject }) => !found || `${subject.kind} ${subject.id}` === found.thing.holder)
    .filter(({ entry }) => entry.at >= earliest)
    .sort((a, b) => a.entry.at.localeCompare(b.entry.at));
  if (output.json) output.document(eventsDocument(all));
  else for (const line of renderEvents(output, all)) output.line(line);
}

function eventsOf({ directory, facts, recorded }: Deployment): Event[] {
  const journal = openJournal(join(directory, 'journal'));
  const subjects = new Map(recorded.map((one) => [one.owner, subjectOf(one)]));
  return journal.owners().flatMap((owner) => {
    const subject: Subject = subjects.get(owner) ?? { kind: 'record', id: owner, namespace: '' };
    return journal.read(owner).map((entry): Event => ({ deployment: facts.name, subject, entry }));
  });
}
