/**
 * The only code that changes the kernel. Takes ordered steps, runs them stage by stage in batches (one
 * netlink batch and one ruleset for a namespace and stage), and reports the outcome of each. It decides
 * nothing: order is plan's, retry is the reconciler's.
 */
import fs from 'node:fs';
import { dirname } from 'node:path';
import { addAddress, deleteAddress } from '../kernel/address.ts';
import { flushConntrack } from '../kernel/conntrack.ts';
import { counters } from '../kernel/counters.ts';
import { stopChecksumOffload } from '../kernel/ethtool.ts';
import { close, EADDRNOTAVAIL, EEXIST, ENODEV, ENOENT, ESRCH, KernelError } from '../kernel/libc.ts';
import { deleteNeighbour, replaceNeighbour } from '../kernel/neighbour.ts';
import { NETLINK_ROUTE, NetlinkSocket, type Refusal } from '../kernel/netlink.ts';
import { createNamespace, deleteNamespace, inNamespace, openNamespace } from '../kernel/netns.ts';
import type { NftChange } from '../kernel/nft-batch.ts';
import { deleteRoute, replaceRoute } from '../kernel/route.ts';
import { RuleList } from '../kernel/rule-list.ts';
import { writeSysctl } from '../kernel/sysctl.ts';
import { removeXtChains, restoreXtables } from '../kernel/xtables.ts';
import { isTaken, lacksIpv6, linkRequests, takePlace } from './link-requests.ts';
import { loadChanges } from './nft-load.ts';
import { NEUTRON_CHAINS } from './ownership.ts';
import { type Step, stageOf } from './plan.ts';
import type { LinkRow, NftElementRow, NftTableRow, RouteRow, Row } from './rows.ts';

export interface Outcome {
  readonly step: Step;
  /** the kernel's own words; undefined: done */
  readonly error?: string;
}

/** For tests: called before each step runs; throwing makes that step fail, exiting simulates a crash. */
export type StepHook = (step: Step) => void;

let hook: StepHook | undefined;
export const setStepHook = (next: StepHook | undefined): void => {
  hook = next;
};

const words = (refusal: Refusal): string => {
  const name = ERRNO_WORDS.get(refusal.errno) ?? `errno ${refusal.errno}`;
  return refusal.words ? `${refusal.words} (${name})` : name;
};

const ERRNO_WORDS = new Map([
  [1, 'operation not permitted'],
  [ENOENT, 'no such object'],
  [ESRCH, 'no such object'],
  [16, 'device or resource busy'],
  [EEXIST, 'exists already'],
  [ENODEV, 'no such device'],
  [22, 'invalid argument'],
  [95, 'not supported by this kernel'],
  [EADDRNOTAVAIL, 'no such address'],
  [101, 'network is unreachable'],
  [113, 'no route to host'],
]);

const EAFNOSUPPORT = 97;

/** What is gone already needs no removal. */
const ALREADY_GONE = new Set([ENOENT, ESRCH, ENODEV, EADDRNOTAVAIL]);

const isRuleset = ({ kind }: { kind: Row['kind'] }): boolean =>
  kind === 'nft-table' || kind === 'nft-element' || kind === 'xtables';
const rulesetOf = ({ ns }: { ns: string }): string => `${ns}|ruleset`;

/** One run of apply: the sockets it opened, the indexes it looked up, what failed. */
class Run {
  readonly outcomes: Outcome[] = [];
  private readonly sockets = new Map<string, NetlinkSocket>();
  private readonly descriptors = new Map<string, number>();
  private readonly ruleLists = new Map<string, RuleList>();
  private readonly indexes = new Map<string, number>();
  /** tables made, replaced or removed in this run: the elements they had are gone with no more ado */
  readonly emptied = new Set<string>();
  /** namespaces and devices whose creation failed: what stands on them is not tried */
  private readonly missing = new Set<string>();

  socket(ns: string): NetlinkSocket {
    let socket = this.sockets.get(ns);
    if (!socket) {
      socket = new NetlinkSocket(NETLINK_ROUTE, ns);
      this.sockets.set(ns, socket);
    }
    return socket;
  }

  /** A descriptor of a namespace, open until the run ends: the kernel reads it when the batch is sent. */
  descriptor(ns: string): number {
    const known = this.descriptors.get(ns);
    if (known !== undefined) return known;
    const fd = openNamespace(ns);
    this.descriptors.set(ns, fd);
    return fd;
  }

  close(): void {
    for (const socket of this.sockets.values()) socket.close();
    for (const fd of this.descriptors.values()) close(fd);
  }

