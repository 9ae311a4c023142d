/** What stands in the broker and goes over the wire equals what Neutron's own agents and server put there. */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { rpcOptions } from '../../../lib/rpc/rpc.ts';
import { fanoutConsumer, replyConsumer, topicConsumer } from '../../../lib/rpc/topology.ts';
import { innerOf, recordedBroker, recordedMessages } from '../../lib/rpc/recording.ts';
import { TestBroker } from './broker.ts';
import { type Party, party, stranger, until } from './parties.ts';

let broker: TestBroker;
const parties: Party[] = [];
beforeAll(async () => {
  broker = await TestBroker.start();
});
afterAll(async () => {
  await broker?.stop();
});
afterEach(async () => {
  await Promise.all(parties.splice(0).map(({ rpc }) => rpc.close()));
});

function join(options: Readonly<Record<string, unknown>> = {}): Party {
  const joined = party(broker.url(), options);
  parties.push(joined);
  return joined;
}

const AGENT_TOPICS = [
  'l3_agent',
  'dhcp_agent',
  'q-agent-notifier-network-update',
  'neutron-vo-PortForwarding-1.3',
];
/** Random ends of names are not compared. */
const generic = (name: unknown) => String(name).replace(/[0-9a-f]{32}$/, '<id>');

test('exchanges, queues, bindings and consumers equal the recorded ones of an L3 and a DHCP agent', async () => {
  const { rpc } = join();
  const method = { report_state: () => 'alive' };
  await rpc
    .serve({ topic: 'q-reports-plugin', server: 'vm', endpoints: [{ version: '1.2', methods: method }] })
    .ready();
  await Promise.all(
    AGENT_TOPICS.map((topic) => rpc.serve({ topic, server: 'net-1', endpoints: [] }).ready()),
  );
  await rpc.call({ topic: 'q-reports-plugin', method: 'report_state', version: '1.2' });

  const foreign = (name: unknown) =>
    String(name).includes('q-reports-plugin') || String(name).startsWith('amq.');
  const queues = await broker.list('queues', 'name', 'durable', 'auto_delete', 'exclusive', 'arguments');
  const sorted = <T>(rows: readonly T[]) => rows.map((row) => JSON.stringify(row)).sort();
  const queueRow = (queue: Record<string, unknown>) => ({
    ...{ name: generic(queue.name), durable: queue.durable, auto_delete: queue.auto_delete },
    ...{ exclusive: queue.exclusive, arguments: queue.arguments },
  });
  // Two recorded agents listened on some topics: the same names twice, or two random ends.
  const distinct = <T>(rows: readonly T[]) => [...new Set(sorted(rows))];
  expect(distinct(queues.filter(({ name }) => !foreign(name)).map(queueRow))).toEqual(
    distinct(recordedBroker.queues.map((queue) => queueRow({ ...queue }))),
  );

  const exchanges = await broker.list(
    'exchanges',
    'name',
    'type',
    'durable',
    'auto_delete',
    'internal',
    'arguments',
  );
  const exchangeRow = ({
    name,
    type,
    durable,
    auto_delete,
    internal,
    arguments: args,
  }: Record<string, unknown>) => ({
    ...{ name, type, durable, auto_delete, internal, arguments: args },
  });
  expect(sorted(exchanges.filter(({ name }) => name !== '' && !foreign(name)).map(exchangeRow))).toEqual(
    sorted(recordedBroker.exchanges.map((exchange) => exchangeRow({ ...exchange }))),
  );

  const bindings = await broker.list('bindings', 'source_name', 'destination_name', 'routing_key');
  const bindingRow = ({ source_name, destination_name, routing_key }: Record<string, unknown>) => ({
    ...{ source_name, destination_name: generic(destination_name), routing_key: generic(routing_key) },
  });
  expect(distinct(bindings.filter((row) => !foreign(row.destination_name)).map(bindingRow))).toEqual(
    distinct(recordedBroker.bindings.map((row) => bindingRow({ ...row }))),
  );

  const consumers = await broker.list(
    'consumers',
    'queue_name',
    'ack_required',
    'prefetch_count',
    'arguments',
  );
  const consumerRow = ({
    queue_name,
    ack_required,
    prefetch_count,
    arguments: args,
  }: Record<string, unknown>) => ({
    ...{ queue_name: generic(queue_name), ack_required, prefetch_count, arguments: args },
  });
  expect(distinct(consumers.filter((row) => !foreign(row.queue_name)).map(consumerRow))).toEqual(
    distinct(recordedBroker.consumers.map((row) => consumerRow({ ...row }))),
  );
});

