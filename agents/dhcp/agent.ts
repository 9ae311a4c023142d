import { type Network, parseNetwork } from '../../lib/model/network.ts';
import type { DhcpEvents, DhcpPlugin } from '../../lib/model/source.ts';
import { type Backoff, createQueue, PRIORITY } from '../../lib/namespace/queue.ts';
import { daemon, netns } from '../../lib/namespace/rows.ts';
import { dhcpNamespace, networkDirectory } from './compile/identity.ts';
import type { DhcpHost } from './compile/network.ts';
import { type DnsmasqProcess, dnsmasqProcess } from './dnsmasq-process.ts';
import { isOutdated, mergeTasks, type NetworkTask } from './network-task.ts';
import type { DhcpOptions } from './options.ts';
import { ReadyPorts } from './ready-ports.ts';
import { type NetworkReconciler, type ReconcileResult, Services } from './service.ts';

/** What this agent needs of a logger; a pino logger is one. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface DhcpAgentSettings {
  readonly plugin: DhcpPlugin;
  readonly reconciler: NetworkReconciler;
  readonly options: DhcpOptions;
  readonly host: DhcpHost;
  readonly logger: Logger;
  /** networks this host has from before the start, whose rows the reconciler was given */
  readonly knownNetworks: readonly string[];
  /** networks of which only a directory is left (Neutron's agent served them); see networksOnDisk */
  readonly leftNetworks?: readonly string[];
  readonly process?: DnsmasqProcess;
  readonly backoff?: Partial<Backoff>;
}

export interface DhcpAgentState {
  readonly networks: number;
  /** networks that wait, pause after a failure or are worked on */
  readonly pending: number;
  /** complete listings so far */
  readonly listings: number;
  /** by network id: why its wanted state is not (wholly) applied, one sentence */
  readonly problems: Readonly<Record<string, string>>;
}