  /** Forget a namespace's socket: the name is about to go, or another namespace got it. */
  forget(ns: string): void {
    this.sockets.get(ns)?.close();
    this.sockets.delete(ns);
    this.ruleLists.delete(ns);
  }

  /** Index of a device by name. @throws Error if there is none */
  index(ns: string, name: string): number {
    const key = `${ns}|${name}`;
    const known = this.indexes.get(key);
    if (known !== undefined) return known;
    const index = this.socket(ns).deviceIndex(name);
    if (index === undefined) throw new Error(`device ${name} does not exist`);
    this.indexes.set(key, index);
    return index;
  }

  /** The policy rules of a namespace, for the batch that changes them. */
  rules(ns: string): RuleList {
    let list = this.ruleLists.get(ns);
    if (!list) {
      list = new RuleList(this.socket(ns));
      this.ruleLists.set(ns, list);
    }
    return list;
  }

  report(step: Step, error?: string): void {
    this.outcomes.push(error === undefined ? { step } : { step, error });
    if (error === undefined || step.action === 'remove') return;
    const { row } = step;
    if (isRuleset(row)) this.missing.add(rulesetOf(row));
    if (row.kind === 'netns') this.missing.add(row.ns);
    if (row.kind === 'link') this.missing.add(`${row.ns}|${row.name}`);
  }

  /** Why a step can't be tried: what it stands on failed. */
  blocked(step: Step): string | undefined {
    const { row } = step;
    if (step.action === 'remove')
      return isRuleset(row) && this.missing.has(rulesetOf(row))
        ? 'what is to take its place could not be loaded'
        : undefined;
    if (this.missing.has(row.ns)) return `namespace ${row.ns} could not be made`;
    const dev = 'dev' in row ? row.dev : undefined;
    return dev !== undefined && this.missing.has(`${row.ns}|${dev}`)
      ? `device ${dev} could not be made`
      : undefined;
  }

  /** Run `fn` for one step and report how it went. */
  each(step: Step, fn: () => void): void {
    try {
      fn();
      this.report(step);
    } catch (error) {
      this.report(step, error instanceof Error ? error.message : String(error));
    }
  }
}

/** Steps allowed to run: not blocked, and not failed by a test's hook. */
function admitted(run: Run, steps: readonly Step[]): Step[] {
  return steps.filter((step) => {
    const reason = run.blocked(step);
    if (reason) {
      run.report(step, reason);
      return false;
    }
    if (!hook) return true;
    try {
      hook(step);
      return true;
    } catch (error) {
      run.report(step, (error as Error).message);
      return false;
    }
  });
}

function applyNamespaces(run: Run, steps: readonly Step[]): void {
  for (const step of steps)
    run.each(step, () => {
      run.forget(step.row.ns);
      if (step.action === 'remove') deleteNamespace(step.row.ns);
      else createNamespace(step.row.ns);
    });
}

function applySysctls(run: Run, ns: string, steps: readonly Step[]): void {
  inNamespace(ns, () => {
    for (const step of steps)
      run.each(step, () => {
        const { row } = step;
        if (row.kind !== 'sysctl' || step.action === 'remove') return;
        const known = writeSysctl(row.name, row.value);
        if (!known && !row.optional) throw new KernelError(`set ${row.name} = ${row.value}`, ENOENT);
      });
  });
}

const tableOf = (ns: string, { family, name }: { family: string; name: string }): string =>
  `${ns}|${family} ${name}`;

/** All ruleset changes of one namespace and direction as one transaction. */
function applyRuleset(run: Run, ns: string, steps: readonly Step[]): void {
  const changes: NftChange[] = [];
  const adding: NftElementRow[] = [];
  const removing: NftElementRow[] = [];
  for (const step of steps) {
    if (step.row.kind === 'nft-table') {
      if (step.action === 'remove') changes.push({ verb: 'delete table', table: step.row });
      else
        changes.push({
          verb: step.action === 'create' ? 'add table' : 'replace table',
          table: step.row as NftTableRow,
        });
    } else if (step.row.kind === 'nft-element') {
      if (step.action === 'remove') removing.push(step.row);
      else adding.push(step.row);
      if (step.action === 'change' && step.was?.kind === 'nft-element') removing.push(step.was);
    }
  }
  const emptied = steps.flatMap(({ row }) => (row.kind === 'nft-table' ? [tableOf(ns, row)] : []));
  const deletions = removing.filter(
    ({ family, table }) =>
      !run.emptied.has(tableOf(ns, { family, name: table })) &&
      !emptied.includes(tableOf(ns, { family, name: table })),
  );
  if (deletions.length > 0) changes.push({ verb: 'delete elements', elements: deletions });
  if (adding.length > 0) changes.push({ verb: 'add elements', elements: adding });
  let error: string | undefined;
  try {
    loadChanges(ns, changes);
    for (const table of emptied) run.emptied.add(table);
    const fresh = steps.some(({ row, action }) => row.kind === 'nft-table' && action === 'create');
    if (!fresh) dropUntranslated(ns, adding);
  } catch (refused) {
    error = (refused as Error).message;
  }
  for (const step of steps) run.report(step, error);
}

