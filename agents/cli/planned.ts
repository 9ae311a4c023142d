/** What `viaduct up` would do on this host: topology against records and kernel. Nothing is written. */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import type { ActualRow } from '../../lib/namespace/actual.ts';
import type { Step } from '../../lib/namespace/plan.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import type { NftTableRow, Row } from '../../lib/namespace/rows.ts';
import { Controller } from '../../lib/standalone/controller.ts';
import { asSeen } from './as-seen.ts';
import { openDeployment, type Recorded, recall } from './deployment.ts';
import { compileRecord, wantedOptions, wantedRecords } from './parts.ts';
import { type Subject, subjectOf } from './subject.ts';

export interface PlannedStep {
  readonly action: Step['action'];
  readonly row: Row;
  /** as it is before the change */
  readonly was?: Row;
  readonly reason: string;
}

export interface PlannedOwner {
  readonly subject: Subject;
  readonly steps: readonly PlannedStep[];
  /** why the steps can't be told */
  readonly unreadable?: string;
}

export interface Plan {
  readonly deployment: string;
  /** only owners with something to do or to say */
  readonly owners: readonly PlannedOwner[];
}

/** @throws TopologyError */
export async function planTopology(file: string, root: string): Promise<Plan> {
  const directoryOf = (name: string): string => join(resolve(root), name);
  const controller = new Controller({ file, host: hostname(), directory: directoryOf });
  const { name, host } = await controller.open();
  const directory = directoryOf(name);
  const before = existsSync(directory) ? openDeployment(directory).recorded : [];
  const context = { directory, host, options: wantedOptions(controller, directory) };
  const wanted = [...(await wantedRecords(controller))].map(([owner, record]): Recorded => {
    try {
      return { owner, record, groups: compileRecord(record, context) };
    } catch (error) {
      return { owner, record, groups: [], damage: `it can't be built: ${(error as Error).message}` };
    }
  });
  return { deployment: name, owners: await planOwners(before, wanted) };
}

async function planOwners(before: readonly Recorded[], wanted: readonly Recorded[]): Promise<PlannedOwner[]> {
  const reconciler = new Reconciler();
  try {
    // As `up` does it: what is on record was wanted until now, and what it no longer wants is known to be ours.
    for (const recorded of before) recall(reconciler, recorded);
    for (const { owner, groups } of wanted) reconciler.setDesired(owner, groups);
    const kept = new Set(wanted.map(({ owner }) => owner));
    const leaving = before.filter(({ owner }) => !kept.has(owner));
    for (const { owner } of leaving) reconciler.removeOwner(owner);
    const told = new Set<string>();
    const damaged = before.filter(({ owner, damage }) => damage !== undefined && kept.has(owner));
    const planned = [...damaged, ...wanted, ...leaving]
      .map((recorded) => planOwner(reconciler, recorded, told))
      .filter(({ steps, unreadable }) => steps.length > 0 || unreadable !== undefined);
    return bySubject(planned);
  } finally {
    await reconciler.close();
  }
}

/** A network's bridge and its DHCP service are recorded apart, but are one thing to an operator. Order stays. */
export function bySubject(owners: readonly PlannedOwner[]): PlannedOwner[] {
  const found = new Map<string, PlannedOwner>();
  for (const owner of owners) {
    const key = `${owner.subject.kind} ${owner.subject.id}`;
    const before = found.get(key);
    found.set(key, before ? joined(before, owner) : owner);
  }
  return [...found.values()];
}

function joined(one: PlannedOwner, two: PlannedOwner): PlannedOwner {
  const reasons = [one.unreadable, two.unreadable].filter((reason) => reason !== undefined);
  return {
    subject: { ...two.subject, ...one.subject, namespace: one.subject.namespace || two.subject.namespace },
    steps: [...one.steps, ...two.steps],
    ...(reasons.length > 0 ? { unreadable: reasons.join('; ') } : {}),
  };
}

/** `told`: what several owners want (a network's bridge) is told once. */
export function planOwner(
  reconciler: Reconciler,
  recorded: Recorded,
  told = new Set<string>(),
): PlannedOwner {
  const subject = subjectOf(recorded);
  if (recorded.damage !== undefined) return { subject, steps: [], unreadable: recorded.damage };
  try {
    const steps = reconciler.plan(recorded.owner).filter(({ row }) => !told.has(row.key));
    for (const { row } of steps) told.add(row.key);
    return { subject, steps: steps.map(plannedStep) };
  } catch (error) {
    return { subject, steps: [], unreadable: `it could not be read: ${(error as Error).message}` };
  }
}

function plannedStep(step: Step): PlannedStep {
  const { action, reason } = step;
  if (step.action === 'remove') return { action, row: asSeen(step.row), reason };
  const was: ActualRow | NftTableRow | undefined = step.was;
  return { action, row: step.row, ...(was ? { was: asSeen(was, step.row) } : {}), reason };
}
