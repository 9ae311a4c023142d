/**
 * The loop around the library: what each owner wants → what differs → steps → done, again on failure (with
 * backoff) and on drift (when the kernel tells). One owner's trouble stays its own.
 */
import { reloadDaemon, runningDaemon, startDaemon, stopDaemon } from '../daemon/control.ts';
import { Monitor } from '../kernel/monitor.ts';
import { listNamespaces, namespaceInode } from '../kernel/netns.ts';
import { readProcess } from '../kernel/process.ts';
import type { ActualRow } from './actual.ts';
import { Announcer } from './announcer.ts';
import { apply, type Outcome } from './apply.ts';
import { DaemonWatch } from './daemon-watch.ts';
import { Delta } from './delta.ts';
import { Drift } from './drift.ts';
import { FileWatch } from './file-watch.ts';
import { Memory } from './memory.ts';
import { type Change, plan, type Step } from './plan.ts';
import { addPorts, applyPorts, type PortSwitch, portKey, portSteps, withoutOrphans } from './port-switch.ts';
import { backoffDelay, DEFAULT_BACKOFF } from './queue.ts';
import { readNamespace, readUnlisted } from './read.ts';
import type { Records } from './records.ts';
import { Resting } from './resting.ts';
import { type DaemonRow, HOST, type NamespaceName, type Row, type RowGroup } from './rows.ts';
import { Sealing } from './sealing.ts';

export interface Failure {
  readonly ns: NamespaceName;
  readonly key: string;
  readonly message: string;
}

export interface Reconciled {
  /** steps done */
  readonly steps: number;
  readonly failures: readonly Failure[];
}

/** One reconciliation that did something, for the journal and the log. */
export interface Report {
  readonly owner: string;
  readonly cause: string;
  readonly outcomes: readonly Outcome[];
  readonly ms: number;
}

export interface ReconcilerSettings {
  /** where owners are remembered; none in tests that don't restart */
  readonly records?: Records;
  /** where rows of kind ovs-port live; closed with the reconciler */
  readonly portSwitch?: PortSwitch;
  /** listen to the kernel and repair what others change */
  readonly heal?: boolean;
  readonly onReport?: (report: Report) => void;
  readonly onError?: (message: string) => void;
  /** directory of scripts that end daemons in our place; see lib/daemon/control.ts */
  readonly killScripts?: string;
  /** A daemon has ended by itself. By default it is started again. */
  readonly onDaemonEnd?: (row: DaemonRow) => 'respawn' | 'leave';
  /** announce added addresses; off in benchmarks of the kernel floor */
  readonly announce?: boolean;
}

/** What may have changed in the meantime is looked at after this. */
const SETTLE_MS = 50;
/** A first full sync that takes longer than this is listened to while it goes on. */
const DEAF_MS = 10_000;
/** A step may have effects of its own (a device takes its routes along): look again at most this often. */
const PASSES = 4;

export class Reconciler {
  readonly delta = new Delta();
  private readonly settings: ReconcilerSettings;
  private readonly monitor: Monitor | undefined;
  private readonly announcer = new Announcer();
  /** without records there is no next process to seal for */
  private readonly sealing: Sealing | undefined;
  private readonly resting = new Resting();
  private readonly running = new Map<string, Promise<unknown>>();
  private readonly failures = new Map<string, number>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly inodes = new Map<NamespaceName, number>();
  private readonly drift: Drift;
  private readonly memory: Memory | undefined;
  private readonly daemons: DaemonWatch | undefined;
  private readonly fileWatch = new FileWatch((key) => this.drift.file(key));
  /** owners of which only an earlier process has said what they want */
  private readonly expected = new Set<string>();
  private listens = false;
  /** to be watched once there is listening */
  private readonly unwatched = new Set<NamespaceName>();
  private listenTimer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(settings: ReconcilerSettings = {}) {
    this.settings = settings;
    const { records, onDaemonEnd, onError } = settings;
    const { delta } = this;
    const read = (ns: NamespaceName) => this.readRows(ns);
    this.drift = new Drift({
      delta,
      read,
      busy: () => new Set(this.running.keys()),
      rests: (ns) => this.restsIn(ns),
      looked: (ns) => this.soonSeal(ns),
      repair: (busy) => this.repair(busy),
    });
    if (records) {
      this.memory = new Memory(records, delta);
      this.sealing = new Sealing({ records, delta, read, drifted: () => this.drift.soon() });
    }
    settings.portSwitch?.follow((name) => this.portChanged(name));
    if (!settings.heal) return;
    this.monitor = new Monitor({
      changed: (ns, sight) => this.drift.namespace(ns, sight),
      hostLink: (name) => this.suspectHostLink(name),
      namespace: (name) => this.suspectName(name),
      deaf: (reason) =>
        onError?.(
          `${reason}; namespaces removed by hand are noticed late: raise fs.inotify.max_user_instances`,
        ),
      overflow: () => {
        this.lookEverywhere();
      },
    });
    const again = (owner: string, delay: number): void => this.later(owner, delay, 'drift');
    this.daemons = new DaemonWatch({ delta, monitor: this.monitor, again, onEnd: onDaemonEnd, onError });
  }

