/** Giving a node back to Neutron's agents: what they expect to find, and nothing of ours. */
import fs from 'node:fs';
import { join } from 'node:path';
import type { AgentName } from '../../lib/config/options/table.ts';
import { stopDaemon } from '../../lib/daemon/control.ts';
import { namespaceExists } from '../../lib/kernel/netns.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import type { RowGroup, RowKind } from '../../lib/namespace/rows.ts';
import { networkDirectory } from '../dhcp/compile/identity.ts';
import { giveBack } from '../dhcp/directory.ts';
import { dhcpOptions } from '../dhcp/options.ts';
import { givenBack, neutronRules } from '../l3/compile/neutron-rules.ts';
import { l3Options } from '../l3/options.ts';
import { type Deployment, openDeployment, type Recorded } from './deployment.ts';
import { optionsOf } from './parts.ts';
import { type PlannedOwner, planOwner } from './planned.ts';
import type { Progress } from './progress.ts';
import { takeOver } from './running.ts';
import { type Subject, subjectOf, title } from './subject.ts';

/** What became of one router or network. */
export interface GivenBack {
  readonly agent: AgentName;
  readonly subject: Subject;
  /** changes of the kernel */
  readonly steps: number;
  /** why it is not Neutron's yet, one sentence each */
  readonly problems: readonly string[];
}

export interface Released {
  readonly agents: readonly AgentName[];
  readonly given: readonly GivenBack[];
}

export interface ReleaseRequest {
  /** state directory of the agents */
  readonly directory: string;
  readonly agents: readonly AgentName[];
}

const AGENT_OF: Readonly<Record<string, AgentName>> = { router: 'l3', network: 'dhcp' };
/** Looked after by others from now on, or found by them as they are: not looked at again. */
const LEFT_ALONE: ReadonlySet<RowKind> = new Set(['ovs-port', 'daemon', 'file']);

/** Things on record that the agents in question built. */
export const onRecord = ({ recorded }: Deployment, agents: readonly AgentName[]): readonly Recorded[] =>
  recorded.filter(({ record }) => record === undefined || agents.includes(AGENT_OF[record.kind]!));

/** A router's rows when Neutron's agent takes over; undefined: there is nothing to change in its namespace. */
function rowsForNeutron(one: Recorded, { facts }: Deployment): RowGroup[] | undefined {
  if (one.record?.kind !== 'router' || one.groups.length === 0) return undefined;
  const rules = neutronRules(parseRouter(one.record.payload), l3Options(optionsOf(facts.options, 'l3')));
  return givenBack(one.groups, rules).map((group) => group.filter(({ kind }) => !LEFT_ALONE.has(kind)));
}

/** Has a reconciler know what was wanted, and what is to be. */
function prepare(reconciler: Reconciler, { owner, groups }: Recorded, wanted: readonly RowGroup[]): void {
  reconciler.setDesired(
    owner,
    groups.map((group) => group.filter(({ kind }) => !LEFT_ALONE.has(kind))),
  );
  reconciler.setDesired(owner, wanted);
}

/** What would be done, in order; the kernel is read and not changed. */
export async function planRelease(
  deployment: Deployment,
  agents: readonly AgentName[],
): Promise<PlannedOwner[]> {
  const reconciler = new Reconciler();
  const owners = onRecord(deployment, agents).map((one) => {
    const wanted = rowsForNeutron(one, deployment);
    if (wanted && namespaceExists(subjectOf(one).namespace)) prepare(reconciler, one, wanted);
    return planOwner(reconciler, one);
  });
  await reconciler.close();
  return owners;
}

/**
 * Ends the agents that run, gives back what they built, and forgets it: so much of it as could be given back, the rest
 * stays on record for the next attempt. Without anything left the state directory goes.
 * @throws CommandFailure naming a process that does not end
 */
export async function release({ directory, agents }: ReleaseRequest, progress: Progress): Promise<Released> {
  const running = openDeployment(directory).running.filter(({ role }) =>
    (agents as readonly string[]).includes(role),
  );
  const take = (): Promise<() => void> => takeOver(directory, { roles: agents, verb: 'release' });
  const pids = running.map(({ pid, role }) => `${pid} (${role})`).join(', ');
  const free = pids === '' ? await take() : await progress.step(`ending process ${pids}`, take);
  try {
    const deployment = openDeployment(directory);
    const given = await giveAll(deployment, agents, progress);
    if (isDone(directory)) fs.rmSync(directory, { recursive: true, force: true });
    return { agents, given };
  } finally {
    free();
  }
}

async function giveAll(
  deployment: Deployment,
  agents: readonly AgentName[],
  progress: Progress,
): Promise<GivenBack[]> {
  const records = new Records(join(deployment.directory, 'records'));
  records.read();
  const reconciler = new Reconciler({ announce: false });
  const given: GivenBack[] = [];
  for (const one of onRecord(deployment, agents)) {
    const subject = subjectOf(one);
    const result = await progress.step(`giving back ${title(subject)}`, () =>
      giveOne(one, deployment, reconciler),
    );
    if (result.problems.length === 0) records.remove(one.owner);
    given.push({ agent: AGENT_OF[one.record?.kind ?? ''] ?? 'l3', subject, ...result });
  }
  await reconciler.close();
  return given;
}

type Result = Pick<GivenBack, 'steps' | 'problems'>;

async function giveOne(one: Recorded, deployment: Deployment, reconciler: Reconciler): Promise<Result> {
  if (one.damage !== undefined) return { steps: 0, problems: [one.damage] };
  if (one.record?.kind === 'network') {
    await endAnnouncing(one);
    const { dhcp_confs } = dhcpOptions(optionsOf(deployment.facts.options, 'dhcp'));
    giveBack(networkDirectory(dhcp_confs, one.owner));
    return { steps: 0, problems: [] };
  }
  const wanted = rowsForNeutron(one, deployment);
  // Gone already: Neutron's agent builds it anew.
  if (!wanted || !namespaceExists(subjectOf(one).namespace)) return { steps: 0, problems: [] };
  prepare(reconciler, one, wanted);
  const { steps, failures } = await reconciler.reconcile(one.owner, 'release');
  return { steps, problems: failures.map(({ key, message }) => `${key}: ${message}`) };
}

/** Neutron's DHCP agent has no radvd, and would not know ours. That of a router is kept: its L3 agent has one. */
async function endAnnouncing({ groups }: Recorded): Promise<void> {
  const rows = groups.flat();
  for (const daemon of rows) {
    if (daemon.kind !== 'daemon' || daemon.service !== 'radvd') continue;
    await stopDaemon(daemon);
    for (const row of rows)
      if (row.kind === 'file' && row.reloads === daemon.key) fs.rmSync(row.path, { force: true });
  }
}

/** Nothing is on record any more, and nobody works with it. */
function isDone(directory: string): boolean {
  const { recorded, running } = openDeployment(directory);
  return recorded.length === 0 && running.length === 0;
}
