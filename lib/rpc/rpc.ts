import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { type CallRequest, type CastRequest, RpcClient } from './client.ts';
import { BrokerConnection, type ConnectionState, type RpcLog } from './connection.ts';
import { ConnectionNews } from './connection-news.ts';
import { Declarations } from './declare.ts';
import type { RpcOptions } from './options.ts';
import { Publisher } from './publisher.ts';
import { Replier } from './replier.ts';
import { RpcServer, type ServeTarget } from './server.ts';

export type { CallRequest, CastRequest } from './client.ts';
export type { RpcLog } from './connection.ts';
export type { Endpoint, Handler } from './dispatch.ts';
export { type RpcOptions, rpcOptions } from './options.ts';
export type { RpcServer, ServeTarget } from './server.ts';

/** Facts about the way to the server, for status and metrics. */
export interface RpcHealth {
  /** messages can be sent and received */
  readonly connected: boolean;
  /** since when `connected` has this value */
  readonly since: Date;
  /** 'host:port' in use, or the last one tried */
  readonly broker: string | null;
  /** why the broker takes no messages (memory or disk alarm); null: it takes them */
  readonly blocked: string | null;
  /** why there is no connection; null: there is one, or none was tried yet */
  readonly problem: string | null;
}

/** What asks a server something; the plugin APIs need no more. */
export interface RpcCaller {
  /** The method's result. Throws RemoteError, MessagingTimeout, ReplyLost (failures.ts) or the broker's refusal. */
  call(request: CallRequest): Promise<unknown>;
  /** Resolves when the broker has it; without a broker it waits, for ever unless `signal`. */
  cast(request: CastRequest): Promise<void>;
}

export interface Rpc extends RpcCaller {
  /** To all that listen on the topic. */
  fanout(request: Omit<CastRequest, 'server'>): Promise<void>;
  /** Starts to listen. Each server has its own channel; several of one topic are one consumer each. */
  serve(target: ServeTarget): RpcServer;
  health(): RpcHealth;
  /** `listener` hears of every change of the health; the result ends that. */
  onHealth(listener: (health: RpcHealth) => void): () => void;
  /** Ends calls in flight (ReplyLost), servers and connections within about two seconds. Never throws. */
  close(): Promise<void>;
}

export interface RpcSettings {
  readonly options: RpcOptions;
  readonly log: RpcLog;
  /** 'viaduct-l3-agent': shown by the broker */
  readonly program: string;
}

/**
 * Speaks oslo.messaging with a RabbitMQ. Returns at once and connects in the background, for ever. Three connections:
 * a broker with a resource alarm stops reading from those that publish, and must not stop what arrives; and it slows
 * down one that publishes much, which must not hold up state reports and answers.
 */
export function openRpc({ options, log, program }: RpcSettings): Rpc {
  const closing = new AbortController();
  // Every message under way listens to it.
  setMaxListeners(0, closing.signal);
  const listeners = new Set<(health: RpcHealth) => void>();
  const declarations = new Declarations(log);
  const servers = new Set<RpcServer>();
  const news = new ConnectionNews(log);
  let announced = '';
  let complete = false;
  const changed = (): void => {
    const now = health();
    const text = JSON.stringify(now);
    if (text === announced) return;
    announced = text;
    if (now.connected && !complete) news.complete(now.broker);
    complete = now.connected;
    for (const listener of listeners) listener(now);
  };
  const connection = (purpose: string): BrokerConnection =>
    new BrokerConnection({
      name: `${program}:${process.pid}:${randomUUID()}`,
      purpose,
      options,
      log,
      news,
      changed: () => queueMicrotask(changed),
    });
  const publishing = connection('sending');
  const reporting = connection('reporting');
  const consuming = connection('receiving');
  const connections = [publishing, reporting, consuming];
  const work = new Publisher({ name: 'publisher', connection: publishing, declarations, log });
  const urgent = new Publisher({ name: 'urgent publisher', connection: reporting, declarations, log });
  const replier = new Replier(options, urgent, log, closing.signal);
  const client = new RpcClient({
    options,
    log,
    declarations,
    consuming,
    work,
    urgent,
    closing: closing.signal,
  });

  function health(): RpcHealth {
    const states = connections.map(({ state }) => state);
    const connected = states.every((state) => state.connected);
    // Connected since the last one came, disconnected since the first one went.
    const times = states
      .filter((state) => state.connected === connected)
      .map((state) => state.since.getTime());
    const first = <T>(of: (state: ConnectionState) => T | null): T | null =>
      states.map(of).find((value) => value !== null) ?? null;
    return {
      connected,
      since: new Date(connected ? Math.max(...times) : Math.min(...times)),
      broker: first(({ broker }) => broker),
      blocked: first(({ blocked }) => blocked),
      problem: first(({ problem }) => problem),
    };
  }

  return {
    call: (request) => client.call(request),
    cast: (request) => client.cast(request),
    fanout: (request) => client.fanout(request),
    serve(target) {
      const server = new RpcServer({ ...target, options, log, declarations, connection: consuming, replier });
      servers.add(server);
      return server;
    },
    health,
    onHealth(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      await Promise.all([...servers].map((server) => server.stop()));
      closing.abort(new Error('this process is closing'));
      await Promise.all(connections.map((each) => each.close()));
    },
  };
}
