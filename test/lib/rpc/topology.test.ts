import { describe, expect, test } from 'vitest';
import { rpcOptions } from '../../../lib/rpc/options.ts';
import {
  type Consumer,
  controlExchange,
  fanoutConsumer,
  fanoutExchange,
  replyConsumer,
  topicConsumer,
} from '../../../lib/rpc/topology.ts';
import { recordedBroker } from './recording.ts';

const plain = rpcOptions();
const SUFFIX = /_([0-9a-f]{32})$/;

/** What listens on a queue of this name. */
function consumerOf(queue: string): Consumer {
  const suffix = SUFFIX.exec(queue)?.[1] ?? '';
  const name = queue.replace(SUFFIX, '');
  if (name === 'reply') return replyConsumer(plain, suffix);
  if (name.endsWith('_fanout')) return fanoutConsumer(plain, name.slice(0, -'_fanout'.length), suffix);
  const match = /^(.*)\.(net-1)$/.exec(name);
  return match ? topicConsumer(plain, match[1]!, match[2]!) : topicConsumer(plain, name);
}

describe('with the default options, as in the recording', () => {
  test.each(recordedBroker.queues.map((queue) => [queue.name, queue] as const))(
    'queue %s',
    (name, recorded) => {
      const { queue, binding, arguments: consuming } = consumerOf(name);
      expect(queue).toEqual({
        name,
        durable: recorded.durable,
        autoDelete: recorded.auto_delete,
        arguments: Object.fromEntries(recorded.arguments.map(([key, , value]) => [key, value])),
      });
      const bindings = recordedBroker.bindings.filter(
        (each) => each.destination_name === name && each.source_name !== '',
      );
      expect(binding ? [{ source: binding.exchange.name, key: binding.key }] : []).toEqual(
        bindings.map((each) => ({ source: each.source_name, key: each.routing_key })),
      );
      const consumers = recordedBroker.consumers.filter((each) => each.queue_name === name);
      expect(consumers.length).toBeGreaterThan(0);
      expect(consumers.every((each) => each.ack_required && each.arguments.length === 0)).toBe(true);
      expect(consuming).toEqual({});
    },
  );

  test.each(recordedBroker.exchanges.map((exchange) => [exchange.name, exchange] as const))(
    'exchange %s',
    (name, recorded) => {
      const ours =
        name === 'neutron' ? controlExchange(plain) : fanoutExchange(plain, name.replace(/_fanout$/, ''));
      expect(ours).toEqual({
        name,
        type: recorded.type,
        durable: recorded.durable,
        autoDelete: recorded.auto_delete,
      });
    },
  );
});

describe('other options', () => {
  test('amqp_durable_queues: topic queues and the control exchange are durable, fanouts and replies are not', () => {
    const options = rpcOptions({ amqp_durable_queues: true });
    expect(controlExchange(options).durable).toBe(true);
    expect(topicConsumer(options, 't').queue).toMatchObject({ durable: true, arguments: {} });
    expect(fanoutExchange(options, 't').durable).toBe(false);
    expect(fanoutConsumer(options, 't', 'x').queue.durable).toBe(false);
    expect(replyConsumer(options, 'x').queue.durable).toBe(false);
  });

  test('rabbit_quorum_queue: topic queues are quorum queues with the limits that are set', () => {
    const options = rpcOptions({
      rabbit_quorum_queue: true,
      rabbit_quorum_delivery_limit: 5,
      rabbit_quorum_max_memory_bytes: 1_000_000,
    });
    expect(controlExchange(options).durable).toBe(true);
    expect(topicConsumer(options, 't', 'h').queue).toEqual({
      name: 't.h',
      durable: true,
      autoDelete: false,
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 5, 'x-max-in-memory-bytes': 1_000_000 },
    });
    expect(replyConsumer(options, 'x').queue).toMatchObject({
      durable: false,
      arguments: { 'x-expires': 1_800_000 },
    });
  });

  test('rabbit_transient_quorum_queue: fanouts and replies are durable quorum queues that expire', () => {
    const options = rpcOptions({ rabbit_transient_quorum_queue: true });
    const queue = { durable: true, arguments: { 'x-expires': 1_800_000, 'x-queue-type': 'quorum' } };
    expect(fanoutConsumer(options, 't', 'x').queue).toMatchObject(queue);
    expect(replyConsumer(options, 'x').queue).toMatchObject(queue);
    expect(fanoutExchange(options, 't')).toMatchObject({ durable: true, autoDelete: true });
    expect(topicConsumer(options, 't').queue).toMatchObject({ durable: false, arguments: {} });
  });

  test('rabbit_transient_queues_ttl of 0: nothing expires', () => {
    expect(replyConsumer(rpcOptions({ rabbit_transient_queues_ttl: 0 }), 'x').queue.arguments).toEqual({});
  });

  test('rabbit_ha_queues: the policy is an argument of every queue', () => {
    const options = rpcOptions({ rabbit_ha_queues: true });
    expect(topicConsumer(options, 't').queue.arguments).toEqual({ 'x-ha-policy': 'all' });
    expect(replyConsumer(options, 'x').queue.arguments).toEqual({
      'x-expires': 1_800_000,
      'x-ha-policy': 'all',
    });
  });

  test('rabbit_stream_fanout: one stream for everyone, read from the last message on, then from where we were', () => {
    const options = rpcOptions({ rabbit_stream_fanout: true, rabbit_qos_prefetch_count: 1 });
    expect(fanoutConsumer(options, 't', 'x')).toMatchObject({
      queue: {
        name: 't_fanout',
        durable: true,
        arguments: { 'x-queue-type': 'stream', 'x-max-age': '1800s' },
      },
      arguments: { 'x-stream-offset': 'last' },
      own: false,
    });
    expect(fanoutConsumer(options, 't', 'x', 7).arguments).toEqual({ 'x-stream-offset': 7 });
  });

  test('enable_cancel_on_failover asks the broker for it', () => {
    const options = rpcOptions({ enable_cancel_on_failover: true });
    expect(topicConsumer(options, 't').arguments).toEqual({ 'x-cancel-on-ha-failover': true });
  });
});
