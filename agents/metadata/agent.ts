/**
 * The metadata agent: listeners in every namespace that serves metadata, one proxy behind them all.
 * What runs is decided by the routers and networks of this host, and follows their changes.
 */
import { existsSync } from 'node:fs';
import { inNamespace, NETNS_DIRECTORY, namespaceInode } from '../../lib/kernel/netns.ts';
import { listenTcp } from '../../lib/kernel/socket.ts';
import { type Network, parseNetwork } from '../../lib/model/network.ts';
import { PayloadError } from '../../lib/model/payload.ts';
import { parseRouter } from '../../lib/model/router.ts';
import type { MetadataPlugin } from '../../lib/model/source.ts';
import {
  type DesiredListener,
  type ListenerOptions,
  networkListeners,
  routerListeners,
} from './compile/listeners.ts';
import type { Forwarder } from './forwarder.ts';
import { createListeners, type ListenerKernel, type Listeners, type ListenersState } from './listeners.ts';
import type { Logger } from './logger.ts';
import { createLookup } from './lookup.ts';
import { createNovaForwarder } from './nova.ts';
import type { MetadataOptions } from './options.ts';
import type { Predecessors } from './predecessors.ts';
import { createProxy, type MetadataProxy, type ProxyTimeouts } from './proxy.ts';
import { listenForProxies, type SocketSettings } from './proxy-socket.ts';
import { RateLimiter } from './rate-limit.ts';

/** The routers and networks of this host: an L3Plugin and a DhcpPlugin fit, with their events as one. */
export interface MetadataInventory {
  /** complete payloads of all routers of this host; rejects rather than leaving some out */
  routers(): Promise<readonly unknown[]>;
  /** complete payloads of all networks of this host; rejects rather than leaving some out */
  networks(): Promise<readonly unknown[]>;
  /** `changed` is called after any change; the result ends that */
  subscribe(changed: () => void): () => void;
}

export interface MetadataAgentSettings {
  readonly plugin: MetadataPlugin;
  readonly inventory: MetadataInventory;
  readonly options: MetadataOptions;
  readonly logger: Logger;
  /** default: Nova, as the options say */
  readonly forwarder?: Forwarder;
  /** what the L3 and DHCP agents of this host decide about listeners; asked at each listing. Default: `options` */
  readonly listenerOptions?: () => Partial<ListenerOptions>;
  /** default: this machine's */
  readonly kernel?: ListenerKernel;
  /** also serve the proxies of Neutron's agents here */
  readonly socket?: SocketSettings;
  /** who served these namespaces before; told once they are served here */
  readonly predecessors?: Pick<Predecessors, 'retire'>;
}

export interface MetadataAgentState {
  readonly listeners: ListenersState;
  /** answers given, by status */
  readonly answers: Readonly<Record<number, number>>;
  /** complete listings taken in, and the error of the latest attempt if that failed */
  readonly syncs: number;
  readonly error: string | undefined;
  /** the newest listing is in force and all its listeners are open */
  readonly converged: boolean;
}

export interface MetadataAgent {
  /** Resolves once the first listing was tried; `state` says how it went. Namespaces may come later. */
  start(): Promise<void>;
  stop(): Promise<void>;
  state(): MetadataAgentState;
}

const FIRST_RETRY = 500;
const LAST_RETRY = 30_000;

const thisMachine: ListenerKernel = { directory: NETNS_DIRECTORY, namespaceInode, listenTcp, inNamespace };

