/**
 * Keeps the sockets that listen inside namespaces equal to the desired listeners.
 *
 * A listening socket belongs to the namespace it was made in, and keeps that namespace alive. So a
 * listener goes as soon as the file of its namespace does, and is made anew when the namespace is:
 * /run/netns is watched, and only what is being waited for is tried again on a timer.
 */
import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import net, { type Server, type Socket } from 'node:net';
import type { DesiredListener } from './compile/listeners.ts';
import type { Logger } from './logger.ts';
import type { Origin } from './proxy.ts';

/** The part of lib/kernel used here. */
export interface ListenerKernel {
  /** directory whose entries are the namespaces: /run/netns */
  readonly directory: string;
  /** undefined: there is no such namespace (yet) */
  namespaceInode(ns: string): number | undefined;
  /** descriptor of a listening socket made inside the namespace */
  listenTcp(where: {
    ns: string;
    address: string;
    port: number;
    device?: string;
    backlog?: number;
    share?: boolean;
  }): number;
  inNamespace<T>(ns: string, fn: () => T): T;
}

export interface ListenerSettings {
  readonly kernel: ListenerKernel;
  /** metadata_backlog */
  readonly backlog: number;
  /** per listener; what is above is closed at once. Default 1024, as haproxy's maxconn. */
  readonly maxConnections?: number;
  accept(socket: Socket, origin: Origin, remoteAddress: string): void;
  /** all listeners of a namespace are open: nobody else need serve it any more */
  readonly served?: (listeners: readonly DesiredListener[]) => void;
  readonly logger: Logger;
}

export interface ListenersState {
  readonly desired: number;
  readonly open: number;
  /** what is not open, and why */
  readonly waiting: readonly { readonly key: string; readonly reason: string }[];
  /** since the start */
  readonly opened: number;
  readonly closed: number;
  readonly kept: number;
}

export interface Listeners {
  /** Makes the set of listeners this one. What is open already and still wanted is left alone. */
  want(desired: readonly DesiredListener[]): void;
  state(): ListenersState;
  close(): void;
}

interface Listener {
  desired: DesiredListener;
  server: Server | undefined;
  /** of the namespace the server listens in */
  inode: number | undefined;
  readonly sockets: Set<Socket>;
  reason: string;
  failures: number;
  retry: NodeJS.Timeout | undefined;
}

const FIRST_RETRY = 20;
const LAST_RETRY = 15_000;
/** A namespace's file appears shortly before the namespace: so often it is tried, then only on events. */
const ABSENT_RETRIES = 8;

