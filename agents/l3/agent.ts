import { type Farewell, radvdLeft } from '../../lib/announcement/farewell.ts';
import { radvdDaemon } from '../../lib/announcement/radvd.ts';
import type { FloatingIp } from '../../lib/model/floating-ip.ts';
import { parseRouter, type Router } from '../../lib/model/router.ts';
import type { L3Events, L3Plugin } from '../../lib/model/source.ts';
import type { Backoff } from '../../lib/namespace/queue.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import type { PrefixDelegation } from '../../lib/prefix-delegation/delegations.ts';
import type { OwnerReconciler } from '../../lib/process/leftovers.ts';
import {
  createOwnerQueue,
  idOf,
  type Logger,
  messageOf,
  type OwnerState,
  type ReconcileResult,
  shortList,
} from '../../lib/process/owner-queue.ts';
import { advertisementsOf, radvdPlace } from './compile/announcement.ts';
import { routerNamespace } from './compile/namespace.ts';
import { portsWithoutMtu } from './compile/ports.ts';
import { compileRouter, type L3Host } from './compile/router.ts';
import { DelegatedPrefixes } from './delegated-prefixes.ts';
import { brokenBy, type ReportedFloatingIps, statusReport } from './floating-ip-statuses.ts';
import type { L3Options } from './options.ts';

export interface L3AgentSettings {
  readonly plugin: L3Plugin;
  /** owners are router ids */
  readonly reconciler: OwnerReconciler;
  readonly options: L3Options;
  readonly host: L3Host;
  /** stands for all that rows follow from besides the payload; absent: no router rests over a restart (lib/process/basis.ts) */
  readonly basis?: string;
  readonly logger: Logger;
  /** routers this host has from before the start; those a complete listing does not name are removed */
  readonly knownRouters: readonly string[];
  /** tells hosts what is announced no more; absent where nothing is announced */
  readonly farewell?: Farewell;
  /** where prefixes come from; told what to call when one comes or goes. Absent where none is asked for */
  readonly delegation?: (changed: (router: string) => void) => PrefixDelegation;
  /** a router that goes is not built elsewhere, as Neutron does when it moves one */
  readonly removedForGood?: boolean;
  /** why a router is left to whoever built it, one sentence; undefined: it is ours to build */
  readonly refuse?: (id: string, payload: unknown) => string | undefined;
  /** routers worked on at the same time, 8 if not given */
  readonly concurrency?: number;
  readonly backoff?: Partial<Backoff>;
}

export interface L3AgentState extends OwnerState {
  readonly routers: number;
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
  /** Ids of the routers this host has, as far as is known. */
  readonly present: ReadonlySet<string>;
}

/** Setting up or removing a router failed in part; it is tried again. */
export class RouterFailure extends Error {
  override readonly name = 'RouterFailure';
}

/**
 * The L3 agent: controller → queue → validate → compile → reconcile → report. Its memory is what it told the
 * controller; all else is in the rows.
 */