  /**
   * Replace what an owner wants; nothing is done yet. `record` is what to remember it by (its payload), `basis` stands
   * for all else its rows follow from (options, host): with both, a later process can tell that nothing has changed.
   */
  setDesired(owner: string, groups: readonly RowGroup[], record?: unknown, basis?: string): void {
    this.wake(owner);
    this.expected.delete(owner);
    this.memory?.recall(owner, groups);
    this.delta.setDesired(owner, groups);
    this.sealing?.based(owner, basis);
    if (record !== undefined) this.memory?.note(owner, record);
  }

  /**
   * What an owner wanted when an earlier process was last told. It counts for what others want, and is what is removed
   * if the owner has gone; but nothing is done about it before `confirm`, `setDesired` or `removeOwner`: it may be out of
   * date. `rows` is not called as long as the owner rests.
   */
  expect(owner: string, rows: () => readonly RowGroup[], basis?: string): void {
    const seal = basis === undefined ? undefined : this.sealing?.recall(owner, basis);
    if (!seal) this.setDesired(owner, rows());
    else {
      this.resting.add(owner, seal, rows);
      this.delta.setDesired(owner, [seal.outside]);
      this.sealing?.based(owner, basis);
    }
    this.expected.add(owner);
  }

  /**
   * Does an owner that is expected want the same as before, and is all of it as an earlier process left it? Then nothing
   * has to be compiled, and it goes on resting. False: `setDesired` must say what is wanted.
   */
  async confirm(owner: string, record: unknown, basis: string): Promise<boolean> {
    const text = this.settings.records?.text(owner);
    if (!this.resting.has(owner) || text === undefined || text !== JSON.stringify(record)) return false;
    // Its seal was found to fit the record and this basis.
    if (!this.sealing?.isBased(owner, basis)) return false;
    this.soonListen(performance.now());
    const { portSwitch } = this.settings;
    if (portSwitch) await portSwitch.ready();
    this.read(owner);
    if (this.delta.changes(owner).length > 0 || !this.resting.isIntact(owner)) return false;
    this.expected.delete(owner);
    this.watchHomes(owner);
    return true;
  }

  /** The owner wants nothing any more. */
  removeOwner(owner: string): void {
    this.wake(owner);
    this.expected.delete(owner);
    this.memory?.drop(owner);
    this.memory?.recall(owner, []);
    this.delta.setDesired(owner, []);
  }

  /** Somebody ended the process of this row, on purpose: if it is still wanted the next run starts it again. */
  ended(row: DaemonRow): void {
    this.daemons?.forget(row);
    this.delta.setActualRow(row.ns, row.key, undefined);
  }

  /** What would be done now, in order; nothing is done. */
  plan(owner: string): Step[] {
    this.wake(owner);
    this.read(owner);
    return plan(this.delta.changes(owner));
  }

  /**
   * Make what is what the owner wants. Runs of one owner follow each other; the answer tells what was done
   * and what the kernel refused (that is tried again with backoff).
   */
  reconcile(owner: string, cause = 'update'): Promise<Reconciled> {
    const before = this.running.get(owner) ?? Promise.resolve();
    const next = before.then(
      () => this.run(owner, cause),
      () => this.run(owner, cause),
    );
    this.running.set(owner, next);
    const clear = (): void => {
      if (this.running.get(owner) === next) this.running.delete(owner);
    };
    next.then(clear, clear);
    return next;
  }

  /** Owners being worked on, waiting for a retry, or with drift noticed. */
  get pending(): number {
    const open = new Set([...this.running.keys(), ...this.timers.keys()]).size;
    return open + (this.drift.pending ? 1 : 0);
  }

  /** Resolves when nothing is running (retries that wait for their time don't count). */
  async settled(): Promise<void> {
    while (this.running.size > 0) await Promise.allSettled(this.running.values());
    await this.announcer.sent();
  }