/** Watching starts here; `close` ends it. @throws if the directory can't be watched */
export function createListeners(settings: ListenerSettings): Listeners {
  const { kernel, logger } = settings;
  // Not net.Server's own limit: that one asks for the addresses of the connection it refuses, which
  // throws outside the namespace if they are link-local (see addressOf), and that would end the process.
  const limit = settings.maxConnections ?? 1024;
  const listeners = new Map<string, Listener>();
  const byNamespace = new Map<string, Set<Listener>>();
  const counts = { opened: 0, closed: 0, kept: 0 };

  function add(desired: DesiredListener): void {
    const listener: Listener = {
      desired,
      server: undefined,
      inode: undefined,
      sockets: new Set(),
      reason: '',
      failures: 0,
      retry: undefined,
    };
    listeners.set(desired.key, listener);
    const siblings = byNamespace.get(desired.ns) ?? new Set();
    byNamespace.set(desired.ns, siblings.add(listener));
    open(listener);
  }

  /** Tells when a namespace has all it is to have. */
  function tell(ns: string): void {
    const siblings = [...(byNamespace.get(ns) ?? [])];
    if (siblings.length > 0 && siblings.every(({ server }) => server !== undefined))
      settings.served?.(siblings.map(({ desired }) => desired));
  }

  function remove(listener: Listener): void {
    const { key, ns } = listener.desired;
    shut(listener);
    listeners.delete(key);
    const siblings = byNamespace.get(ns);
    siblings?.delete(listener);
    if (siblings?.size === 0) byNamespace.delete(ns);
  }

  /** Closes the socket and its connections, which would keep a deleted namespace alive. */
  function shut(listener: Listener): void {
    clearTimeout(listener.retry);
    listener.retry = undefined;
    if (!listener.server) return;
    listener.server.close();
    listener.server = undefined;
    for (const socket of listener.sockets) socket.destroy();
    counts.closed += 1;
  }

  function open(listener: Listener): void {
    const { ns, address, port, device } = listener.desired;
    clearTimeout(listener.retry);
    listener.retry = undefined;
    const inode = kernel.namespaceInode(ns);
    if (inode === undefined) {
      retryLater(listener, `there is no namespace ${ns}`, ABSENT_RETRIES);
      return;
    }
    try {
      const fd = kernel.listenTcp({ ns, address, port, device, backlog: settings.backlog, share: true });
      serve(listener, fd);
    } catch (error) {
      retryLater(listener, error instanceof Error ? error.message : String(error));
      return;
    }
    listener.inode = inode;
    listener.failures = 0;
    listener.reason = '';
    counts.opened += 1;
    logger.debug({ ns, address, port }, 'metadata listener opened');
  }

  function serve(listener: Listener, fd: number): void {
    const { ns } = listener.desired;
    const origin: Origin = { ns, identity: () => listener.desired.identity };
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      const remoteAddress = listener.sockets.size < limit ? addressOf(socket, ns, kernel) : undefined;
      if (remoteAddress === undefined) {
        socket.destroy();
        return;
      }
      listener.sockets.add(socket);
      socket.once('close', () => listener.sockets.delete(socket));
      settings.accept(socket, origin, remoteAddress);
    });
    server.on('error', (error) => {
      if (listener.server !== server) return;
      shut(listener);
      retryLater(listener, error.message);
    });
    listener.server = server;
    server.listen({ fd }, settings.backlog);
  }

  function retryLater(listener: Listener, reason: string, attempts = Number.POSITIVE_INFINITY): void {
    const { ns, address, port, optional } = listener.desired;
    if (listener.reason !== reason && attempts !== ABSENT_RETRIES) {
      const fields = { ns, address, port, reason };
      if (optional) logger.debug(fields, 'the address is not to be had; another agent may have it');
      else logger.warn(fields, 'metadata listener could not be opened; trying again');
    }
    listener.reason = reason;
    listener.failures += 1;
    if (listener.failures > attempts) return;
    const delay = Math.min(FIRST_RETRY * 2 ** (listener.failures - 1), LAST_RETRY);
    listener.retry = setTimeout(() => {
      open(listener);
      tell(ns);
    }, delay);
  }

  /** The file of a namespace came, went or was replaced. */
  function recheck(ns: string): void {
    for (const listener of byNamespace.get(ns) ?? []) {
      if (listener.server && listener.inode === kernel.namespaceInode(ns)) continue;
      shut(listener);
      listener.failures = 0;
      open(listener);
    }
    tell(ns);
  }

  mkdirSync(kernel.directory, { recursive: true });
  const watcher: FSWatcher = watch(kernel.directory, (_event, name) => {
    if (name !== null) recheck(name);
    else for (const ns of byNamespace.keys()) recheck(ns);
  });
  watcher.on('error', (error) =>
    logger.warn({ reason: error.message }, `watching ${kernel.directory} failed: restart the metadata agent`),
  );

  return {
    want(desired) {
      const wanted = new Map(desired.map((one) => [one.key, one]));
      const fresh = new Set<string>();
      for (const listener of [...listeners.values()]) {
        if (!wanted.has(listener.desired.key)) remove(listener);
      }
      for (const [key, one] of wanted) {
        const listener = listeners.get(key);
        if (listener) listener.desired = one;
        if (listener?.server) {
          counts.kept += 1;
          continue;
        }
        fresh.add(one.ns);
        if (!listener) add(one);
        else if (!listener.retry) open(listener);
      }
      for (const ns of fresh) tell(ns);
    },
    state() {
      const all = [...listeners.values()];
      const closed = all.filter((one) => !one.server);
      const waiting = closed.filter(({ desired }) => !desired.optional);
      return {
        desired: all.length,
        open: all.length - closed.length,
        waiting: waiting.map(({ desired: { key }, reason }) => ({ key, reason })),
        ...counts,
      };
    },
    close() {
      watcher.close();
      for (const listener of [...listeners.values()]) remove(listener);
    },
  };
}

/**
 * Node names the interface of a link-local peer, and looks its index up in the namespace the thread is
 * in: outside the listener's namespace that fails. Undefined if the peer or the namespace has gone.
 */
function addressOf(socket: Socket, ns: string, kernel: ListenerKernel): string | undefined {
  try {
    return socket.remoteAddress;
  } catch {
    // Not an error yet: asked again from inside.
  }
  try {
    return kernel.inNamespace(ns, () => socket.remoteAddress);
  } catch {
    return undefined;
  }
}
