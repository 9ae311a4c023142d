/**
 * Client of an OVSDB server: JSON-RPC 1.0 over a stream socket (RFC 7047 §4). One connection, made again with
 * backoff for ever; what a request was about when the connection broke is the caller's to find out.
 */
import net from 'node:net';
import tls from 'node:tls';
import { type Backoff, backoffDelay } from '../namespace/queue.ts';
import { JsonStream } from './json-stream.ts';

/** The database refused, did not answer in time, or is not there; `message` says which and where. */
export class OvsdbError extends Error {
  override readonly name = 'OvsdbError';
  /** the server's own name of the error (RFC 7047 §3.1: 'constraint violation', …), if it answered */
  readonly refusal: string | undefined;

  constructor(message: string, refusal?: string) {
    super(message);
    this.refusal = refusal;
  }
}

export interface OvsdbTls {
  readonly key: Buffer;
  readonly cert: Buffer;
  readonly ca: Buffer;
}

export interface OvsdbSettings {
  /** 'unix:<path>', 'tcp:<address>:<port>' or 'ssl:<address>:<port>'; tried in turn until one answers */
  readonly remotes: readonly string[];
  /** option `ovsdb_timeout`: how long a request may take */
  readonly timeoutMs: number;
  /** for 'ssl:' */
  readonly tls?: OvsdbTls;
  readonly backoff?: Backoff;
  /** Connected: ask for what the session needs. A rejection ends the connection, which is then tried again. */
  readonly onConnect: () => Promise<void>;
  readonly onDisconnect?: (reason: string) => void;
  readonly onNotification?: (method: string, params: readonly unknown[]) => void;
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: OvsdbError) => void;
  readonly timer: NodeJS.Timeout;
}

const RECONNECT: Backoff = { first: 100, longest: 8_000, factor: 2, jitter: 0.25 };
/** Silence this long is broken by an echo; a server that does not answer it is gone. */
const PROBE_MS = 5_000;

const REMOTE = /^(?:(unix):(.+)|(tcp|ssl):(\[[0-9a-fA-F:.]+\]|[^:]+):(\d{1,5}))$/;