/** The events of the controller go straight into it. */
export interface DhcpAgent extends DhcpEvents {
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

/** Serving or removing a network failed in part; it is tried again. */
export class NetworkFailure extends Error {
  override readonly name = 'NetworkFailure';
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const shortList = (failures: ReconcileResult['failures']): string =>
  `failed steps: ${failures.length}, first ${failures[0]!.key}: ${failures[0]!.message}`;

const idOf = (payload: unknown): string | undefined =>
  typeof payload === 'object' && payload !== null && 'id' in payload && typeof payload.id === 'string'
    ? payload.id
    : undefined;

/**
 * The DHCP agent: controller → queue → validate → compile → reconcile → ready ports. What dnsmasq has been told
 * is on disk; the agent's memory is when it decided on each network.
 */
export function createDhcpAgent(settings: DhcpAgentSettings): DhcpAgent {
  const { plugin, reconciler, options, host, logger } = settings;
  const backoff = settings.backoff ?? {};
  const present = new Set([...settings.knownNetworks, ...(settings.leftNetworks ?? [])]);
  const decidedAt = new Map<string, number>();
  const problems = new Map<string, string>();
  const warnings = new Map<string, ReadonlySet<string>>();
  const postponed = new Map<string, { timer: NodeJS.Timeout; over: Promise<void> }>();
  let listings = 0;
  let time = 0;
  let stopped = false;

  const services = new Services({
    reconciler,
    process: settings.process ?? dnsmasqProcess,
    host,
    options,
    warn: (network, message) => logger.warn({ network }, message),
  });
  const ready = new ReadyPorts(plugin, (message) => logger.warn({}, message));
  for (const id of settings.leftNetworks ?? [])
    if (!settings.knownNetworks.includes(id)) reconciler.setDesired(id, leftovers(id, options));

  const queue = createQueue<NetworkTask>({
    work: processTask,
    merge: mergeTasks,
    concurrency: options.num_sync_threads,
    backoff,
    onFailure: (network, error, failures, delay) =>
      note(
        network,
        `${messageOf(error)} (attempt ${failures}, next in ${Math.round(delay / 1000)} s)`,
        messageOf(error),
      ),
  });
  const listing = createQueue<undefined>({
    work: listNetworks,
    backoff,
    onFailure: (_key, error, failures, delay) =>
      logger.warn(
        { failures },
        `full sync failed, nothing is removed, next attempt in ${Math.round(delay / 1000)} s: ${messageOf(error)}`,
      ),
  });

  /** Logs a problem of a network once, not at every attempt that meets it. */
  function note(network: string, line: string, problem = line): void {
    if (problems.get(network) === problem) return;
    problems.set(network, problem);
    logger.warn({ network }, line);
  }

  async function listNetworks(): Promise<void> {
    const at = ++time;
    const payloads = await plugin.getActiveNetworksInfo();
    const listed = new Map<string, unknown>();
    for (const payload of payloads) {
      const id = idOf(payload);
      if (id === undefined)
        throw new TypeError('a network of the listing has no id: the listing is not trusted');
      listed.set(id, payload);
    }
    for (const [id, payload] of listed) queue.add(id, PRIORITY.fullSync, { kind: 'listed', at, payload });
    for (const id of present)
      if (!listed.has(id)) queue.add(id, PRIORITY.fullSync, { kind: 'remove', at, by: 'listing' });
    for (const [id, decided] of decidedAt) if (!present.has(id) && decided < at) decidedAt.delete(id);
    listings += 1;
    logger.info({ networks: listed.size }, 'full sync: all networks of this host are known');
  }

  async function processTask(id: string, task: NetworkTask): Promise<void> {
    if (isOutdated(task, decidedAt.get(id) ?? 0)) return;
    const found = task.kind === 'remove' ? null : await newest(id, task);
    const payload = found === null ? null : await (plugin.withDhcpPort?.(found) ?? found);
    if (payload === null) {
      decidedAt.set(id, Math.max(task.at, decidedAt.get(id) ?? 0));
      await remove(id);
      return;
    }
    const network = understand(id, payload);
    if (network) await serve(network, payload);
  }

  /** The payload to go by: the listing's, or the answer to a fetch made now. null: there is no such network. */
  async function newest(
    id: string,
    task: NetworkTask & { kind: 'fetch' | 'listed' },
  ): Promise<unknown | null> {
    if (task.kind === 'listed') {
      decidedAt.set(id, task.at);
      return task.payload;
    }
    const at = ++time;
    const payload = await plugin.getNetworkInfo(id);
    decidedAt.set(id, at);
    return payload;
  }

  /** What can't be understood leaves the network as it is, and waits for the next event. */
  function understand(id: string, payload: unknown): Network | undefined {
    try {
      return parseNetwork(payload);
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
        queue.add(id, PRIORITY.userChange, { kind: 'fetch', at: ++time });
        resolve();
      }, milliseconds);
    });
    postponed.set(id, { timer: timer!, over });
  }

  /** Takes the network from this host. */
  async function remove(id: string): Promise<void> {
    const { failures } = await services.remove(id);
    if (failures.length > 0) throw new NetworkFailure(`removing network ${id}: ${shortList(failures)}`);
    if (present.has(id)) await plugin.notServed?.(id);
    ready.forget(id);
    warnings.delete(id);
    solved(id);
    if (present.delete(id)) logger.info({ network: id }, 'network is not served any more');
  }

  function solved(id: string): void {
    if (problems.delete(id)) logger.info({ network: id }, 'network is as wanted again');
  }

  /** Each warning once, until it was away. */
  function warn(id: string, messages: readonly string[]): void {
    const before = warnings.get(id);
    for (const message of messages) if (!before?.has(message)) logger.warn({ network: id }, message);
    warnings.set(id, new Set(messages));
  }

  const resync = (): void => listing.add('full sync', PRIORITY.userChange, undefined);

  return {
    start: resync,
    resync,
    networksUpdated(ids) {
      for (const id of ids) queue.add(id, PRIORITY.userChange, { kind: 'fetch', at: ++time });
    },
    networksDeleted(ids) {
      for (const id of ids) queue.add(id, PRIORITY.userChange, { kind: 'remove', at: ++time, by: 'event' });
    },
    async idle() {
      await listing.idle();
      await queue.idle();
      while (postponed.size > 0) {
        await Promise.all([...postponed.values()].map(({ over }) => over));
        await queue.idle();
      }
    },
    async stop() {
      stopped = true;
      for (const { timer } of postponed.values()) clearTimeout(timer);
      postponed.clear();
      ready.close();
      await Promise.all([listing.stop(), queue.stop()]);
    },
    state: () => ({
      networks: present.size,
      pending: queue.size + postponed.size,
      listings,
      problems: Object.fromEntries(problems),
    }),
  };
}

/** What is known of a network of which only the directory is left: enough to remove it. */
const leftovers = (id: string, { dhcp_confs, namespace_suffix }: DhcpOptions) => {
  const ns = dhcpNamespace(id, namespace_suffix);
  const directory = networkDirectory(dhcp_confs, id);
  const argv = ['dnsmasq', directory];
  return [[netns(ns), daemon({ ns, service: 'dnsmasq', id, argv, pidFile: `${directory}/pid` })]];
};