test('what we publish has the recorded properties, headers and keys: call, answer, cast and fanout', async () => {
  const { model, channel } = await stranger(broker.port);
  await broker.ctl('trace_on');
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'amq.rabbitmq.trace', 'publish.#');
  const traced: { key: string; properties: unknown; inner: Record<string, unknown> }[] = [];
  await channel.consume(queue, (message) => {
    const headers = message?.properties.headers;
    if (message) {
      traced.push({
        key: String(headers?.routing_keys?.[0]),
        properties: headers?.properties,
        inner: innerOf({ payload: message.content.toString() }),
      });
    }
  });
  const { rpc } = join();
  const methods = { report_state: () => 'alive' };
  await rpc
    .serve({ topic: 'q-reports-plugin', server: 'vm', endpoints: [{ version: '1.2', methods }] })
    .ready();
  const args = { agent_state: {}, time: '' };
  await rpc.call({
    topic: 'q-reports-plugin',
    method: 'report_state',
    version: '1.2',
    args,
    timeout: 30,
    urgent: true,
  });
  await rpc.cast({
    ...{
      topic: 'l3_agent',
      server: 'net-1',
      method: 'routers_updated',
      version: '1.1',
      args: { routers: [] },
    },
  });
  await rpc.fanout({ topic: 'l3_agent', method: 'router_deleted', version: '1.0', args: { router_id: 'x' } });
  await until('four messages', 60, () => traced.length >= 4);
  await broker.ctl('trace_off');
  await model.close();

  const recordedRequest = (method: string) =>
    recordedMessages.find((message) => {
      const inner = innerOf(message);
      return inner.method === method && (inner.version === '1.1' || method !== 'routers_updated');
    })!;
  const recordedAnswer = recordedMessages.find((message) => innerOf(message).result === 'alive')!;
  for (const message of traced) {
    const method = message.inner.method;
    const recorded = typeof method === 'string' ? recordedRequest(method) : recordedAnswer;
    expect(message.properties, String(method)).toEqual(recorded.properties);
    const keys = (inner: object) => Object.keys(inner).filter((key) => !key.startsWith('_context_'));
    expect(keys(message.inner).sort(), String(method)).toEqual(keys(innerOf(recorded)).sort());
    if (method) expect(message.key).toBe(recorded.routing_keys[0]?.replace('cmp-1', 'net-1'));
  }
  expect(traced.map(({ inner }) => inner.method ?? 'answer').sort()).toEqual([
    'answer',
    'report_state',
    'router_deleted',
    'routers_updated',
  ]);
});

test('the broker shows who is connected: program, process and a random id', async () => {
  const { rpc } = join();
  await until('connected', 60, () => rpc.health().connected);
  const connections = await broker.list('connections', 'client_properties', 'timeout');
  const text = JSON.stringify(connections);
  expect(text).toMatch(new RegExp(`"viaduct-test:${process.pid}:[0-9a-f-]{36}"`));
  expect(text).toContain('"connection.blocked"');
  expect(connections.filter(({ timeout }) => timeout === 60)).toHaveLength(3);
});

