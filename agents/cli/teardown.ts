/** Removal of a deployment: everything on record, the processes in it, its state directory. */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { deleteNamespace, listNamespaces, namespaceExists, namespaceInode } from '../../lib/kernel/netns.ts';
import { type ProcessState, readProcess, stopProcess } from '../../lib/kernel/process.ts';
import { describeRow } from '../../lib/namespace/describe.ts';
import type { Step } from '../../lib/namespace/plan.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import { ROOT_MARK } from '../../lib/standalone/deployment.ts';
import { l3Options } from '../l3/options.ts';
import { giveBackPrefixes } from '../l3/standalone.ts';
import { asSeen } from './as-seen.ts';
import { type Deployment, openDeployment, type Recorded, recall } from './deployment.ts';
import { optionsOf } from './parts.ts';
import type { Progress } from './progress.ts';
import { recordedSwitch } from './recorded-switch.ts';
import { takeOver } from './running.ts';
import { plural, subjectOf, title } from './subject.ts';

export interface TornDown {
  readonly name: string;
  /** routers, networks, instances and bridges removed */
  readonly removed: number;
  /** what is still there and why, one sentence each; empty: all is gone */
  readonly problems: readonly string[];
}

/** Instances first, bridges last: a bridge goes when nothing is plugged into it any more. */
const PHASES: readonly (readonly [kind: string, noun: string])[] = [
  ['instance', 'instance'],
  ['network', 'DHCP namespace'],
  ['router', 'router'],
  ['segment', 'bridge'],
];

/** Removes a deployment. State of what could not be removed stays, so that this can be tried again. */
export async function tearDown(directory: string, progress: Progress): Promise<TornDown> {
  const running = [...new Set(openDeployment(directory).running.map(({ pid }) => pid))];
  const take = (): Promise<() => void> => takeOver(directory);
  const release =
    running.length > 0 ? await progress.step(`ending process ${running.join(', ')}`, take) : await take();
  try {
    const deployment = openDeployment(directory);
    const problems = await removeAll(deployment, progress);
    if (problems.length === 0) removeState(directory);
    return { name: deployment.facts.name, removed: deployment.recorded.length, problems };
  } finally {
    release();
  }
}

async function removeAll(deployment: Deployment, progress: Progress): Promise<string[]> {
  const { directory, recorded, facts } = deployment;
  const records = new Records(join(directory, 'records'));
  records.read();
  const inodes = namespacesOf(recorded);
  const inside = processes().filter(({ netns }) => inodes.has(netns));
  const reconciler = new Reconciler({ records, ...(await recordedSwitch(facts)) });
  for (const one of recorded) recall(reconciler, one);
  for (const [kind, noun] of PHASES) {
    const owners = recorded.filter(({ record, damage }) => damage === undefined && record?.kind === kind);
    if (owners.length === 0) continue;
    await progress.step(`removing ${plural(owners.length, noun)}`, async () => {
      for (const { owner, record } of owners) {
        if (record) await giveBackPrefixes(record, l3Options(optionsOf(facts.options, 'l3')));
        reconciler.removeOwner(owner);
        await reconciler.reconcile(owner, 'down');
      }
    });
  }
  await reconciler.close();
  removeUnmountedNames(recorded);
  const left = await stopLeftOver(inodes, inside, directory);
  return [...(await remains(deployment, records)), ...left];
}

/** Namespaces as they are now: processes are found by them when the names are gone. */
function namespacesOf(recorded: readonly Recorded[]): ReadonlySet<number> {
  const names = recorded.flatMap(({ groups }) => groups.flat()).filter((row) => row.kind === 'netns');
  return new Set(names.flatMap((row) => namespaceInode(row.ns) ?? []));
}

/** A namespace whose maker was killed between making its file and mounting it is a plain file. */
function removeUnmountedNames(recorded: readonly Recorded[]): void {
  for (const row of recorded.flatMap(({ groups }) => groups.flat()))
    if (row.kind === 'netns' && listNamespaces().includes(row.ns) && !namespaceExists(row.ns))
      deleteNamespace(row.ns);
}

/**
 * A daemon whose pid file was not written yet when its starter was killed is known by its namespace and by
 * the deployment's directory in its arguments. Whatever else was `inside` is an operator's and is named.
 */
async function stopLeftOver(
  inodes: ReadonlySet<number>,
  inside: readonly ProcessState[],
  directory: string,
): Promise<string[]> {
  const isOurs = ({ argv }: ProcessState): boolean => argv.some((arg) => arg.includes(`${directory}/`));
  for (const state of processes()) if (inodes.has(state.netns) && isOurs(state)) await stopProcess(state);
  return inside
    .filter((state) => !isOurs(state) && readProcess(state.pid)?.startTime === state.startTime)
    .map(({ pid, argv }) => `process ${pid} (${argv[0] ?? '?'}) still runs in a removed namespace: end it`);
}

const processes = (): ProcessState[] =>
  fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readProcess(Number(pid)) ?? []);

/** Looks again with fresh eyes; what is still there stays on record. */
async function remains({ recorded, facts }: Deployment, records: Records): Promise<string[]> {
  const reconciler = new Reconciler(await recordedSwitch(facts));
  for (const one of recorded) recall(reconciler, one);
  for (const { owner } of recorded) reconciler.removeOwner(owner);
  const told = new Set<string>();
  const left = recorded.flatMap((one) => {
    const name = title(subjectOf(one));
    if (one.damage !== undefined) return [`${name}: ${one.damage}`];
    const problems = leftOf(reconciler, one, told).map((problem) => `${name}: ${problem}`);
    if (problems.length > 0) records.save(one.owner, one.record);
    return problems;
  });
  await reconciler.close();
  return left;
}

function leftOf(reconciler: Reconciler, { owner }: Recorded, told: Set<string>): string[] {
  try {
    const steps = reconciler.plan(owner).filter((step) => !told.has(step.row.key));
    for (const { row } of steps) told.add(row.key);
    return steps.map(({ row }) => `still there: ${describeRow(asSeen(row))}${whyLeft(row)}`);
  } catch (error) {
    return [`it could not be read: ${(error as Error).message}`];
  }
}

const whyLeft = (row: Step['row']): string =>
  row.kind === 'link' && row.type === 'bridge' ? ' (something else is plugged into it)' : '';

/** The root goes too if Viaduct made it and this was the last deployment. */
function removeState(directory: string): void {
  fs.rmSync(directory, { recursive: true, force: true });
  const root = dirname(directory);
  const left = fs.readdirSync(root);
  if (left.length === 1 && left[0] === ROOT_MARK) fs.rmSync(root, { recursive: true, force: true });
}