/** Rules in the tables of iptables. */
function applyXtables(run: Run, ns: string, steps: readonly Step[]): void {
  for (const step of steps)
    run.each(step, () => {
      if (step.row.kind !== 'xtables') return;
      if (step.action !== 'create') removeXtChains(ns, step.row.family, NEUTRON_CHAINS);
      if (step.action !== 'remove') restoreXtables(ns, step.row.family, step.row.rules);
    });
}

/**
 * A peer that went on sending to an address nobody had left connections that are not translated. They must end
 * before the address is there, or it would answer them itself (feature C8).
 */
function dropUntranslated(ns: string, added: readonly NftElementRow[]): void {
  flushConntrack(ns, [...new Set(added.flatMap((row) => row.flushConntrack ?? []))]);
}

const kernelRoute = (run: Run, row: RouteRow) => ({
  ...row,
  nexthops: row.nexthops.map(({ via, dev, weight }) => ({
    via,
    index: dev === undefined ? undefined : run.index(row.ns, dev),
    weight,
  })),
});

/** The netlink requests of one step. @throws Error if a device it names is not there */
function requests(run: Run, step: Step): Buffer[] {
  const { row } = step;
  const removing = step.action === 'remove';
  switch (row.kind) {
    case 'link':
      return linkRequests(run, step);
    case 'address': {
      const index = run.index(row.ns, row.dev);
      // A replaced address keeps its scope: only a new one gets another.
      const again = step.action === 'change' ? [deleteAddress(index, row)] : [];
      return removing ? [deleteAddress(index, row)] : [...again, addAddress(index, row)];
    }
    case 'route':
      return [removing ? deleteRoute(kernelRoute(run, row)) : replaceRoute(kernelRoute(run, row))];
    case 'rule':
      return [
        ...(step.action === 'create' ? [] : run.rules(row.ns).delete({ ...row, table: 0 })),
        ...(removing ? [] : run.rules(row.ns).add(row)),
      ];
    case 'neighbour': {
      const entry = { ...row, index: run.index(row.ns, row.dev) };
      return [removing ? deleteNeighbour(entry) : replaceNeighbour(entry)];
    }
    default:
      return [];
  }
}

/** Collect the requests of all steps, send them as one batch, hand each step its own answer. */
function applyNetlink(run: Run, ns: string, steps: readonly Step[]): void {
  const batch: Buffer[] = [];
  const ranges: { step: Step; from: number; to: number }[] = [];
  for (const step of steps) {
    try {
      const from = batch.length;
      batch.push(...requests(run, step));
      ranges.push({ step, from, to: batch.length });
    } catch (error) {
      if (step.action === 'remove') run.report(step);
      else run.report(step, (error as Error).message);
    }
  }
  const answers = batch.length > 0 ? run.socket(ns).transact(batch) : [];
  for (const { step, from, to } of ranges) {
    const given = answers.slice(from, to);
    const refusal = (isTaken(step, given) ? takePlace(run, step) : given).find(
      (answer) => answer !== undefined && !harmless(step, answer),
    );
    if (refusal || !computesChecksums(step)) run.report(step, refusal && words(refusal));
    else run.each(step, () => inNamespace(ns, () => stopChecksumOffload((step.row as LinkRow).name)));
  }
}

const computesChecksums = ({ action, row }: Step): boolean =>
  action !== 'remove' && row.kind === 'link' && row.checksumOffload === false;

const harmless = (step: Step, refusal: Refusal): boolean =>
  step.action === 'remove'
    ? ALREADY_GONE.has(refusal.errno)
    : step.action === 'change' && refusal.errno === EAFNOSUPPORT && lacksIpv6(step);

/** Without a Buffer between: a network with many ports has long files. */
function writeWhole(path: string, content: string, mode: number): void {
  const fd = fs.openSync(path, 'w', mode);
  try {
    const written = fs.writeSync(fd, content);
    const wanted = Buffer.byteLength(content);
    if (written !== wanted) throw new Error(`${path}: ${written} of ${wanted} bytes were written`);
  } finally {
    fs.closeSync(fd);
  }
}

