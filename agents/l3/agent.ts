import { parseRouter, type Router } from '../../lib/model/router.ts';
import type { L3Events, L3Plugin } from '../../lib/model/source.ts';
import { type Backoff, createQueue, PRIORITY } from '../../lib/namespace/queue.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { routerNamespace } from './compile/namespace.ts';
import { portsWithoutMtu } from './compile/ports.ts';
import { compileRouter, type L3Host } from './compile/router.ts';
import { brokenBy, type ReportedFloatingIps, statusReport } from './floating-ip-statuses.ts';
import type { L3Options } from './options.ts';
import { isOutdated, mergeTasks, type RouterTask } from './router-task.ts';

/** What this agent needs of a logger; a pino logger is one. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface ReconcileResult {
  readonly steps: number;
  readonly failures: readonly { readonly ns: string; readonly key: string; readonly message: string }[];
}

/** What this agent needs of the namespace library: owners are router ids. */
export interface RouterReconciler {
  /** `record`: what the owner is remembered by */
  setDesired(owner: string, groups: readonly RowGroup[], record?: unknown): void;
  removeOwner(owner: string): void;
  reconcile(owner: string): Promise<ReconcileResult>;
}

export interface L3AgentSettings {
  readonly plugin: L3Plugin;
  readonly reconciler: RouterReconciler;
  readonly options: L3Options;
  readonly host: L3Host;
  readonly logger: Logger;
  /** routers this host has from before the start; those a complete listing does not name are removed */
  readonly knownRouters: readonly string[];
  /** routers worked on at the same time, 8 if not given */
  readonly concurrency?: number;
  readonly backoff?: Partial<Backoff>;
}

export interface L3AgentState {
  readonly routers: number;
  /** routers that wait, pause after a failure or are worked on */
  readonly pending: number;
  /** complete listings so far */
  readonly listings: number;
  /** by router id: why its wanted state is not (wholly) applied, one sentence */
  readonly problems: Readonly<Record<string, string>>;
}

/** The events of the controller go straight into it. */
export interface L3Agent extends L3Events {
  /** Asks for all routers of this host. */
  start(): void;
  /** Asks for all routers again: after a lost connection, or when the server says so. */
  resync(): void;
  /** Resolves when nothing is left to do; never while something keeps failing. */
  idle(): Promise<void>;
  /** Takes no more and resolves when work under way has ended. Routers stay as they are. */
  stop(): Promise<void>;
  state(): L3AgentState;
}