test.each([
  ['durable queues', { amqp_durable_queues: true, control_exchange: 'durable' }],
  [
    'quorum queues',
    { rabbit_quorum_queue: true, rabbit_quorum_delivery_limit: 3, control_exchange: 'quorum' },
  ],
  ['transient quorum queues', { rabbit_transient_quorum_queue: true, control_exchange: 'transient' }],
  ['auto-deleted queues', { amqp_auto_delete: true, control_exchange: 'auto' }],
  [
    'streams for fanouts',
    { rabbit_stream_fanout: true, rabbit_qos_prefetch_count: 1, control_exchange: 'stream' },
  ],
  ['queues that never expire', { rabbit_transient_queues_ttl: 0, control_exchange: 'eternal' }],
])('%s: the broker has them as the options say, and calls and fanouts work', async (_, given) => {
  const options = rpcOptions(given);
  const topic = `t-${given.control_exchange}`;
  const { rpc } = join(given);
  const heard: unknown[] = [];
  const methods = { m: () => 'answer', note: ({ n }: Record<string, unknown>) => heard.push(n) };
  await rpc.serve({ topic, server: 'h', endpoints: [{ version: '1.0', methods }] }).ready();
  expect(await rpc.call({ topic, method: 'm', version: '1.0' })).toBe('answer');
  await rpc.fanout({ topic, method: 'note', version: '1.0', args: { n: 1 } });
  await until('the fanout', 60, () => heard.length === 1);

  const queues = await broker.list('queues', 'name', 'durable', 'auto_delete', 'arguments');
  const shown = (row: Record<string, unknown>) => ({
    durable: row.durable,
    autoDelete: row.auto_delete,
    arguments: Object.fromEntries(argumentsOf(row.arguments)),
  });
  const wanted = [
    topicConsumer(options, topic),
    topicConsumer(options, topic, 'h'),
    fanoutConsumer(options, topic, '<id>'),
    replyConsumer(options, '<id>'),
  ];
  for (const { queue } of wanted) {
    const rows = queues.filter(({ name }) => generic(name) === queue.name);
    const { name, ...flags } = queue;
    // Reply queues of tests before are there still, with other flags.
    expect(rows.map(shown), name).toContainEqual(flags);
  }
});

test('an exchange that is durable already is used as it is', async () => {
  const { model, channel } = await stranger(broker.port);
  await channel.assertExchange('other', 'topic', { durable: true });
  await model.close();
  const { rpc, lines } = join({ control_exchange: 'other' });
  const methods = { m: () => 1 };
  await rpc.serve({ topic: 't-other', server: 'h', endpoints: [{ version: '1.0', methods }] }).ready();
  expect(await rpc.call({ topic: 't-other', method: 'm', version: '1.0' })).toBe(1);
  expect(lines.join()).toContain('exchange other: the broker has it durable; taking it so.');
});

test('a queue with other flags is named, the rest goes on, and it is taken when it fits', async () => {
  const { model, channel } = await stranger(broker.port);
  await channel.assertQueue('t-flags.h', { durable: true });
  const { rpc, lines } = join();
  const server = rpc.serve({
    topic: 't-flags',
    server: 'h',
    endpoints: [{ version: '1.0', methods: { m: () => 1 } }],
  });
  await until('the line', 60, () =>
    lines.some((line) => /inequivalent arg 'durable' for queue 't-flags.h'/.test(line)),
  );
  expect(rpc.health().connected).toBe(true);
  await rpc.serve({ topic: 't-fine', server: 'h', endpoints: [] }).ready();
  await channel.deleteQueue('t-flags.h');
  await server.ready();
  await model.close();
});

/** rabbitmqctl shows a table as a list of [name, type, value], an empty one as []. */
function argumentsOf(shown: unknown): [string, unknown][] {
  if (!Array.isArray(shown)) return Object.entries(shown ?? {});
  return shown.map((row: readonly unknown[]) => [String(row[0]), row[2]]);
}
