/**
 * oslo.messaging's messages, pure: the 2.0 envelope, requests and replies
 * (`oslo_messaging/_drivers/common.py`, `amqp.py`, `rpc/client.py`). What arrives is validated here, once.
 */
import { z } from 'zod';
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

const objectOf = z.record(z.string(), z.unknown());
const envelope = z.object({ 'oslo.version': z.string(), 'oslo.message': z.string() });
const requestSchema = z.object({
  method: z.string().min(1).max(200),
  args: objectOf.nullish(),
  version: z
    .string()
    .regex(/^\d{1,6}\.\d{1,6}$/, 'is not a version such as 1.0')
    .nullish(),
  namespace: z.string().nullish(),
  _unique_id: z.string().max(200).nullish(),
  _msg_id: z.string().max(200).nullish(),
  _reply_q: z.string().max(255).nullish(),
  _timeout: z.number().nullish().catch(null),
});
const replySchema = z.object({
  _msg_id: z.string(),
  result: z.unknown().optional(),
  failure: z.string().nullish(),
  ending: z.boolean().nullish(),
  _unique_id: z.string().nullish(),
});

/** The body of a message that holds `inner`. */
export function wrap(inner: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(JSON.stringify({ 'oslo.version': VERSION, 'oslo.message': JSON.stringify(inner) }));
}

/** The inner message of a body. A body without envelope is the inner message itself (old senders). */
export function unwrap(body: Buffer): Record<string, unknown> {
  const outer = parseObject(body.toString('utf8'), 'the body');
  if (!('oslo.version' in outer) || !('oslo.message' in outer)) return outer;
  const result = envelope.safeParse(outer);
  if (!result.success) throw new EnvelopeError(`envelope: ${problem(result.error)}`);
  const version = result.data['oslo.version'];
  const [major, minor] = version.split('.').map(Number);
  if (major !== 2 || minor !== 0) {
    throw new EnvelopeError(`oslo.version ${JSON.stringify(version)} is not understood: expected ${VERSION}`);
  }
  return parseObject(result.data['oslo.message'], 'oslo.message');
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
  const result = requestSchema.safeParse(inner);
  if (!result.success) throw new EnvelopeError(`request: ${problem(result.error)}`);
  const { method, args, version, namespace, _unique_id, _msg_id, _reply_q, _timeout } = result.data;
  if (_msg_id && !_reply_q) throw new EnvelopeError(`request ${method}: _msg_id without _reply_q`);
  return {
    method,
    args: args ?? {},
    version: version ?? '1.0',
    namespace: namespace ?? null,
    uniqueId: _unique_id ?? null,
    replyTo: _msg_id && _reply_q ? { msgId: _msg_id, queue: _reply_q } : null,
    monitor: _timeout ?? null,
    context: contextOf(inner),
  };
}

export function replyFields({ msgId, result, failure, ending, uniqueId }: Reply): Record<string, unknown> {
  return { result: result ?? null, failure, ending, _msg_id: msgId, _unique_id: uniqueId };
}

/** Throws EnvelopeError. */
export function replyOf(inner: Readonly<Record<string, unknown>>): Reply {
  const result = replySchema.safeParse(inner);
  if (!result.success) throw new EnvelopeError(`reply: ${problem(result.error)}`);
  const { _msg_id, failure, ending, _unique_id } = result.data;
  return {
    msgId: _msg_id,
    result: result.data.result ?? null,
    failure: failure ?? null,
    ending: ending ?? false,
    uniqueId: _unique_id ?? null,
  };
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

function problem(error: z.ZodError): string {
  const issue = error.issues[0]!;
  return `${issue.path.join('.')}: ${issue.message}`;
}