/** @throws Error when an option names a file that can't be read */
export function createMetadataAgent(settings: MetadataAgentSettings): MetadataAgent {
  const { inventory, options, logger } = settings;
  const forwarder = settings.forwarder ?? createNovaForwarder(options);
  const limiter = new RateLimiter(options);
  const proxy = createProxy({
    lookup: createLookup(settings.plugin),
    forwarder,
    secret: options.metadata_proxy_shared_secret,
    timeouts: proxyTimeouts(options),
    logger,
    allows: (ns, address) => limiter.allows(ns, address),
  });
  const compile = createCompiler(settings);
  let listeners: Listeners | undefined;
  let socket: { close(): void } | undefined;
  let unsubscribe: (() => void) | undefined;
  let retry: NodeJS.Timeout | undefined;
  let syncing: Promise<void> | undefined;
  let changed = false;
  let stopped = false;
  let failures = 0;
  let syncs = 0;
  let error: string | undefined;

  /** One listing at a time; changes meanwhile lead to exactly one more. */
  function sync(): Promise<void> {
    changed = true;
    syncing ??= (async () => {
      while (changed && !stopped) {
        changed = false;
        await syncOnce();
      }
      syncing = undefined;
    })();
    return syncing;
  }

  /** A listing that fails changes nothing: what listens goes on listening. */
  async function syncOnce(): Promise<void> {
    clearTimeout(retry);
    try {
      const [routers, networks] = await Promise.all([inventory.routers(), inventory.networks()]);
      if (stopped) return;
      listeners?.want(compile(routers, networks));
      syncs += 1;
      failures = 0;
      error = undefined;
    } catch (reason) {
      if (stopped) return;
      error = reason instanceof Error ? reason.message : String(reason);
      const delay = Math.min(FIRST_RETRY * 2 ** failures, LAST_RETRY);
      failures += 1;
      logger.warn({ reason: error, delay }, 'listing routers and networks failed; trying again');
      retry = setTimeout(() => void sync(), delay);
    }
  }

  return {
    async start() {
      listeners = createListeners({
        kernel: settings.kernel ?? thisMachine,
        backlog: options.metadata_backlog,
        accept: proxy.accept,
        served: (opened) => settings.predecessors?.retire(opened),
        logger,
      });
      if (settings.socket) socket = await listenForProxies(settings.socket, proxy);
      unsubscribe = inventory.subscribe(() => void sync());
      await sync();
    },
    async stop() {
      stopped = true;
      unsubscribe?.();
      clearTimeout(retry);
      listeners?.close();
      socket?.close();
      forwarder.close();
    },
    state: () => stateOf(listeners, proxy, { syncs, error, settled: syncs > 0 && !changed && !syncing }),
  };
}

const NO_LISTENERS: ListenersState = { desired: 0, open: 0, waiting: [], opened: 0, closed: 0, kept: 0 };

function stateOf(
  listeners: Listeners | undefined,
  proxy: MetadataProxy,
  { syncs, error, settled }: { syncs: number; error: string | undefined; settled: boolean },
): MetadataAgentState {
  const state = listeners?.state() ?? NO_LISTENERS;
  const converged = settled && error === undefined && state.waiting.length === 0;
  return { listeners: state, answers: proxy.state().answers, syncs, error, converged };
}

const proxyTimeouts = (options: MetadataOptions): ProxyTimeouts => ({
  request: options.timeout_http_request * 1000,
  keepAlive: options.timeout_http_keep_alive * 1000,
  body: options.timeout_client * 1000,
  answer: options.timeout_server * 1000,
});

/** Without a subnet nobody can say which listeners there must be; ports of instances don't matter. @throws PayloadError */
function wholeNetwork(payload: unknown): Network {
  const network = parseNetwork(payload);
  if (network.unread.subnets.length > 0) throw new PayloadError(network.problems.join('; '));
  return network;
}

/**
 * Payloads to listeners. One that is invalid is reported and leaves its own listeners as they were, and
 * all others alone.
 */
function createCompiler({ options, logger, listenerOptions: decided }: MetadataAgentSettings) {
  const own = { ...options, ipv6: existsSync('/proc/net/if_inet6') };
  let latest = new Map<string, readonly DesiredListener[]>();
  return (routers: readonly unknown[], networks: readonly unknown[]): DesiredListener[] => {
    const listenerOptions: ListenerOptions = { ...own, ...decided?.() };
    const next = new Map<string, readonly DesiredListener[]>();
    const take = (kind: string, payload: unknown, listenersOf: () => readonly DesiredListener[]): void => {
      const key = `${kind} ${idOf(payload)}`;
      try {
        next.set(key, listenersOf());
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        logger.warn({ reason }, `the payload of ${key} is invalid; its metadata listeners stay as they are`);
        next.set(key, latest.get(key) ?? []);
      }
    };
    for (const one of routers) take('router', one, () => routerListeners(parseRouter(one), listenerOptions));
    for (const one of networks)
      take('network', one, () => networkListeners(wholeNetwork(one), listenerOptions));
    latest = next;
    return [...next.values()].flat();
  };
}

const idOf = (payload: unknown): string =>
  typeof payload === 'object' && payload !== null && 'id' in payload ? String(payload.id) : 'without id';
