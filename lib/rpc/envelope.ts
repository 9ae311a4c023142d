/**
 * oslo.messaging's messages, pure: the 2.0 envelope, requests and replies
 * (`oslo_messaging/_drivers/common.py`, `amqp.py`, `rpc/client.py`). What arrives is validated here, once.
 */
import {
  anyObject,
  anything,
  fields,
  flag,
  type Invalid,
  matching,
  number,
  orIgnored,
  orNull,
  type Reader,
  readAs,
  text,
  where,
} from '../model/reader.ts';
import { contextKeys, contextOf, type RequestContext } from './context.ts';

const VERSION = '2.0';

/** A message that cannot be understood; one sentence, names the part. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError';
}

export interface Request {
  readonly method: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** 'X.Y' */
  readonly version: string;
  readonly namespace: string | null;
  readonly uniqueId: string | null;
  /** of a call: where the answer goes; null: a cast, never answered */
  readonly replyTo: { readonly msgId: string; readonly queue: string } | null;
  /** seconds between call-monitor heartbeats × 2; Neutron sends null */
  readonly monitor: number | null;
  readonly context: RequestContext;
}

export interface Reply {
  readonly msgId: string;
  readonly result: unknown;
  /** JSON text of a failure, see failures.ts */
  readonly failure: string | null;
  /** false: the server is still at work */
  readonly ending: boolean;
  readonly uniqueId: string | null;
}

const upTo = (most: number): Reader<string> =>
  where(text, ({ length }) => length <= most, `is longer than ${most} characters`);
const envelope = fields({ 'oslo.version': text, 'oslo.message': text });
const requestShape = fields({
  method: where(upTo(200), (name) => name !== '', 'is no name'),
  args: orNull(anyObject),
  version: orNull(matching(/^\d{1,6}\.\d{1,6}$/, 'is not a version such as 1.0')),
  namespace: orNull(text),
  _unique_id: orNull(upTo(200)),
  _msg_id: orNull(upTo(200)),
  _reply_q: orNull(upTo(255)),
  _timeout: orIgnored(orNull(number), null),
});
const replyShape = fields({
  _msg_id: text,
  result: anything,
  failure: orNull(text),
  ending: flag(false),
  _unique_id: orNull(text),
});

/** The body of a message that holds `inner`. */
export function wrap(inner: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(JSON.stringify({ 'oslo.version': VERSION, 'oslo.message': JSON.stringify(inner) }));
}

/** The inner message of a body. A body without envelope is the inner message itself (old senders). */
export function unwrap(body: Buffer): Record<string, unknown> {
  const outer = parseObject(body.toString('utf8'), 'the body');
  if (!('oslo.version' in outer) || !('oslo.message' in outer)) return outer;
  const read = readAs(envelope, outer, damaged('envelope'));
  const version = read['oslo.version'];
  const [major, minor] = version.split('.').map(Number);
  if (major !== 2 || minor !== 0) {
    throw new EnvelopeError(`oslo.version ${JSON.stringify(version)} is not understood: expected ${VERSION}`);
  }
  return parseObject(read['oslo.message'], 'oslo.message');
}

export function requestFields(request: Request): Record<string, unknown> {
  const { method, args, version, namespace, uniqueId, replyTo, monitor, context } = request;
  return {
    method,
    args,
    version,
    ...(namespace === null ? {} : { namespace }),
    ...(replyTo && { _msg_id: replyTo.msgId, _reply_q: replyTo.queue, _timeout: monitor }),
    _unique_id: uniqueId,
    ...contextKeys(context),
  };
}

/** Throws EnvelopeError. A call without a place for its answer is malformed. */
export function requestOf(inner: Readonly<Record<string, unknown>>): Request {
  const read = readAs(requestShape, inner, damaged('request'));
  const { method, args, version, namespace, _unique_id, _msg_id, _reply_q, _timeout } = read;
  if (_msg_id && !_reply_q) throw new EnvelopeError(`request ${method}: _msg_id without _reply_q`);
  return {
    method,
    args: args ?? {},
    version: version ?? '1.0',
    namespace,
    uniqueId: _unique_id,
    replyTo: _msg_id && _reply_q ? { msgId: _msg_id, queue: _reply_q } : null,
    monitor: _timeout,
    context: contextOf(inner),
  };
}

export function replyFields({ msgId, result, failure, ending, uniqueId }: Reply): Record<string, unknown> {
  return { result: result ?? null, failure, ending, _msg_id: msgId, _unique_id: uniqueId };
}

/** Throws EnvelopeError. */
export function replyOf(inner: Readonly<Record<string, unknown>>): Reply {
  const { _msg_id, result, failure, ending, _unique_id } = readAs(replyShape, inner, damaged('reply'));
  return { msgId: _msg_id, result: result ?? null, failure, ending, uniqueId: _unique_id };
}

function parseObject(text: string, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new EnvelopeError(
      `${what} is not JSON (${error instanceof Error ? error.message.slice(0, 120) : error})`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new EnvelopeError(`${what} is not a JSON object`);
  }
  return value as Record<string, unknown>;
}

const damaged =
  (what: string) =>
  (place: string, { message }: Invalid): EnvelopeError =>
    new EnvelopeError(`${what}: ${place}: ${message}`);
