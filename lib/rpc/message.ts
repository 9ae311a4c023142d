/** What is published, as data: where to, with which properties, and the inner message. */
import { type Reply, type Request, replyFields, requestFields } from './envelope.ts';
import type { RpcOptions } from './options.ts';
import { controlExchange, type Exchange, fanoutExchange, routingKey } from './topology.ts';

export interface Outgoing {
  /** null: the default exchange, the routing key is a queue's name */
  readonly exchange: Exchange | null;
  readonly routingKey: string;
  readonly mandatory: boolean;
  /** milliseconds after which the broker drops it; null: never */
  readonly expiration: number | null;
  readonly inner: Readonly<Record<string, unknown>>;
}

/** AMQP properties that every message has, whatever kind it is. */
export const PROPERTIES = {
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  deliveryMode: 2,
  priority: 0,
} as const;

/**
 * A call or cast, to whoever listens on the topic or to one server. Unlike oslo's, a call comes back when nobody
 * listens (no receiver can see that): after a restart of the broker agents are there before the server is.
 * @param seconds timeout of a call: nobody must work for a caller who has gone
 */
export function toTopic(
  options: RpcOptions,
  target: { readonly topic: string; readonly server?: string },
  request: Request,
  seconds: number | null,
): Outgoing {
  return {
    exchange: controlExchange(options),
    routingKey: routingKey(target.topic, target.server),
    mandatory: seconds !== null,
    expiration: seconds === null ? null : Math.trunc(seconds * 1000),
    inner: requestFields(request),
  };
}

/** A cast to everyone who listens on the topic. */
export const toEveryone = (options: RpcOptions, topic: string, request: Request): Outgoing => ({
  exchange: fanoutExchange(options, topic),
  routingKey: '',
  mandatory: false,
  expiration: null,
  inner: requestFields(request),
});

/** An answer: it comes back if the caller's queue is gone. */
export const toCaller = (queue: string, reply: Reply): Outgoing => ({
  exchange: null,
  routingKey: queue,
  mandatory: true,
  expiration: null,
  inner: replyFields(reply),
});
