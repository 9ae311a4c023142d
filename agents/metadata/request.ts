/** What may come in from an instance: method, target and body within limits. */
import type { IncomingMessage } from 'node:http';

/** An answer of our own instead of the service's: `status` and the words on the page. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;

  constructor(status: number, reason: string) {
    super(reason);
    this.status = status;
  }
}

/** TRACE and CONNECT are out: the one would echo the signature to the instance, the other ask for a tunnel. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']);

/** @throws Refusal 405 */
export function checkedMethod(method: string | undefined): string {
  if (method !== undefined && METHODS.has(method)) return method;
  throw new Refusal(405, 'This method is not served here.');
}

/**
 * The target for the service: the instance's own bytes, unless it names a host (`GET http://host/path`,
 * RFC 9112 §3.2.2): then only what follows the host, which is not the instance's to choose.
 * @throws Refusal 400
 */
export function originForm(target: string | undefined): string {
  if (target !== undefined && /^[\x21-\x7e]+$/.test(target)) {
    if (target.startsWith('/')) return target;
    const host = /^https?:\/\/[^/?#]+/i.exec(target);
    if (host) {
      const rest = target.slice(host[0].length);
      return rest.startsWith('/') ? rest : `/${rest}`;
    }
  }
  throw new Refusal(400, 'The request target is not a path.');
}

/**
 * The whole body. It is read before the service is asked, so that a slow instance holds none of the
 * service's connections.
 * @throws Refusal 413 above `limit` bytes, 408 if it takes longer than `milliseconds`; Error if the instance left
 */
export function readBody(request: IncomingMessage, limit: number, milliseconds: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    const tooLarge = () => new Refusal(413, `The request body is larger than ${limit} bytes.`);
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > limit) fail(tooLarge());
      else chunks.push(chunk);
    };
    const onEnd = (): void => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks, length));
    };
    const fail = (error: Error): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd);
      reject(error);
    };
    const timer = setTimeout(() => fail(new Refusal(408, 'The request took too long.')), milliseconds);
    const left = (): void => fail(new Error('the instance closed the connection'));
    request.once('error', left).once('close', left);
    if (Number(request.headers['content-length'] ?? 0) > limit) return fail(tooLarge());
    if (request.destroyed) return left();
    request.on('data', onData).on('end', onEnd);
  });
}
