import { type Farewell, radvdLeft } from '../../lib/announcement/farewell.ts';
import { type Network, parseNetwork } from '../../lib/model/network.ts';
import type { DhcpEvents, DhcpPlugin } from '../../lib/model/source.ts';
import { type Backoff, PRIORITY, type Priority } from '../../lib/namespace/queue.ts';
import { daemon, type Row, type RowGroup } from '../../lib/namespace/rows.ts';
import { type OwnerReconciler, withLeftovers } from '../../lib/process/leftovers.ts';
import {
  createOwnerQueue,
  idOf,
  type Logger,
  messageOf,
  type OwnerState,
  shortList,
} from '../../lib/process/owner-queue.ts';
import { radvdPlace } from './compile/announcement.ts';
import { dhcpDeviceId, dhcpNamespace, networkDirectory } from './compile/identity.ts';
import type { DhcpHost } from './compile/network.ts';
import { NoAddressLeft } from './dhcp-port.ts';
import { type DnsmasqProcess, dnsmasqProcess } from './dnsmasq-process.ts';
import { NetworkView, type Verdict } from './network-view.ts';
import type { DhcpOptions } from './options.ts';
import { ReadyPorts } from './ready-ports.ts';
import { Services } from './service.ts';
import { withUnread } from './unread.ts';

export interface DhcpAgentSettings {
  readonly plugin: DhcpPlugin;
  /** owners are network ids */
  readonly reconciler: OwnerReconciler;
  readonly options: DhcpOptions;
  readonly host: DhcpHost;
  readonly logger: Logger;
  /** networks this host has from before the start, whose rows the reconciler was given */
  readonly knownNetworks: readonly string[];
  /** networks of which only a directory is left (Neutron's agent served them); see networksOnDisk */
  readonly leftNetworks?: readonly string[];
  /** what such a network may have left besides its namespace, dnsmasq and directory */
  readonly leftBehind?: (id: string) => RowGroup;
  readonly process?: DnsmasqProcess;
  /** tells hosts what is announced no more; absent where nothing is announced */
  readonly farewell?: Farewell;
  /** a network that goes is not served elsewhere, as Neutron does when it moves one */
  readonly removedForGood?: boolean;
  readonly backoff?: Partial<Backoff>;
}

export interface DhcpAgentState extends OwnerState {
  readonly networks: number;
  /** of the networks that are served, as in state reports */
  readonly counters: Readonly<Record<'networks' | 'subnets' | 'ports', number>>;
}

/** What the server says of one port. */
export interface PortMessage {
  /** undefined: the server does not say it */
  readonly networkId: string | undefined;
  readonly priority?: Priority;
}

/** The events of the controller go straight into it. */
export interface DhcpAgent extends DhcpEvents {
  networksUpdated(ids: string[], priority?: Priority): void;
  networksDeleted(ids: string[], priority?: Priority): void;
  /** `port` in full: it is believed as far as it is not stale, and nothing is asked for */
  portChanged(message: PortMessage & { readonly port: unknown; readonly created: boolean }): void;
  portDeleted(message: PortMessage & { readonly portId: string }): void;
  subnetDeleted(message: PortMessage & { readonly subnetId: string }): void;
  /** Asks for all networks of this host. */
  start(): void;
  /** Asks for all networks again: after a lost connection, or when the server says so. */
  resync(): void;
  /** Resolves when nothing is left to do; never while something keeps failing. */
  idle(): Promise<void>;
  /** Takes no more and resolves when work under way has ended. Networks go on being served. */
  stop(): Promise<void>;
  state(): DhcpAgentState;
}

/** Until then a network that waits is not even looked at again; what waits longer may have become urgent. */
const SOON_MS = 100;

/** Serving or removing a network failed in part; it is tried again. */
export class NetworkFailure extends Error {
  override readonly name = 'NetworkFailure';
}

/**
 * The DHCP agent: controller → queue → validate → compile → reconcile → ready ports. What dnsmasq has been told
 * is on disk.
 */
