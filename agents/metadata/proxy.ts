/**
 * The HTTP side of the agent: connections from every namespace end in one http.Server here. Each request
 * is attributed to an instance by where its connection came from, signed and forwarded.
 */
import http from 'node:http';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { MetadataIdentity } from '../../lib/model/source.ts';
import { type Forwarder, type ForwardRequest, type ForwardResponse, UnreachableError } from './forwarder.ts';
import { createThrottle, type Logger } from './logger.ts';
import type { InstanceIdentity, Lookup } from './lookup.ts';
import { type Peer, parsePeer } from './peer.ts';
import { checkedMethod, originForm, Refusal, readBody } from './request.ts';
import { endToEndHeaders, errorPage, mappedStatus } from './response.ts';
import { signInstanceId } from './signature.ts';

/** Milliseconds. */
export interface ProxyTimeouts {
  /** from the connection, or from the previous answer, to the end of the next request's headers */
  readonly request: number;
  /** until an idle connection is closed */
  readonly keepAlive: number;
  /** for the rest of a request's body, and for an instance to take the answer */
  readonly body: number;
  /** until the metadata service has begun its answer */
  readonly answer: number;
}

export interface ProxySettings {
  readonly lookup: Lookup;
  readonly forwarder: Forwarder;
  /** metadata_proxy_shared_secret */
  readonly secret: string;
  readonly timeouts: ProxyTimeouts;
  readonly logger: Logger;
  /** asked for each request that comes in by a namespace */
  readonly allows?: (ns: string, address: string) => boolean;
}

/** Where a connection came in. `identity` is asked at each request, as a listener's may change. */
export interface Origin {
  readonly ns: string;
  identity(): MetadataIdentity;
}

/** Who sent a request. */
export interface Sender {
  readonly identity: MetadataIdentity;
  readonly peer: Peer;
}

/** Of a connection whose other end is no instance but a proxy: it says for whom it asks. */
export interface Gateway {
  /** for the log */
  readonly name: string;
  /** @throws Refusal */
  sender(request: http.IncomingMessage): Sender;
}

export interface MetadataProxy {
  /** Takes over an accepted connection. `remoteAddress` is the socket's own idea of its peer. */
  accept(socket: Socket, origin: Origin, remoteAddress: string): void;
  /** Takes over a connection of a proxy, whose word is taken for who asks. */
  acceptGateway(socket: Socket, gateway: Gateway): void;
  /** Answers given, by status. */
  state(): { readonly answers: Readonly<Record<number, number>> };
}

interface Connection {
  /** for the log */
  readonly about: { readonly ns: string; readonly address?: string };
  readonly sender: (request: http.IncomingMessage) => Sender;
  /** requests of one connection are answered one after the other */
  tail: Promise<void>;
  waiting: number;
  deadline: NodeJS.Timeout | undefined;
}

const MAX_HEADER_BYTES = 16_384;
/** Nova takes at most 1020 bytes (a password); the Python agent read 4096 in all. */
const MAX_BODY_BYTES = 65_536;
const MAX_PIPELINED = 16;
const LOG_INTERVAL = 60_000;
const SECRET_MISMATCH =
  'the metadata service refused the signature: set the same metadata_proxy_shared_secret in both configurations';