export function createL3Agent(settings: L3AgentSettings): L3Agent {
  const { plugin, reconciler, options, host, logger } = settings;
  const reported = new Map<string, ReportedFloatingIps>();
  const warned = new Set<string>();
  const owners = createOwnerQueue({
    noun: 'router',
    logger,
    known: settings.knownRouters,
    list: () => plugin.allRouters?.() ?? once(plugin.syncRouters()),
    async fetch(id, related) {
      const payloads = await plugin.syncRouters([id]);
      // Next hops of distributed routers come along, as what changes one may change the other.
      if (!related)
        owners.related(payloads.flatMap((payload) => idOf(payload) ?? []).filter((one) => one !== id));
      return payloads.find((payload) => idOf(payload) === id);
    },
    async build(id, payload) {
      const refusal = settings.refuse?.(id, payload);
      if (refusal !== undefined) {
        note(id, refusal);
        return;
      }
      const router = understand(id, () => parseRouter(payload));
      if (!router) return;
      const record = { kind: 'router', payload: asBuilt(payload, router) };
      if (settings.basis !== undefined && (await reconciler.confirm(id, record, settings.basis))) {
        await keep(router);
        return;
      }
      const groups = understand(id, () => compileRouter({ router, host, options }));
      if (!groups) return;
      if (groups.length === 0) await remove(id, router);
      else await build(router, groups, record);
    },
    remove,
    concurrency: settings.concurrency ?? 8,
    backoff: settings.backoff,
  });
  const { present, note, solved } = owners;
  const delegation = settings.delegation?.((id) => owners.updated([id]));
  const prefixes = delegation && new DelegatedPrefixes({ delegation, plugin, options, logger });

  /** What can't be understood leaves the router as it is, and waits for the next event. */
  function understand<T>(id: string, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      note(id, `${messageOf(error)}; the router stays as it is`, messageOf(error));
      return undefined;
    }
  }

  /** An earlier process left it just so. */
  async function keep(router: Router): Promise<void> {
    const { id } = router;
    warnOfMtus(router);
    present.add(id);
    await prefixes?.giveBack(id, router);
    await report(id, router, () => false);
    await prefixes?.follow(router);
    solved(id);
    logger.debug({ router: id }, 'router is as it was left');
  }

  async function build(router: Router, groups: RowGroup[], record: unknown): Promise<void> {
    const { id } = router;
    const ns = routerNamespace(id, options.namespace_suffix);
    warnOfMtus(router);
    present.add(id);
    sayFarewell(id, router);
    await prefixes?.giveBack(id, router);
    if (advertisementsOf(router).length === 0) expectRadvd(id);
    reconciler.setDesired(id, groups, record, settings.basis);
    const { steps, failures } = await reconciler.reconcile(id).catch(async (error: unknown) => {
      await report(id, router, () => true);
      throw error;
    });
    await report(id, router, brokenBy(new Set(failures.map(({ key }) => key)), router, ns));
    const serious = failures.length > 0 ? seriousFailures(id, groups, failures) : [];
    if (serious.length > 0) throw new RouterFailure(`router ${id}: ${shortList(serious)}`);
    await prefixes?.follow(router);
    solved(id);
    logger.debug({ router: id, steps }, 'router is as wanted');
  }

  /** Hosts behind it hear what it announces no more, while it still has the device to say so. */
  function sayFarewell(id: string, router?: Router): void {
    const wanted = router ? advertisementsOf(router) : [];
    const place = radvdPlace(id, options);
    if (settings.farewell?.say({ place, wanted, options }))
      reconciler.ended(radvdDaemon(place, options.radvd_user));
  }

  /** One that an earlier agent left is known then, and ends with what is wanted next. */
  function expectRadvd(id: string): void {
    const left = settings.farewell ? radvdLeft(radvdPlace(id, options)) : [];
    if (left.length > 0) reconciler.setDesired(id, left);
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
    // A router that is set down is so everywhere; one that was only told to go may be elsewhere already.
    if (router?.admin_state_up === false || settings.removedForGood) {
      sayFarewell(id);
      await prefixes?.giveBack(id);
    } else prefixes?.forget(id);
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

  function warnOfMtus(router: Router): void {
    for (const port of portsWithoutMtu(router)) {
      if (warned.has(port.id)) continue;
      warned.add(port.id);
      logger.warn({ router: router.id }, `port ${port.id} has no MTU in the payload: 1500 is used`);
    }
  }

  return {
    start: owners.resync,
    resync: owners.resync,
    routersUpdated: owners.updated,
    routersDeleted: owners.deleted,
    idle: owners.idle,
    async stop() {
      settings.farewell?.close();
      prefixes?.close();
      await owners.stop();
    },
    state: () => ({ routers: present.size, ...owners.state() }),
    present,
  };
}

/**
 * The payload as the server will give it once all is built and reported: for the record, so that the next process finds
 * what it is given to be the same.
 */
function asBuilt(payload: unknown, { _floatingips }: Router): unknown {
  const isBuilt = ({ fixed_ip_address, status }: FloatingIp): boolean =>
    !fixed_ip_address || status === 'ACTIVE';
  if (_floatingips.every(isBuilt)) return payload;
  const whole = payload as { _floatingips: readonly object[] };
  const floatingIps = whole._floatingips.map((fip, i) =>
    isBuilt(_floatingips[i]!) ? fip : { ...fip, status: 'ACTIVE' },
  );
  return { ...whole, _floatingips: floatingIps };
}

async function* once(listing: Promise<readonly unknown[]>): AsyncIterable<readonly unknown[]> {
  yield await listing;
}
