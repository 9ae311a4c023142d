/**
 * What the agents that build owners (routers, networks) have in common: a listing of all of them, events about single
 * ones, and one queue in which each is built, left or removed. What an owner is and how it is built is the agent's.
 */
import { type Backoff, createQueue, PRIORITY, type Priority } from '../namespace/queue.ts';
import { isOutdated, mergeTasks, type OwnerTask } from './owner-task.ts';

/** What such an agent needs of a logger; a pino logger is one. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What became of one owner's rows. */
export interface ReconcileResult {
  readonly steps: number;
  readonly failures: readonly { readonly ns: string; readonly key: string; readonly message: string }[];
}

export interface OwnerState {
  /** owners that wait, pause after a failure or are worked on */
  readonly pending: number;
  /** complete listings so far */
  readonly listings: number;
  /** by owner: why its wanted state is not (wholly) applied, one sentence */
  readonly problems: Readonly<Record<string, string>>;
}

/** Nothing can be done now: all is as wanted, or pauses after a failure until its next attempt. */
export const isSettled = ({ listings, pending, problems }: OwnerState): boolean =>
  listings > 0 && pending <= Object.keys(problems).length;

export interface OwnerQueueSettings {
  /** what one is called in the log and in its fields: 'router' */
  readonly noun: string;
  readonly logger: Logger;
  /** owners this host has from before the start; those a complete listing does not name are removed */
  readonly known: Iterable<string>;
  /** All owners of this host by and by; nothing is known to be absent before it has ended well. */
  readonly list: () => AsyncIterable<readonly unknown[]>;
  /**
   * The newest payload; undefined or null: there is no such owner (any more). `related`: what else the answer has is
   * of no interest. A rejection: it is tried again.
   */
  readonly fetch: (id: string, related: boolean) => Promise<unknown>;
  /** Makes it so, and keeps `present`. `at`: when the payload was asked for. A rejection: it is tried again. */
  readonly build: (id: string, payload: unknown, at: number) => Promise<void>;
  /** Makes it what is known by now. A rejection: it is tried again. */
  readonly buildKnown?: (id: string) => Promise<void>;
  /** Takes the owner from this host, and keeps `present`. */
  readonly remove: (id: string) => Promise<void>;
  /** owners worked on at the same time */
  readonly concurrency: number;
  readonly backoff?: Partial<Backoff> | undefined;
}