  /** Stop listening and retrying. What was built stays. */
  async close(): Promise<void> {
    this.closed = true;
    this.drift.close();
    clearTimeout(this.listenTimer);
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
    await this.settled();
    this.memory?.flush();
    this.sealing?.finish();
    this.daemons?.close();
    this.settings.portSwitch?.close();
    this.announcer.close();
    this.fileWatch.close();
    this.monitor?.close();
  }

  // --- one run -----------------------------------------------------------------------------------------

  private read(owner: string): void {
    for (const ns of this.delta.namespacesOf(owner)) {
      if (!this.delta.isRead(ns)) this.readFirst(owner, ns);
      else if (ns === HOST) this.readMore(owner);
    }
  }

  private readFirst(owner: string, ns: NamespaceName): void {
    this.delta.setActual(ns, this.readRows(ns, this.delta.formerIn(owner, ns)));
  }

  private readRows(ns: NamespaceName, former: readonly Row[] = []): Map<string, ActualRow> {
    const wanted = [...this.delta.desiredIn(ns), ...former];
    const rows = readNamespace(ns, wanted);
    const { portSwitch } = this.settings;
    if (ns === HOST && portSwitch) addPorts(rows, portSwitch, wanted, this.isWanted);
    return rows;
  }

  /** The host's namespace was read for others: what this owner wants of it, and can't be listed, is looked up. */
  private readMore(owner: string): void {
    for (const row of readUnlisted(this.delta.unseenBy(owner, HOST)))
      this.delta.setActualRow(HOST, row.key, row);
  }

  private readonly isWanted = (key: string): boolean => this.delta.desired(key) !== undefined;

  private async run(owner: string, cause: string): Promise<Reconciled> {
    const started = performance.now();
    this.soonListen(started);
    const outcomes: Outcome[] = [];
    await this.settings.portSwitch?.ready();
    this.wake(owner);
    for (let pass = 0; pass < PASSES; pass++) {
      this.read(owner);
      const changes = this.delta.changes(owner);
      if (changes.length === 0) break;
      if (pass === 0) this.memory?.before(owner, changes);
      const done = await this.pass(owner, changes);
      outcomes.push(...done);
      if (done.some((outcome) => outcome.error !== undefined)) break;
      if (!this.lookAgain(owner, done)) break;
    }
    this.conclude(owner);
    return this.summarise(owner, cause, outcomes, performance.now() - started);
  }

  /** Stop what goes, change the kernel in one go, start and reload what comes. */
  private async pass(owner: string, changes: readonly Change[]): Promise<Outcome[]> {
    const steps = plan(changes);
    const stopping = steps.filter((step) => step.row.kind === 'daemon' && step.action !== 'create');
    for (const step of stopping) await this.stop(step);
    const { portSwitch } = this.settings;
    const ports = portSteps(steps, portSwitch, this.isWanted);
    const outcomes = [...(await applyPorts(ports.before, portSwitch))];
    outcomes.push(...apply(withoutOrphans(steps, outcomes)));
    outcomes.push(...(await applyPorts(ports.after, portSwitch)));
    const broken = new Set(
      outcomes.flatMap((o) => (o.error && !isTolerated(o.step.row) ? [o.step.row.ns] : [])),
    );
    const byKey = new Map(changes.map((change) => [change.key, change]));
    for (const step of steps) if (step.row.kind === 'daemon') outcomes.push(await this.daemon(step, broken));
    this.settle(owner, outcomes, byKey);
    this.reload(outcomes);
    if (this.settings.announce !== false) this.announcer.take(outcomes);
    return outcomes;
  }

  private async stop(step: Step): Promise<void> {
    const row = step.row as DaemonRow;
    this.daemons?.forget(row);
    await stopDaemon(row, this.settings.killScripts);
  }

  private async daemon(step: Step, broken: ReadonlySet<NamespaceName>): Promise<Outcome> {
    if (step.action === 'remove') return { step };
    const row = step.row as DaemonRow;
    if (broken.has(row.ns)) return { step, error: 'what it needs could not be made' };
    // Its namespace was removed by hand and made again: the one in the old has the pid file, and serves nobody.
    const former = runningDaemon(row);
    if (former && isNameless(former.netns)) await this.stop(step);
    const exit = await startDaemon(row);
    if (!exit.ok) return { step, error: exit.words };
    return { step };
  }