/** Makes the shared server; it listens nowhere itself, connections come through `accept`. */
export function createProxy(settings: ProxySettings): MetadataProxy {
  const { timeouts, logger } = settings;
  const connections = new WeakMap<Socket, Connection>();
  const answers: Record<number, number> = {};
  const mayLog = createThrottle(LOG_INTERVAL);

  const server = http.createServer({ maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: false });
  server.keepAliveTimeout = timeouts.keepAlive;

  /** Node's own header timeout works on listening servers only. */
  const awaitRequest = (socket: Socket, connection: Connection): void => {
    connection.deadline = setTimeout(() => socket.destroy(), timeouts.request);
  };

  server.on('request', (request, response) => {
    const connection = connections.get(request.socket);
    if (!connection || connection.waiting >= MAX_PIPELINED) {
      request.socket.destroy();
      return;
    }
    clearTimeout(connection.deadline);
    connection.waiting += 1;
    connection.tail = connection.tail.then(async () => {
      if (request.socket.destroyed) return;
      await serve(request, response, connection);
      connection.waiting -= 1;
      if (connection.waiting === 0 && !request.socket.destroyed) awaitRequest(request.socket, connection);
    });
  });

  async function serve(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    connection: Connection,
  ): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(new Error('the instance closed the connection'));
    });
    try {
      const answer = await exchange(request, connection, gone.signal);
      const status = mappedStatus(answer.status);
      if (status === 200) await pass(answer, response);
      else {
        discard(answer.body, timeouts.body);
        if (status === 403) warn(connection, SECRET_MISMATCH);
        else if (status >= 500)
          warn(connection, `the metadata service answered with status ${answer.status}`);
        refuse(request, response, status);
      }
    } catch (error) {
      if (response.destroyed || response.headersSent) response.destroy();
      else if (error instanceof Refusal) refuse(request, response, error.status, error.message);
      else refuse(request, response, statusOf(error, connection));
    }
    if (response.headersSent) answers[response.statusCode] = (answers[response.statusCode] ?? 0) + 1;
  }

  async function exchange(
    request: http.IncomingMessage,
    connection: Connection,
    gone: AbortSignal,
  ): Promise<ForwardResponse> {
    const method = checkedMethod(request.method);
    const target = originForm(request.url);
    const sender = connection.sender(request);
    const body = await readBody(request, MAX_BODY_BYTES, timeouts.body);
    const limited = deadline(timeouts.answer, gone);
    try {
      const instance = await identify(connection, sender, limited.signal);
      return await settings.forwarder.forward(
        signed({ method, target, body }, sender.peer, instance, settings.secret),
        limited.signal,
      );
    } finally {
      limited.clear();
    }
  }

  async function identify(
    { about }: Connection,
    { identity, peer }: Sender,
    signal: AbortSignal,
  ): Promise<InstanceIdentity> {
    let result: Awaited<ReturnType<Lookup>>;
    try {
      result = await settings.lookup(identity, peer, signal);
    } catch (error) {
      throw new LookupError(error);
    }
    if (result.found) return result.instance;
    logger.debug({ ...about, address: peer.address, ports: result.ports }, 'no single port has this address');
    throw new Refusal(404, 'No instance is known at this address.');
  }

  /** Status for an exchange that failed on our side of the instance. */
  function statusOf(error: unknown, connection: Connection): number {
    if (error instanceof UnreachableError) {
      warn(connection, `the metadata service can not be reached: ${error.message}`);
      return 503;
    }
    if (error instanceof TimeLimit) {
      warn(connection, 'the metadata service did not answer in time');
      return 504;
    }
    const reason =
      error instanceof LookupError ? `the port look-up failed: ${String(error.cause)}` : String(error);
    warn(connection, `a metadata request failed: ${reason}`);
    return 500;
  }

  function warn({ about }: Connection, message: string): void {
    const allowed = mayLog(message);
    if (allowed) logger.warn({ ...about, ...allowed }, message);
  }

  async function pass(answer: ForwardResponse, response: http.ServerResponse): Promise<void> {
    response.statusCode = 200;
    for (const [name, value] of endToEndHeaders(answer)) response.appendHeader(name, value);
    const limit = AbortSignal.timeout(timeouts.body);
    await pipeline(answer.body, response, { signal: limit });
  }

  function take(socket: Socket, from: Pick<Connection, 'about' | 'sender'>): void {
    const connection: Connection = { ...from, tail: Promise.resolve(), waiting: 0, deadline: undefined };
    connections.set(socket, connection);
    socket.once('close', () => clearTimeout(connection.deadline));
    awaitRequest(socket, connection);
    server.emit('connection', socket);
  }

  return {
    accept(socket, origin, remoteAddress) {
      const peer = parsePeer(remoteAddress);
      take(socket, {
        about: { ns: origin.ns, address: peer.address },
        sender() {
          if (settings.allows?.(origin.ns, peer.address) === false)
            throw new Refusal(429, 'This address asks too often.');
          return { identity: origin.identity(), peer };
        },
      });
    },
    acceptGateway(socket, { name, sender }) {
      take(socket, { about: { ns: name }, sender });
    },
    state: () => ({ answers: { ...answers } }),
  };
}

class TimeLimit extends Error {}

class LookupError extends Error {
  constructor(cause: unknown) {
    super('look-up failed', { cause });
  }
}

/** A signal aborted with TimeLimit after `milliseconds`, or when `parent` is. */
function deadline(milliseconds: number, parent: AbortSignal): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new TimeLimit('time is up')), milliseconds);
  const forward = (): void => controller.abort(parent.reason);
  if (parent.aborted) forward();
  else parent.addEventListener('abort', forward, { once: true });
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

/** The request for the service: of the instance's headers nothing is in it. */
const signed = (
  request: Pick<ForwardRequest, 'method' | 'target' | 'body'>,
  peer: Peer,
  { instanceId, projectId }: InstanceIdentity,
  secret: string,
): ForwardRequest => ({
  ...request,
  headers: {
    'X-Forwarded-For': peer.forwardedFor,
    'X-Instance-ID': instanceId,
    'X-Tenant-ID': projectId,
    'X-Instance-ID-Signature': signInstanceId(secret, instanceId),
  },
});

/** Reads to the end, so that the connection to the service can be used again; not for ever. */
function discard(body: Readable, milliseconds: number): void {
  const timer = setTimeout(() => body.destroy(), milliseconds);
  body.once('close', () => clearTimeout(timer)).on('error', () => {});
  body.resume();
}

/** An answer of our own. What is left of the request's body is not worth reading: the connection ends. */
function refuse(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  status: number,
  reason?: string,
): void {
  const page = errorPage(status, reason);
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=UTF-8',
    'Content-Length': page.length,
    ...(request.complete ? {} : { Connection: 'close' }),
  });
  response.end(page);
}
