/** The metadata service over HTTP(S), with connections kept for the next request. */
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { type Forwarder, type ForwardRequest, type ForwardResponse, UnreachableError } from './forwarder.ts';
import type { MetadataOptions } from './options.ts';

/** Enough for every metadata worker of a large Nova; what is above waits here, not in Nova's backlog. */
const MAX_CONNECTIONS = 256;

/** A request that may be sent twice: a kept connection can be closed by Nova at the moment we write to it. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']);

type NovaOptions = Pick<
  MetadataOptions,
  | 'nova_metadata_host'
  | 'nova_metadata_port'
  | 'nova_metadata_protocol'
  | 'nova_metadata_insecure'
  | 'auth_ca_cert'
  | 'nova_client_cert'
  | 'nova_client_priv_key'
  | 'timeout_connect'
>;

function pem(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    throw new Error(`option ${option}: cannot read ${path} (${reason}): give a readable PEM file`);
  }
}

function tlsOptions(options: NovaOptions): https.AgentOptions {
  const { auth_ca_cert: ca, nova_client_cert: cert, nova_client_priv_key: key } = options;
  return {
    rejectUnauthorized: !options.nova_metadata_insecure,
    ...(ca && !options.nova_metadata_insecure ? { ca: pem('auth_ca_cert', ca) } : {}),
    ...(cert && key ? { cert: pem('nova_client_cert', cert), key: pem('nova_client_priv_key', key) } : {}),
  };
}

/**
 * Forwards to `nova_metadata_protocol://nova_metadata_host:nova_metadata_port`. Certificates are read once, here.
 * @throws Error naming the option whose file can't be read
 */
export function createNovaForwarder(options: NovaOptions): Forwarder {
  const secure = options.nova_metadata_protocol === 'https';
  const tls = secure ? tlsOptions(options) : {};
  const makeAgent = (settings: http.AgentOptions): http.Agent =>
    secure ? new https.Agent({ ...tls, ...settings }) : new http.Agent(settings);
  const kept = makeAgent({ keepAlive: true, maxSockets: MAX_CONNECTIONS });
  const fresh = makeAgent({ keepAlive: false, maxSockets: MAX_CONNECTIONS });
  const base: http.RequestOptions = {
    host: options.nova_metadata_host.replace(/^\[(.*)\]$/, '$1'),
    port: options.nova_metadata_port,
  };
  const request = secure ? https.request : http.request;

  const attempt = (asked: ForwardRequest, signal: AbortSignal, agent: http.Agent): Promise<ForwardResponse> =>
    new Promise((resolve, reject) => {
      const { method, target: path, body } = asked;
      const framing = body.length > 0 || method === 'POST' ? { 'Content-Length': body.length } : {};
      const outgoing = request({
        ...base,
        method,
        path,
        agent,
        signal,
        headers: { ...asked.headers, ...framing },
      });
      limitConnect(outgoing, options.timeout_connect);
      outgoing.once('response', (incoming) => resolve(toResponse(incoming)));
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        if (signal.aborted) reject(signal.reason);
        else if (agent === kept && outgoing.reusedSocket && IDEMPOTENT.has(method)) {
          attempt(asked, signal, fresh).then(resolve, reject);
        } else reject(new UnreachableError(error.code ?? error.message, { cause: error }));
      });
      outgoing.end(body);
    });

  return {
    forward: (asked, signal) => attempt(asked, signal, IDEMPOTENT.has(asked.method) ? kept : fresh),
    close() {
      kept.destroy();
      fresh.destroy();
    },
  };
}

/** A host that drops packets would take the kernel two minutes to give up on. */
function limitConnect(outgoing: http.ClientRequest, seconds: number): void {
  outgoing.once('socket', (socket) => {
    if (!socket.connecting) return;
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no connection within ${seconds} s`)),
      seconds * 1000,
    );
    socket.once('connect', () => clearTimeout(timer)).once('close', () => clearTimeout(timer));
  });
}

function toResponse(incoming: http.IncomingMessage): ForwardResponse {
  const { rawHeaders } = incoming;
  const headers: [string, string][] = [];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) headers.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  return { status: incoming.statusCode ?? 0, headers, body: incoming };
}