/** @throws TypeError if it is none of the three forms */
export function parseRemote(
  remote: string,
): { path: string } | { host: string; port: number; secure: boolean } {
  const found = REMOTE.exec(remote);
  const port = Number(found?.[5] ?? 1);
  if (!found || port < 1 || port > 65535)
    throw new TypeError(
      `ovsdb_connection: "${remote}" is not unix:<path>, tcp:<address>:<port> or ssl:<address>:<port>`,
    );
  if (found[2] !== undefined) return { path: found[2] };
  return { host: found[4]!.replace(/^\[|\]$/g, ''), port, secure: found[3] === 'ssl' };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isRefusal = (value: unknown): value is { error: string; details?: unknown } =>
  isObject(value) && typeof value.error === 'string';

const refused = (what: { error: string; details?: unknown }): OvsdbError =>
  new OvsdbError(
    `Open vSwitch database: ${what.error}${typeof what.details === 'string' ? `: ${what.details}` : ''}`,
    what.error,
  );

export class OvsdbClient {
  readonly #settings: OvsdbSettings;
  readonly #remotes: readonly ReturnType<typeof parseRemote>[];
  readonly #waiting = new Map<number, Waiting>();
  #socket: net.Socket | undefined;
  #probe: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #nextId = 0;
  #turn = 0;
  #failures = 0;
  #closed = false;

  constructor(settings: OvsdbSettings) {
    this.#settings = settings;
    this.#remotes = settings.remotes.map(parseRemote);
    if (settings.remotes.some((remote) => remote.startsWith('ssl:')) && !settings.tls)
      throw new TypeError(
        'ovsdb_connection: "ssl:" needs ssl_key_file, ssl_cert_file and ssl_ca_cert_file of section [OVS]',
      );
    this.#connect();
  }

  /** Where it is connected to, or tries to. */
  get remote(): string {
    return this.#settings.remotes[this.#turn % this.#remotes.length]!;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#again);
    this.#drop('closed');
  }

  /** @throws OvsdbError (as a rejection) when refused, not connected or not answered in time */
  request(method: string, params: readonly unknown[]): Promise<unknown> {
    const socket = this.#socket;
    if (!socket || socket.connecting)
      return Promise.reject(new OvsdbError(`Open vSwitch database ${this.remote} is not connected`));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        const seconds = this.#settings.timeoutMs / 1000;
        reject(
          new OvsdbError(`Open vSwitch database ${this.remote} gave no answer to ${method} in ${seconds} s`),
        );
      }, this.#settings.timeoutMs);
      this.#waiting.set(id, { resolve, reject, timer });
      socket.write(JSON.stringify({ method, params, id }));
    });
  }

  /**
   * One transaction (RFC 7047 §4.1.3): all operations or none. Resolves to one result for each operation.
   * @throws OvsdbError with the first operation's refusal, or that of the commit
   */
  async transact(database: string, operations: readonly object[]): Promise<Record<string, unknown>[]> {
    const results = await this.request('transact', [database, ...operations]);
    if (!Array.isArray(results)) throw new OvsdbError('Open vSwitch database: transact gave no list');
    const refusal: unknown = results.find(isRefusal);
    if (isRefusal(refusal)) throw refused(refusal);
    return results.map((result) => (isObject(result) ? result : {}));
  }

  // --- connection ------------------------------------------------------------------------------------------

  #connect(): void {
    const socket = this.#open(this.#remotes[this.#turn % this.#remotes.length]!);
    const stream = new JsonStream();
    let reason = 'the server closed the connection';
    this.#socket = socket;
    socket.setTimeout(this.#settings.timeoutMs);
    socket.on('timeout', () => {
      if (socket.connecting) socket.destroy(new Error('no connection in time'));
    });
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on(socket instanceof tls.TLSSocket ? 'secureConnect' : 'connect', () => this.#connected(socket));
    socket.on('data', (piece: Buffer) => {
      this.#heard();
      try {
        for (const message of stream.push(piece)) this.#take(message);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    socket.on('close', () => {
      if (this.#socket === socket) this.#disconnected(reason);
    });
  }

  #open(remote: ReturnType<typeof parseRemote>): net.Socket {
    if ('path' in remote) return net.connect(remote.path);
    if (!remote.secure) return net.connect({ ...remote, noDelay: true });
    // The certificate speaks for the switch, not for an address: only the authority is checked, as in ovs-vsctl.
    const checkServerIdentity = (): undefined => undefined;
    return tls.connect({ ...this.#settings.tls, ...remote, checkServerIdentity });
  }

  #connected(socket: net.Socket): void {
    this.#heard();
    this.#settings.onConnect().then(
      () => {
        this.#failures = 0;
      },
      (error: Error) => socket.destroy(error),
    );
  }

  #disconnected(reason: string): void {
    const text = `Open vSwitch database ${this.remote}: ${reason}`;
    this.#drop(text);
    if (this.#closed) return;
    this.#settings.onDisconnect?.(text);
    this.#turn += 1;
    // All remotes in quick succession, then a pause.
    if (this.#turn % this.#remotes.length === 0) this.#failures += 1;
    const delay =
      this.#turn % this.#remotes.length === 0
        ? backoffDelay(this.#failures, this.#settings.backoff ?? RECONNECT, Math.random())
        : 0;
    this.#again = setTimeout(() => this.#connect(), delay);
  }

  #drop(reason: string): void {
    clearTimeout(this.#probe);
    this.#socket?.destroy();
    this.#socket = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject, timer } of waiting) {
      clearTimeout(timer);
      reject(new OvsdbError(reason));
    }
  }

  /** The server lives: ask again when it has been silent for a while. */
  #heard(): void {
    clearTimeout(this.#probe);
    this.#probe = setTimeout(() => {
      const socket = this.#socket;
      this.request('echo', []).catch((error: Error) => socket?.destroy(error));
    }, PROBE_MS);
  }

  // --- messages --------------------------------------------------------------------------------------------

  #take(message: unknown): void {
    if (!isObject(message)) throw new SyntaxError('a JSON-RPC message that is no object');
    const { method, params, id } = message;
    const list = Array.isArray(params) ? params : [];
    if (method === 'echo') this.#socket?.write(JSON.stringify({ id, result: list, error: null }));
    else if (typeof method === 'string') this.#settings.onNotification?.(method, list);
    else if (typeof id === 'number') this.#answer(id, message.result, message.error);
  }

  #answer(id: number, result: unknown, error: unknown): void {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error === null || error === undefined) waiting.resolve(result);
    else
      waiting.reject(
        isRefusal(error) ? refused(error) : new OvsdbError(`Open vSwitch database: ${JSON.stringify(error)}`),
      );
  }
}