function writeFile(path: string, content: string, mode: number): void {
  const temporary = `${path}.new`;
  counters.writes += 1;
  const write = (): void => writeWhole(temporary, content, mode);
  try {
    write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    fs.mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    write();
  }
  fs.chmodSync(temporary, mode);
  fs.renameSync(temporary, path);
}

function applyFiles(run: Run, steps: readonly Step[]): void {
  for (const step of steps)
    run.each(step, () => {
      if (step.row.kind !== 'file') return;
      if (step.action === 'remove') fs.rmSync(step.row.path, { force: true });
      else writeFile(step.row.path, step.row.content, step.row.mode);
    });
}

/** Stages of one kind of kernel interface that run together. */
function runStage(run: Run, ns: string, kind: Row['kind'], steps: readonly Step[]): void {
  const todo = admitted(run, steps);
  if (todo.length === 0) return;
  try {
    if (kind === 'netns') applyNamespaces(run, todo);
    else if (kind === 'sysctl') applySysctls(run, ns, todo);
    else if (kind === 'nft-table' || kind === 'nft-element') applyRuleset(run, ns, todo);
    else if (kind === 'xtables') applyXtables(run, ns, todo);
    else if (kind === 'file') applyFiles(run, todo);
    else applyNetlink(run, ns, todo);
  } catch (error) {
    // The namespace went away under us, or it refuses its sockets: every step of the stage failed.
    const reported = new Set(run.outcomes.map((outcome) => outcome.step));
    for (const step of todo) if (!reported.has(step)) run.report(step, (error as Error).message);
  }
}

/** Steps of one namespace that may go in one batch: the ruleset whole, netlink by stage. */
const batchOf = (step: Step): string => {
  const stage = stageOf(step.row as Row);
  return stage.startsWith('nft-') ? 'nft' : stage;
};

/** Runs of neighbouring steps with the same direction, namespace and batch. */
function batches(steps: readonly Step[]): Step[][] {
  const groups: Step[][] = [];
  let last: { key: string; steps: Step[] } | undefined;
  const byKey = new Map<string, Step[]>();
  let stage = '';
  for (const step of steps) {
    const now = `${step.action === 'remove'}|${batchOf(step)}`;
    if (now !== stage) {
      byKey.clear();
      stage = now;
    }
    const key = step.row.ns;
    const open = byKey.get(key);
    if (open) open.push(step);
    else {
      last = { key, steps: [step] };
      byKey.set(key, last.steps);
      groups.push(last.steps);
    }
  }
  return groups;
}

/** Connections to addresses that went or changed hands are dropped once the rules are in place. */
function flushMoved(run: Run): void {
  const byNamespace = new Map<string, Set<string>>();
  // Where the whole table went, others translate from now on.
  const left = new Set(
    run.outcomes.flatMap(({ step: { action, row } }) =>
      action === 'remove' && row.kind === 'nft-table' ? [row.ns] : [],
    ),
  );
  for (const { step, error } of run.outcomes) {
    if (error || step.action === 'create') continue;
    if (step.row.kind === 'nft-element' && left.has(step.row.ns)) continue;
    const was = step.action === 'remove' ? step.row : step.was;
    const ip = flushAddress(step.row as Row) ?? (was && flushAddress(was as Row));
    if (ip) byNamespace.set(step.row.ns, (byNamespace.get(step.row.ns) ?? new Set()).add(ip));
  }
  for (const [ns, addresses] of byNamespace) {
    try {
      flushConntrack(ns, [...addresses]);
    } catch {
      // The namespace is gone, and its connections with it.
    }
  }
}

const flushAddress = (row: Row): string | undefined => {
  if (row.kind === 'address') return row.flushConntrack ? row.ip : undefined;
  return row.kind === 'nft-element' ? row.flushConntrack : undefined;
};

/**
 * Apply all steps but daemons and switch ports, synchronously. Steps on what could not be made are reported as failed and not
 * tried; every other failure stops nothing.
 */
export function apply(steps: readonly Step[]): readonly Outcome[] {
  const run = new Run();
  try {
    for (const batch of batches(steps.filter(({ row }) => row.kind !== 'daemon' && row.kind !== 'ovs-port')))
      runStage(run, batch[0]!.row.ns, batch[0]!.row.kind, batch);
    flushMoved(run);
  } finally {
    run.close();
  }
  return run.outcomes;
}