  private settle(owner: string, outcomes: readonly Outcome[], byKey: ReadonlyMap<string, Change>): void {
    const refused = new Set<NamespaceName>();
    for (const { step, error } of outcomes) {
      const change = byKey.get(step.row.key);
      if (error !== undefined) refused.add(step.row.ns);
      else if (change) this.delta.done(owner, change);
    }
    for (const ns of refused) this.delta.forget(ns);
  }

  /** Files changed under a daemon that went on running: it reads them again, once. */
  private reload(outcomes: readonly Outcome[]): void {
    const restarted = new Set(
      outcomes.flatMap((o) => (o.step.row.kind === 'daemon' ? [o.step.row.key] : [])),
    );
    const keys = new Set<string>();
    for (const { step, error } of outcomes)
      if (!error && step.row.kind === 'file' && step.row.reloads && !restarted.has(step.row.reloads))
        keys.add(step.row.reloads);
    for (const key of keys) {
      const row = this.delta.desired(key);
      if (row?.kind === 'daemon') reloadDaemon(row, this.settings.killScripts);
    }
  }

  /** Removing a device or address may have taken routes along: read such namespaces again. */
  private lookAgain(owner: string, outcomes: readonly Outcome[]): boolean {
    const disturbed = new Set<NamespaceName>();
    for (const { step } of outcomes) {
      const { row } = step;
      // Another port has another device.
      if (row.kind === 'ovs-port' && step.action === 'change')
        for (const { ns } of this.delta.standingOf(owner)) disturbed.add(ns);
      const strong = row.kind === 'link' || row.kind === 'address';
      if (strong && step.action !== 'create' && row.ns !== HOST) disturbed.add(row.ns);
    }
    let again = false;
    for (const ns of disturbed) {
      if (!this.delta.isRead(ns)) continue;
      this.delta.setActual(ns, this.readRows(ns));
      again = true;
    }
    return again;
  }

  /** Namespaces and daemons of the owner are watched from now on; removed ones no longer. */
  private conclude(owner: string): void {
    this.memory?.after(owner);
    if (this.delta.wantsNothing(owner) && !this.delta.isDirty(owner)) this.sealing?.gone(owner);
    else this.sealing?.soon(owner);
    if (!this.monitor) return;
    for (const row of this.delta.standingOf(owner)) {
      if (row.kind === 'netns') this.watchNamespace(row.ns);
      else if (row.kind === 'daemon') this.daemons?.follow(owner, row);
      else this.fileWatch.watch(row);
    }
  }

  private summarise(owner: string, cause: string, outcomes: readonly Outcome[], ms: number): Reconciled {
    const failures = outcomes.flatMap(({ step, error }) =>
      error === undefined ? [] : [{ ns: step.row.ns, key: step.row.key, message: error }],
    );
    if (outcomes.length > 0) this.settings.onReport?.({ owner, cause, outcomes, ms });
    if (failures.length > 0) this.retry(owner, failures);
    else this.failures.delete(owner);
    return { steps: outcomes.length - failures.length, failures };
  }

  // --- owners at rest ------------------------------------------------------------------------------------

  /** From now on its rows are in the delta. */
  private wake(owner: string): void {
    const groups = this.resting.wake(owner);
    if (groups) this.delta.setDesired(owner, groups);
  }

  /** Does an owner rest there, undisturbed? One that is disturbed wakes. */
  private restsIn(ns: NamespaceName): boolean {
    const owner = this.resting.ownerIn(ns);
    if (owner === undefined) return false;
    if (this.resting.isIntact(owner)) return true;
    this.wake(owner);
    return false;
  }

  private watchHomes(owner: string): void {
    if (this.monitor) for (const ns of this.resting.namespacesOf(owner)) this.watchNamespace(ns);
  }

  /** What was found in the namespace, its owners' seals are of the past. */
  private soonSeal(ns: NamespaceName): void {
    if (!this.sealing || ns === HOST) return;
    const keys = this.delta.desiredIn(ns).map((row) => row.key);
    for (const owner of new Set(keys.flatMap((key) => this.delta.ownersOf(key)))) this.sealing.soon(owner);
  }

  // --- again ---------------------------------------------------------------------------------------------

  private retry(owner: string, failures: readonly Failure[]): void {
    const attempts = (this.failures.get(owner) ?? 0) + 1;
    this.failures.set(owner, attempts);
    const tolerated = failures.every(({ key }) => isTolerated(this.delta.desired(key)));
    const delay = tolerated
      ? DEFAULT_BACKOFF.longest
      : backoffDelay(attempts, DEFAULT_BACKOFF, Math.random());
    this.later(owner, delay, 'retry');
  }