export interface OwnerQueue {
  /** owners this host has */
  readonly present: Set<string>;
  /** Asks for all owners. */
  resync(): void;
  /** Something about them is new: they are asked for. */
  updated(ids: Iterable<string>, priority?: Priority): void;
  deleted(ids: Iterable<string>, priority?: Priority): void;
  /** They came with the answer about another one, and go before all else. */
  related(ids: Iterable<string>): void;
  /** What is known of it has changed: buildKnown is called. */
  known(id: string, priority?: Priority): void;
  /** A point in the order of events and requests. */
  now(): number;
  /** Logs a problem of an owner once, not at every attempt that meets it. */
  note(id: string, line: string, problem?: string): void;
  solved(id: string): void;
  /** Resolves when nothing is left to do; never while something keeps failing. */
  idle(): Promise<void>;
  /** Takes no more and resolves when work under way has ended. */
  stop(): Promise<void>;
  state(): OwnerState;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** 'failed steps: 3, first KEY: why' */
export const shortList = (failures: ReconcileResult['failures']): string =>
  `failed steps: ${failures.length}, first ${failures[0]!.key}: ${failures[0]!.message}`;

/** Of a payload that nobody has validated yet. */
export const idOf = (payload: unknown): string | undefined =>
  typeof payload === 'object' && payload !== null && 'id' in payload && typeof payload.id === 'string'
    ? payload.id
    : undefined;

export function createOwnerQueue(settings: OwnerQueueSettings): OwnerQueue {
  const { noun, logger } = settings;
  const present = new Set(settings.known);
  const decidedAt = new Map<string, number>();
  const problems = new Map<string, string>();
  const backoff = settings.backoff ?? {};
  let listings = 0;
  let time = 0;

  const queue = createQueue<OwnerTask>({
    work,
    merge: mergeTasks,
    concurrency: settings.concurrency,
    backoff,
    onFailure: (id, error, failures, delay) => {
      const problem = messageOf(error);
      const line = `${problem} (attempt ${failures}, next in ${Math.round(delay / 1000)} s)`;
      // One warning for each problem; who looks closer sees every attempt.
      if (problems.get(id) === problem) logger.debug({ [noun]: id }, line);
      else note(id, line, problem);
    },
  });
  const listing = createQueue<undefined>({
    work: list,
    backoff,
    onFailure: (_key, error, failures, delay) =>
      logger.warn(
        { failures },
        `full sync failed, nothing is removed, next attempt in ${Math.round(delay / 1000)} s: ${messageOf(error)}`,
      ),
  });

  function note(id: string, line: string, problem = line): void {
    if (problems.get(id) === problem) return;
    problems.set(id, problem);
    logger.warn({ [noun]: id }, line);
  }

  async function list(): Promise<void> {
    const at = ++time;
    const listed = new Set<string>();
    let nameless = 0;
    for await (const payloads of settings.list()) {
      for (const payload of payloads) {
        const id = idOf(payload);
        if (id === undefined) nameless += 1;
        else {
          listed.add(id);
          queue.add(id, PRIORITY.fullSync, { kind: 'listed', at, payload });
        }
      }
    }
    // Any of those that are not in the listing may be meant.
    if (nameless > 0) throw new TypeError(`the listing has ${noun}s without id: ${nameless}`);
    for (const id of present)
      if (!listed.has(id)) queue.add(id, PRIORITY.fullSync, { kind: 'remove', at, by: 'listing' });
    for (const [id, decided] of decidedAt) if (!present.has(id) && decided < at) decidedAt.delete(id);
    listings += 1;
    logger.info({ [`${noun}s`]: listed.size }, `full sync: all ${noun}s of this host are known`);
  }

  async function work(id: string, task: OwnerTask): Promise<void> {
    if (isOutdated(task, decidedAt.get(id) ?? 0)) return;
    if (task.kind === 'known') {
      await settings.buildKnown?.(id);
      return;
    }
    const { payload, at } = task.kind === 'fetch' ? await fetched(id, task) : { payload: undefined, ...task };
    decidedAt.set(id, Math.max(at, decidedAt.get(id) ?? 0));
    if (payload === undefined || payload === null) await settings.remove(id);
    else await settings.build(id, payload, at);
  }

  async function fetched(id: string, task: OwnerTask & { kind: 'fetch' }) {
    const at = ++time;
    return { payload: await settings.fetch(id, task.related === true), at };
  }

  return {
    present,
    resync: () => listing.add('full sync', PRIORITY.userChange, undefined),
    updated(ids, priority = PRIORITY.userChange) {
      for (const id of ids) queue.add(id, priority, { kind: 'fetch', at: ++time });
    },
    deleted(ids, priority = PRIORITY.userChange) {
      for (const id of ids) queue.add(id, priority, { kind: 'remove', at: ++time, by: 'event' });
    },
    related(ids) {
      for (const id of ids) queue.add(id, PRIORITY.related, { kind: 'fetch', at: ++time, related: true });
    },
    known: (id, priority = PRIORITY.userChange) => queue.add(id, priority, { kind: 'known', at: ++time }),
    now: () => ++time,
    note,
    solved(id) {
      if (problems.delete(id)) logger.info({ [noun]: id }, `${noun} is as wanted again`);
    },
    async idle() {
      await listing.idle();
      await queue.idle();
    },
    async stop() {
      await Promise.all([listing.stop(), queue.stop()]);
    },
    state: () => ({ pending: queue.size, listings, problems: Object.fromEntries(problems) }),
  };
}
