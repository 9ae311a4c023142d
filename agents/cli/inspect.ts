/** What should be beside what is: records compiled to rows, and the kernel read. Nothing is written. */
import { join } from 'node:path';
import type { Delta } from '../../lib/namespace/delta.ts';
import { difference } from '../../lib/namespace/difference.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import type { Row } from '../../lib/namespace/rows.ts';
import { openJournal } from '../../lib/telemetry/journal.ts';
import { asSeen } from './as-seen.ts';
import { type Deployment, type Recorded, recall } from './deployment.ts';
import { recordedSwitch } from './recorded-switch.ts';
import type { OwnerState, RowState } from './render/state.ts';
import { subjectOf } from './subject.ts';

/** State of every router, network and instance of a deployment: networks, routers, instances, by name. */
export async function inspect(deployment: Deployment): Promise<OwnerState[]> {
  const reconciler = new Reconciler(await recordedSwitch(deployment.facts));
  const journal = openJournal(join(deployment.directory, 'journal'));
  try {
    // All first: what two owners share must be known to both before a namespace is read.
    for (const recorded of deployment.recorded) recall(reconciler, recorded);
    const states = deployment.recorded.map((one): OwnerState => {
      const changed = journal.read(one.owner).at(-1)?.at;
      return { ...stateOf(reconciler, one), ...(changed === undefined ? {} : { changed }) };
    });
    return inOrder(merge(states));
  } finally {
    await reconciler.close();
  }
}

function stateOf(reconciler: Reconciler, recorded: Recorded): OwnerState {
  const subject = subjectOf(recorded);
  if (recorded.damage !== undefined) return { ...subject, rows: [], unreadable: recorded.damage };
  const desired = reconciler.delta.desiredBy(recorded.owner);
  try {
    reconciler.plan(recorded.owner);
  } catch (error) {
    const rows = desired.map((row): RowState => ({ state: 'unknown', desired: row }));
    return { ...subject, rows, unreadable: `it could not be read: ${(error as Error).message}` };
  }
  const rows = desired.flatMap((row) => rowState(reconciler.delta, row) ?? []);
  return { ...subject, rows: [...rows, ...extras(reconciler.delta, recorded.owner)] };
}

/** undefined: another program adds and removes it, and has it removed now. */
function rowState(delta: Delta, desired: Row): RowState | undefined {
  const actual = delta.actualRow(desired.ns, desired.key);
  if ('keeper' in desired && desired.keeper) return actual ? { state: 'ok', desired } : undefined;
  if (!actual) return { state: 'missing', desired };
  const reason = difference(actual, desired);
  if (reason === undefined) return { state: 'ok', desired };
  return { state: 'changed', desired, actual: asSeen(actual, desired), reason };
}

/** What is there, would be ours, and nobody wants. */
const extras = (delta: Delta, owner: string): RowState[] =>
  delta
    .changes(owner)
    .flatMap(({ desired, actual }) =>
      !desired && actual ? [{ state: 'extra' as const, actual: asSeen(actual) }] : [],
    );

/** A network's bridge and its DHCP namespace are two records, and one network to whoever looks at it. */
function merge(states: readonly OwnerState[]): OwnerState[] {
  const merged = new Map<string, OwnerState>();
  for (const state of states) {
    const key = `${state.kind} ${state.id}`;
    const other = merged.get(key);
    merged.set(key, other ? mergeTwo(other, state) : state);
  }
  return [...merged.values()];
}

function mergeTwo(one: OwnerState, two: OwnerState): OwnerState {
  const known = new Set(one.rows.map((row) => (row.state === 'extra' ? '' : row.desired.key)));
  const added = two.rows.filter((row) => row.state === 'extra' || !known.has(row.desired.key));
  const unreadable = one.unreadable ?? two.unreadable;
  const changed = [one.changed, two.changed]
    .filter((at) => at !== undefined)
    .sort()
    .at(-1);
  return {
    ...one,
    name: one.name ?? two.name,
    namespace: one.namespace || two.namespace,
    ...(changed === undefined ? {} : { changed }),
    rows: [...one.rows, ...added],
    ...(unreadable === undefined ? {} : { unreadable }),
  };
}

const ORDER: readonly OwnerState['kind'][] = ['network', 'router', 'instance', 'record'];

const inOrder = (states: readonly OwnerState[]): OwnerState[] =>
  states.toSorted(
    (a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind) || (a.name ?? a.id).localeCompare(b.name ?? b.id),
  );