  private later(owner: string, delay: number, cause: string): void {
    if (this.closed) return;
    clearTimeout(this.timers.get(owner));
    const timer = setTimeout(() => {
      this.timers.delete(owner);
      this.again(owner, cause);
    }, delay);
    this.timers.set(owner, timer);
  }

  // --- drift ---------------------------------------------------------------------------------------------

  /**
   * The kernel's events are heard once the first owners (a full sync) are done: while nobody hears them the kernel makes
   * none. What was read or made until then is looked at once more.
   */
  private soonListen(since: number): void {
    if (!this.monitor || this.closed || this.listens || this.listenTimer) return;
    this.listenTimer = setTimeout(() => {
      this.listenTimer = undefined;
      if (this.running.size > 0 && performance.now() - since < DEAF_MS) this.soonListen(since);
      else this.listen();
    }, SETTLE_MS);
  }

  private listen(): void {
    this.listens = true;
    for (const ns of this.unwatched) this.watchNamespace(ns);
    this.unwatched.clear();
    this.monitor?.listen();
    this.lookEverywhere();
  }

  private lookEverywhere(): void {
    for (const ns of this.delta.namespaces()) this.drift.namespace(ns);
    for (const ns of this.resting.namespaces()) this.drift.namespace(ns);
  }

  private suspectHostLink(name: string): void {
    for (const owner of this.delta.ownersOf(portKey(name))) this.suspectOwner(owner);
    this.drift.hostLink(name);
  }

  /** A switch that was started again makes its devices anew, and those in the namespaces are no longer its own. */
  private suspectOwner(owner: string): void {
    for (const { ns } of this.delta.standingOf(owner)) this.drift.namespace(ns);
    for (const ns of this.resting.namespacesOf(owner)) this.drift.namespace(ns);
    if (this.timers.has(owner)) this.later(owner, SETTLE_MS, 'drift');
  }

  /** Ports were changed by another program, or the database was away and all may have been. */
  private portChanged(name: string | undefined): void {
    if (this.closed || !this.delta.isRead(HOST)) return;
    const row = name === undefined ? undefined : this.delta.desired(portKey(name));
    if (name === undefined) this.delta.setActual(HOST, this.readRows(HOST));
    else if (row?.kind === 'ovs-port')
      this.delta.setActualRow(HOST, row.key, this.settings.portSwitch?.port(row.name, row.bridge));
    else return;
    if (name === undefined)
      for (const owner of this.delta.dirtyOwners())
        if (this.timers.has(owner)) this.later(owner, SETTLE_MS, 'retry');
    if (this.monitor) this.drift.soon();
  }

  /** A name under /run/netns came or went. Those this process made itself are known by their inode. */
  private suspectName(name: string): void {
    if (!this.inodes.has(name) || this.inodes.get(name) === namespaceInode(name)) return;
    this.monitor?.unwatch(name);
    this.inodes.delete(name);
    this.drift.namespace(name);
  }

  private repair(busy: ReadonlySet<string>): void {
    for (const owner of this.delta.dirtyOwners())
      if (!busy.has(owner) && !this.timers.has(owner) && !this.expected.has(owner))
        this.again(owner, 'drift');
  }

  private again(owner: string, cause: string): void {
    this.reconcile(owner, cause).catch((error: unknown) =>
      this.settings.onError?.(`${owner}: ${String(error)}`),
    );
  }

  private watchNamespace(ns: NamespaceName): void {
    if (!this.listens) {
      this.unwatched.add(ns);
      return;
    }
    const inode = namespaceInode(ns);
    if (inode === undefined || this.inodes.get(ns) === inode) return;
    this.inodes.set(ns, inode);
    this.monitor?.unwatch(ns);
    this.monitor?.watch(ns);
  }
}

/** No name under /run/netns is left of the namespace, and it is not the host's. */
const isNameless = (inode: number): boolean =>
  inode !== readProcess(process.pid)?.netns &&
  listNamespaces().every((name) => namespaceInode(name) !== inode);

/** Its failure is the tenant's own affair: nothing waits for it. */
const isTolerated = (row: Step['row'] | Row | undefined): boolean => row?.kind === 'route' && row.tolerant;

/** Rows in the order they would be made, for showing. */
export const inOrder = (rows: readonly Row[]): Row[] =>
  plan(rows.map((row) => ({ key: row.key, desired: row, reason: 'wanted' }))).map((step) => step.row as Row);
