/**
 * Exchanges, queues and bindings as data (`oslo_messaging/_drivers/impl_rabbit.py`). Every declaration must equal
 * neutron-server's, or the broker refuses it with 406: the same options on both sides give the same flags.
 */
import type { RabbitOptions, RpcOptions } from './options.ts';

export interface Exchange {
  readonly name: string;
  readonly type: 'topic' | 'fanout';
  readonly durable: boolean;
  readonly autoDelete: boolean;
}

export interface Queue {
  readonly name: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Readonly<Record<string, string | number>>;
}

/** A queue that is listened to, with all that it hangs on. */
export interface Consumer {
  /** null: reached by its name, through the default exchange */
  readonly binding: { readonly exchange: Exchange; readonly key: string } | null;
  readonly queue: Queue;
  /** arguments of basic.consume */
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
  /** nobody else uses this queue: it goes on a clean stop */
  readonly own: boolean;
}

type Options = Pick<RpcOptions, 'control_exchange' | 'rabbit'>;

const durable = (rabbit: RabbitOptions): boolean => rabbit.amqp_durable_queues || rabbit.rabbit_quorum_queue;

/** Where calls and casts to a topic go. */
export const controlExchange = ({ control_exchange, rabbit }: Options): Exchange => ({
  name: control_exchange,
  type: 'topic',
  durable: durable(rabbit),
  autoDelete: rabbit.amqp_auto_delete,
});

/** Where a topic's fanouts go. The exchange is auto-delete although its queues are not. */
export const fanoutExchange = ({ rabbit }: Options, topic: string): Exchange => ({
  name: `${topic}_fanout`,
  type: 'fanout',
  durable: rabbit.rabbit_transient_quorum_queue,
  autoDelete: true,
});

/** Routing key, and queue name, of a topic or of one host of it. */
export const routingKey = (topic: string, server?: string): string => (server ? `${topic}.${server}` : topic);

/** Queue `<topic>` that all listeners share (no `server`), or `<topic>.<server>`. */
export function topicConsumer(options: Options, topic: string, server?: string): Consumer {
  const { rabbit } = options;
  const name = routingKey(topic, server);
  return {
    binding: { exchange: controlExchange(options), key: name },
    queue: {
      name,
      durable: durable(rabbit),
      autoDelete: rabbit.amqp_auto_delete,
      arguments: replication(rabbit, rabbit.rabbit_quorum_queue),
    },
    arguments: failover(rabbit),
    own: false,
  };
}

/**
 * The queue of one listener for a topic's fanouts.
 * @param suffix 32 hex digits, kept as long as the process: what waited during an outage is then not lost
 * @param offset of the next message, only with rabbit_stream_fanout
 */
export function fanoutConsumer(
  options: Options,
  topic: string,
  suffix: string,
  offset: number | 'last' = 'last',
): Consumer {
  const { rabbit } = options;
  const binding = { exchange: fanoutExchange(options, topic), key: topic };
  if (rabbit.rabbit_stream_fanout) {
    const age = { 'x-queue-type': 'stream', 'x-max-age': `${rabbit.rabbit_transient_queues_ttl}s` };
    return {
      binding,
      queue: { name: `${topic}_fanout`, durable: true, autoDelete: false, arguments: age },
      arguments: { ...failover(rabbit), 'x-stream-offset': offset },
      own: false,
    };
  }
  const queue = transientQueue(rabbit, `${topic}_fanout_${suffix}`);
  return { binding, queue, arguments: failover(rabbit), own: true };
}

/** The queue on which all answers to this process arrive. */
export const replyConsumer = ({ rabbit }: Options, suffix: string): Consumer => ({
  binding: null,
  queue: transientQueue(rabbit, `reply_${suffix}`),
  arguments: failover(rabbit),
  own: true,
});

function transientQueue(rabbit: RabbitOptions, name: string): Queue {
  const ttl = rabbit.rabbit_transient_queues_ttl;
  return {
    name,
    durable: rabbit.rabbit_transient_quorum_queue,
    autoDelete: false,
    arguments: {
      ...(ttl > 0 && { 'x-expires': ttl * 1000 }),
      ...replication(rabbit, rabbit.rabbit_transient_quorum_queue),
    },
  };
}

function replication(rabbit: RabbitOptions, quorum: boolean): Record<string, string | number> {
  const limits = {
    'x-delivery-limit': rabbit.rabbit_quorum_delivery_limit,
    'x-max-in-memory-length': rabbit.rabbit_quorum_max_memory_length,
    'x-max-in-memory-bytes': rabbit.rabbit_quorum_max_memory_bytes,
  };
  return {
    ...(rabbit.rabbit_ha_queues && { 'x-ha-policy': 'all' }),
    ...(quorum && {
      'x-queue-type': 'quorum',
      ...Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit > 0)),
    }),
  };
}

const failover = (rabbit: RabbitOptions): Record<string, boolean> =>
  rabbit.enable_cancel_on_failover ? { 'x-cancel-on-ha-failover': true } : {};