/** Setting up or removing a router failed in part; it is tried again. */
export class RouterFailure extends Error {
  override readonly name = 'RouterFailure';
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const shortList = (failures: ReconcileResult['failures']): string =>
  `failed steps: ${failures.length}, first ${failures[0]!.key}: ${failures[0]!.message}`;

const idOf = (payload: unknown): string | undefined =>
  typeof payload === 'object' && payload !== null && 'id' in payload && typeof payload.id === 'string'
    ? payload.id
    : undefined;

/**
 * The L3 agent: controller → queue → validate → compile → reconcile → report. Its memory is what it told the
 * controller and when it decided on each router; all else is in the rows.
 */
export function createL3Agent(settings: L3AgentSettings): L3Agent {
  const { plugin, reconciler, options, host, logger } = settings;
  const present = new Set(settings.knownRouters);
  const reported = new Map<string, ReportedFloatingIps>();
  const decidedAt = new Map<string, number>();
  const problems = new Map<string, string>();
  const warned = new Set<string>();
  let listings = 0;
  let time = 0;

  const backoff = settings.backoff ?? {};
  const queue = createQueue<RouterTask>({
    work: processTask,
    merge: mergeTasks,
    concurrency: settings.concurrency ?? 8,
    backoff,
    onFailure: (router, error, failures, delay) => {
      note(
        router,
        `${messageOf(error)} (attempt ${failures}, next in ${Math.round(delay / 1000)} s)`,
        messageOf(error),
      );
    },
  });
  const listing = createQueue<undefined>({
    work: listRouters,
    backoff,
    onFailure: (_key, error, failures, delay) =>
      logger.warn(
        { failures },
        `full sync failed, nothing is removed, next attempt in ${Math.round(delay / 1000)} s: ${messageOf(error)}`,
      ),
  });

  /** Logs a problem of a router once, not at every attempt that meets it. */
  function note(router: string, line: string, problem = line): void {
    if (problems.get(router) === problem) return;
    problems.set(router, problem);
    logger.warn({ router }, line);
  }

  async function listRouters(): Promise<void> {
    const at = ++time;
    const listed = new Set<string>();
    for await (const payloads of plugin.allRouters?.() ?? [await plugin.syncRouters()]) {
      const ids = payloads.map(idOf);
      if (ids.includes(undefined))
        throw new TypeError('a router of the listing has no id: the listing is not trusted');
      for (const [i, payload] of payloads.entries()) {
        listed.add(ids[i]!);
        queue.add(ids[i]!, PRIORITY.fullSync, { kind: 'listed', at, payload });
      }
    }
    for (const id of present) {
      if (!listed.has(id)) queue.add(id, PRIORITY.fullSync, { kind: 'remove', at, by: 'listing' });
    }
    for (const [id, decided] of decidedAt) {
      if (!present.has(id) && decided < at) decidedAt.delete(id);
    }
    listings += 1;
    logger.info({ routers: listed.size }, 'full sync: all routers of this host are known');
  }

  async function processTask(id: string, task: RouterTask): Promise<void> {
    if (isOutdated(task, decidedAt.get(id) ?? 0)) return;
    const payload = task.kind === 'remove' ? undefined : await newest(id, task);
    if (payload === undefined) {
      decidedAt.set(id, Math.max(task.at, decidedAt.get(id) ?? 0));
      await remove(id);
      return;
    }
    const wanted = understand(id, payload);
    if (!wanted) return;
    if (wanted.groups.length === 0) await remove(id, wanted.router);
    else await build(wanted.router, wanted.groups, payload);
  }

  /** The payload to go by: the listing's, or the answer to a fetch made now. undefined: there is no such router. */
  async function newest(id: string, task: RouterTask & { kind: 'fetch' | 'listed' }): Promise<unknown> {
    if (task.kind === 'listed') {
      decidedAt.set(id, task.at);
      return task.payload;
    }
    const at = ++time;
    const payloads = await plugin.syncRouters([id]);
    decidedAt.set(id, at);
    return payloads.find((payload) => idOf(payload) === id);
  }

  /** Validates and compiles. What can't be understood leaves the router as it is, and waits for the next event. */
  function understand(id: string, payload: unknown): { router: Router; groups: RowGroup[] } | undefined {
    try {
      const router = parseRouter(payload);
      return { router, groups: compileRouter({ router, host, options }) };
    } catch (error) {
      note(id, `${messageOf(error)}; the router stays as it is`, messageOf(error));
      return undefined;
    }
  }

  async function build(router: Router, groups: RowGroup[], payload: unknown): Promise<void> {
    const { id } = router;
    const ns = routerNamespace(id, options.namespace_suffix);
    warnOfMtus(router);
    present.add(id);
    reconciler.setDesired(id, groups, { kind: 'router', payload });
    const { steps, failures } = await reconciler.reconcile(id).catch(async (error: unknown) => {
      await report(id, router, () => true);
      throw error;
    });
    await report(id, router, brokenBy(new Set(failures.map(({ key }) => key)), router, ns));
    const serious = failures.length > 0 ? seriousFailures(id, groups, failures) : [];
    if (serious.length > 0) throw new RouterFailure(`router ${id}: ${shortList(serious)}`);
    solved(id);
    logger.debug({ router: id, steps }, 'router is as wanted');
  }

  /** An extra route to nowhere is the tenant's own affair: the log says so, and that is all. */
  function seriousFailures(id: string, groups: readonly RowGroup[], failures: ReconcileResult['failures']) {
    const rows = new Map(groups.flat().map((row) => [row.key, row]));
    return failures.filter(({ key, message }) => {
      const row = rows.get(key);
      if (row?.kind !== 'route' || !row.tolerant) return true;
      logger.info({ router: id }, `extra route to ${row.destination} has no effect: ${message}`);
      return false;
    });
  }

  /** Takes the router from this host; what it reported becomes DOWN. */
  async function remove(id: string, router?: Router): Promise<void> {
    reconciler.removeOwner(id);
    const { failures } = await reconciler.reconcile(id);
    if (failures.length > 0) throw new RouterFailure(`removing router ${id}: ${shortList(failures)}`);
    await report(id, undefined, () => false);
    reported.delete(id);
    solved(id);
    if (present.delete(id))
      logger.info({ router: id }, router ? 'router is not for this agent: removed' : 'router removed');
  }

  async function report(
    id: string,
    router: Router | undefined,
    isBroken: Parameters<typeof statusReport>[2],
  ): Promise<void> {
    const { changes, reported: after } = statusReport(reported.get(id), router, isBroken);
    // Sent first: what could not be sent is said again at the next attempt.
    if (Object.keys(changes).length > 0) await plugin.updateFloatingIpStatuses(id, changes);
    reported.set(id, after);
  }

  function solved(id: string): void {
    if (problems.delete(id)) logger.info({ router: id }, 'router is as wanted again');
  }

  function warnOfMtus(router: Router): void {
    for (const port of portsWithoutMtu(router)) {
      if (warned.has(port.id)) continue;
      warned.add(port.id);
      logger.warn({ router: router.id }, `port ${port.id} has no MTU in the payload: 1500 is used`);
    }
  }

  const resync = (): void => listing.add('full sync', PRIORITY.userChange, undefined);

  return {
    start: resync,
    resync,
    routersUpdated(ids) {
      for (const id of ids) queue.add(id, PRIORITY.userChange, { kind: 'fetch', at: ++time });
    },
    routersDeleted(ids) {
      for (const id of ids) queue.add(id, PRIORITY.userChange, { kind: 'remove', at: ++time, by: 'event' });
    },
    async idle() {
      await listing.idle();
      await queue.idle();
    },
    async stop() {
      await Promise.all([listing.stop(), queue.stop()]);
    },
    state: () => ({
      routers: present.size,
      pending: queue.size,
      listings,
      problems: Object.fromEntries(problems),
    }),
  };
}