export function createDhcpAgent(settings: DhcpAgentSettings): DhcpAgent {
  const { plugin, options, host, logger } = settings;
  const left = (settings.leftNetworks ?? []).filter((id) => !settings.knownNetworks.includes(id));
  const reconciler = withLeftovers(settings.reconciler, {
    owners: left,
    namespaceOf: (id) => dhcpNamespace(id, options.namespace_suffix),
    rowsOf: (id) => [
      dnsmasqOf(id, options),
      ...radvdLeft(radvdPlace(id, options)).flat(),
      ...(settings.leftBehind?.(id) ?? []),
    ],
  });
  const warnings = new Map<string, ReadonlySet<string>>();
  const postponed = new Map<string, { timer: NodeJS.Timeout; over: Promise<void>; soon: boolean }>();
  const view = new NetworkView((id) => dhcpDeviceId(host.name, id));
  /** networks whose subnet has no address left for this agent */
  const starved = new Set<string>();
  /** as they were last served, by network */
  const served = new Map<string, Network>();
  let stopped = false;

  const services = new Services({
    reconciler,
    process: settings.process ?? dnsmasqProcess(),
    host,
    options,
    warn: (network, message) => logger.warn({ network }, message),
    farewell: settings.farewell,
    removedForGood: settings.removedForGood,
  });
  const ready = new ReadyPorts(plugin, (message) => logger.warn({}, message));

  const owners = createOwnerQueue({
    noun: 'network',
    logger,
    known: [...settings.knownNetworks, ...left],
    async *list() {
      const networks = await plugin.getActiveNetworksInfo();
      view.listed(new Set(networks.flatMap((network) => idOf(network) ?? [])));
      yield networks;
    },
    fetch: (id) => plugin.getNetworkInfo(id),
    build: (id, found, at) => build(id, found, at),
    async buildKnown(id) {
      if (comesSoon(id)) return;
      const payload = view.current(id);
      const network = payload === undefined ? undefined : understand(id, payload);
      if (network) await serve(network, payload);
    },
    remove,
    concurrency: options.num_sync_threads,
    backoff: settings.backoff,
  });
  const { present, note, solved } = owners;

  async function build(id: string, answer: unknown, at: number): Promise<void> {
    const found = view.asked(id, answer, at);
    const payload = await completed(id, found);
    if (payload === undefined) return;
    const network = payload === null ? null : understand(id, payload);
    if (network === null) await remove(id);
    else if (network) {
      view.keep(id, payload, at);
      if (comesSoon(id)) return;
      // What was said while the port was made is part of it.
      const current = view.current(id);
      await serve(understand(id, current) ?? network, current);
    }
  }

  /** With this host's port; null: there is no such network, undefined: it can have none now. */
  async function completed(id: string, found: unknown): Promise<unknown | null | undefined> {
    try {
      const payload = await (plugin.withDhcpPort?.(found) ?? found);
      starved.delete(id);
      return payload;
    } catch (error) {
      if (!(error instanceof NoAddressLeft)) throw error;
      starved.add(id);
      note(
        id,
        `${error.message}; it is asked for again when something of the network changes`,
        error.message,
      );
      return undefined;
    }
  }

  /** What can't be understood leaves the network as it is, and waits for the next event. */
  function understand(id: string, payload: unknown): Network | undefined {
    try {
      return withUnread(served.get(id), parseNetwork(payload));
    } catch (error) {
      note(id, `${messageOf(error)}; the network stays as it is`, messageOf(error));
      return undefined;
    }
  }

  async function serve(network: Network, payload: unknown): Promise<void> {
    const { id } = network;
    const compiled = services.compile(network);
    warn(id, compiled.warnings);
    if (!compiled.service) {
      await remove(id);
      return;
    }
    present.add(id);
    served.set(id, network);
    const applied = await services.apply(network, compiled, compiled.service, payload);
    if ('wait' in applied) {
      postpone(id, applied.wait);
      return;
    }
    const { told, failures } = applied;
    if (failures.length > 0) throw new NetworkFailure(`network ${id}: ${shortList(failures)}`);
    ready.add(id, network.ports);
    solved(id);
    logger.debug({ network: id, dnsmasq: told }, 'network is as wanted');
  }

  /** Bursts coalesce: what comes until then is done with it. */
  function postpone(id: string, milliseconds: number): void {
    if (stopped || postponed.has(id)) return;
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        postponed.delete(id);
        owners.known(id);
        resolve();
      }, milliseconds);
    });
    postponed.set(id, { timer: timer!, over, soon: milliseconds <= SOON_MS });
  }

  /** What is kept of the network is served with all that waits, in a moment. */
  const comesSoon = (id: string): boolean => postponed.get(id)?.soon === true;

  /** Takes the network from this host. */
  async function remove(id: string): Promise<void> {
    const { failures } = await services.remove(id);
    if (failures.length > 0) throw new NetworkFailure(`removing network ${id}: ${shortList(failures)}`);
    if (present.has(id)) await plugin.notServed?.(id);
    ready.forget(id);
    view.forget(id);
    starved.delete(id);
    warnings.delete(id);
    served.delete(id);
    solved(id);
    if (present.delete(id)) logger.info({ network: id }, 'network is not served any more');
  }

  /** Each warning once, until it was away. */
  function warn(id: string, messages: readonly string[]): void {
    const before = warnings.get(id);
    for (const message of messages) if (!before?.has(message)) logger.warn({ network: id }, message);
    warnings.set(id, new Set(messages));
  }

  function follow(networkId: string, priority: Priority | undefined, verdict: Verdict): void {
    if ('stale' in verdict) logger.debug({ network: networkId }, `passed over: ${verdict.stale}`);
    else if ('ask' in verdict || starved.has(networkId)) {
      if ('ask' in verdict && present.has(networkId))
        logger.info({ network: networkId }, `resync: ${verdict.ask}`);
      owners.updated([networkId], priority);
    } else owners.known(networkId, priority);
  }

  return {
    start: owners.resync,
    resync: owners.resync,
    networksUpdated: owners.updated,
    networksDeleted: owners.deleted,
    portChanged({ networkId, port, created, priority = PRIORITY.userChange }) {
      if (networkId === undefined) return;
      const verdict = view.portSaid(networkId, port, created, owners.now());
      // Of a network that is not this host's, or not yet: its listing decides.
      if (view.current(networkId) !== undefined || starved.has(networkId))
        follow(networkId, priority, verdict);
    },
    portDeleted({ networkId, portId, priority }) {
      const id = networkId ?? view.networkWith('ports', portId);
      if (id !== undefined) follow(id, priority, view.portDeleted(id, portId));
    },
    subnetDeleted({ networkId, subnetId, priority }) {
      const id = networkId ?? view.networkWith('subnets', subnetId);
      if (id !== undefined && (present.has(id) || starved.has(id))) owners.updated([id], priority);
    },
    async idle() {
      await owners.idle();
      while (postponed.size > 0) {
        await Promise.all([...postponed.values()].map(({ over }) => over));
        await owners.idle();
      }
    },
    async stop() {
      stopped = true;
      settings.farewell?.close();
      for (const { timer } of postponed.values()) clearTimeout(timer);
      postponed.clear();
      ready.close();
      await owners.stop();
    },
    state() {
      const { pending, ...state } = owners.state();
      return {
        networks: present.size,
        pending: pending + postponed.size,
        counters: view.counters(),
        ...state,
      };
    },
  };
}

/** What is known of the dnsmasq of a network of which only the directory is left: enough to stop it. */
function dnsmasqOf(id: string, { dhcp_confs, namespace_suffix }: DhcpOptions): Row {
  const directory = networkDirectory(dhcp_confs, id);
  return daemon({
    ns: dhcpNamespace(id, namespace_suffix),
    service: 'dnsmasq',
    id,
    argv: ['dnsmasq', directory],
    pidFile: `${directory}/pid`,
  });
}
