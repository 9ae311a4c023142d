/**
 * The work queue of an agent: one entry per key (router or network), at most one worker per key, what a user
 * waits for before what a full sync found, and failures back after a growing pause.
 */

/** Smaller goes first. Between a user's change and a full sync an agent may grade its events. */
export const PRIORITY = { related: 0, userChange: 1, fullSync: 100 } as const;
export type Priority = number;

export interface Backoff {
  /** pause after the first failure, milliseconds */
  readonly first: number;
  /** longest pause, milliseconds */
  readonly longest: number;
  readonly factor: number;
  /** share of the pause that is random, 0 … 1: so that not all come back at once */
  readonly jitter: number;
}

export const DEFAULT_BACKOFF: Backoff = { first: 500, longest: 60_000, factor: 2, jitter: 0.25 };

/** Pause before attempt `failures + 1`, milliseconds. `random` is in 0 … 1. */
export function backoffDelay(failures: number, backoff: Backoff, random: number): number {
  const whole = Math.min(backoff.longest, backoff.first * backoff.factor ** (failures - 1));
  return whole * (1 - backoff.jitter + backoff.jitter * random);
}

/**
 * Milliseconds of work without a pause; then heartbeats, state reports and notifications have their turn. Not after
 * each piece of work: what the kernel tells of it would be looked at while the next is built.
 */
const LONGEST_TURN = 1_000;

export interface QueueOptions<Task> {
  /** Does the work for a key; a rejection puts the entry back. */
  readonly work: (key: string, task: Task) => Promise<void>;
  /** The task left when another one comes in for a key that already waits; by default the newer one. */
  readonly merge?: (waiting: Task, added: Task) => Task;
  /** Told of each failure, the number of failures in a row and the pause before the next attempt. */
  readonly onFailure?: (key: string, error: unknown, failures: number, delay: number) => void;
  /** keys worked on at the same time; 1 if not given */
  readonly concurrency?: number;
  readonly backoff?: Partial<Backoff>;
  readonly random?: () => number;
}

interface Entry<Task> {
  readonly key: string;
  priority: Priority;
  task: Task;
  /** order of arrival */
  readonly number: number;
}

export interface Queue<Task> {
  /**
   * Wants the key worked on. An entry that waits already keeps its place and the better priority; one that pauses
   * after a failure is tried at once if a user's change came, so that a correction needs no patience.
   */
  add(key: string, priority: Priority, task: Task): void;
  /** Drops what waits for a key and its failures; work under way goes on. */
  forget(key: string): void;
  /** Keys that wait, pause or are worked on. */
  readonly size: number;
  /** Resolves when nothing waits, pauses or is worked on. */
  idle(): Promise<void>;
  /** Takes no more, drops all that waits and resolves when work under way has ended. */
  stop(): Promise<void>;
}

export function createQueue<Task>(options: QueueOptions<Task>): Queue<Task> {
  const { work, onFailure, concurrency = 1, random = Math.random } = options;
  const merge = options.merge ?? ((_waiting: Task, added: Task) => added);
  const backoff: Backoff = { ...DEFAULT_BACKOFF, ...options.backoff };

  const waiting = new Map<string, Entry<Task>>();
  const paused = new Map<string, { entry: Entry<Task>; timer: NodeJS.Timeout }>();
  const busy = new Set<string>();
  const failuresOf = new Map<string, number>();
  let idleListeners: (() => void)[] = [];
  let arrivals = 0;
  let stopped = false;
  let wakeUpPlanned = false;
  let othersTurn = performance.now();

  function place(key: string, priority: Priority, task: Task): void {
    const entry = waiting.get(key);
    if (!entry) {
      waiting.set(key, { key, priority, task, number: arrivals++ });
      return;
    }
    entry.task = merge(entry.task, task);
    if (priority < entry.priority) entry.priority = priority;
  }

  function resume(key: string): void {
    const pause = paused.get(key);
    if (!pause) return;
    clearTimeout(pause.timer);
    paused.delete(key);
    waiting.set(key, pause.entry);
  }

  function next(): Entry<Task> | undefined {
    let best: Entry<Task> | undefined;
    for (const entry of waiting.values()) {
      if (busy.has(entry.key)) continue;
      if (!best || entry.priority < best.priority) best = entry;
      else if (entry.priority === best.priority && entry.number < best.number) best = entry;
    }
    return best;
  }

  /** Where nothing was done others had their turn. */
  function rested(): void {
    if (waiting.size + busy.size === 0) othersTurn = performance.now();
  }

  function startWork(): void {
    while (!stopped && busy.size < concurrency) {
      const entry = next();
      if (!entry) break;
      waiting.delete(entry.key);
      busy.add(entry.key);
      void attempt(entry);
    }
    if (waiting.size + paused.size + busy.size > 0) return;
    const listeners = idleListeners;
    idleListeners = [];
    for (const listener of listeners) listener();
  }

  /**
   * Work starts after the caller's turn, so that all ids of one message are queued before the first begins. Sockets and
   * timers come to their turn now and then, however much there is to do; twice, because what they send is written in
   * the turn after.
   */
  function wakeUp(): void {
    if (wakeUpPlanned) return;
    wakeUpPlanned = true;
    const work = (): void => {
      wakeUpPlanned = false;
      startWork();
    };
    if (performance.now() - othersTurn < LONGEST_TURN) queueMicrotask(work);
    else
      setImmediate(() =>
        setImmediate(() => {
          othersTurn = performance.now();
          work();
        }),
      );
  }

  async function attempt(entry: Entry<Task>): Promise<void> {
    try {
      await work(entry.key, entry.task);
      failuresOf.delete(entry.key);
    } catch (error) {
      putBack(entry, error);
    } finally {
      busy.delete(entry.key);
      wakeUp();
    }
  }

  function putBack(entry: Entry<Task>, error: unknown): void {
    // What waited for a server or the kernel is cut short then, and whoever comes next begins anew.
    if (stopped) return;
    const { key } = entry;
    const failures = (failuresOf.get(key) ?? 0) + 1;
    failuresOf.set(key, failures);
    const delay = backoffDelay(failures, backoff, random());
    onFailure?.(key, error, failures, delay);
    // Something newer came meanwhile: that is tried instead, without a pause.
    if (waiting.has(key)) return;
    const again = { ...entry, priority: PRIORITY.fullSync };
    const timer = setTimeout(() => {
      rested();
      resume(key);
      wakeUp();
    }, delay);
    paused.set(key, { entry: again, timer });
  }

  const idle = (): Promise<void> =>
    new Promise((resolve) => {
      idleListeners.push(resolve);
      wakeUp();
    });

  return {
    add(key, priority, task) {
      if (stopped) return;
      rested();
      const pause = paused.get(key);
      if (pause && priority >= PRIORITY.fullSync) {
        pause.entry.task = merge(pause.entry.task, task);
        return;
      }
      resume(key);
      place(key, priority, task);
      wakeUp();
    },
    forget(key) {
      const pause = paused.get(key);
      if (pause) clearTimeout(pause.timer);
      paused.delete(key);
      waiting.delete(key);
      failuresOf.delete(key);
      wakeUp();
    },
    get size() {
      return new Set([...waiting.keys(), ...paused.keys(), ...busy]).size;
    },
    idle,
    stop() {
      stopped = true;
      for (const { timer } of paused.values()) clearTimeout(timer);
      paused.clear();
      waiting.clear();
      return idle();
    },
  };
}
