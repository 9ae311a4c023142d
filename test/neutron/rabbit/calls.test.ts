import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { agentContext } from '../../../lib/rpc/context.ts';
import { requestFields, wrap } from '../../../lib/rpc/envelope.ts';
import { MessagingTimeout, RemoteError } from '../../../lib/rpc/failures.ts';
import type { Endpoint, RpcServer } from '../../../lib/rpc/rpc.ts';
import { TestBroker } from './broker.ts';
import { type Party, party, stranger, until } from './parties.ts';

let broker: TestBroker;
let agent: Party;
let server: Party;
const serving: RpcServer[] = [];

beforeAll(async () => {
  broker = await TestBroker.start();
  agent = party(broker.url());
  server = party(broker.url());
});
afterAll(async () => {
  await agent?.rpc.close();
  await server?.rpc.close();
  await broker?.stop();
});
afterEach(async () => {
  await Promise.all(serving.splice(0).map((each) => each.stop()));
});

async function serve(
  topic: string,
  methods: Endpoint['methods'],
  host = 'server',
  version = '1.12',
): Promise<void> {
  const started = server.rpc.serve({ topic, server: host, endpoints: [{ version, methods }] });
  serving.push(started);
  await started.ready();
}

/** The body of a request as any sender makes it. */
const body = (method: string, extra: Readonly<Record<string, unknown>> = {}) =>
  wrap({
    ...requestFields({
      ...{
        method,
        args: {},
        version: '1.0',
        namespace: null,
        uniqueId: 'fixed',
        replyTo: null,
        monitor: null,
      },
      context: agentContext(new Date(), 'req-1'),
    }),
    ...extra,
  });

test('a call is answered with the result, and the context arrives', async () => {
  await serve('q-l3-plugin', { get_router_ids: ({ host }, context) => [host, context.is_admin] });
  const request = { topic: 'q-l3-plugin', method: 'get_router_ids', args: { host: 'net-1' }, version: '1.9' };
  expect(await agent.rpc.call(request)).toEqual(['net-1', true]);
});

test('a method without result is answered with null, to a host of a topic', async () => {
  await serve('l3_agent', { router_added_to_agent: () => undefined }, 'net-1');
  const request = { topic: 'l3_agent', server: 'net-1', method: 'router_added_to_agent', version: '1.0' };
  expect(await agent.rpc.call(request)).toBeNull();
});

test('many calls at once share one reply queue and find their own answers', async () => {
  await serve('q-plugin', { echo: async ({ n }) => delay(Math.random() * 50, n) });
  const numbers = Array.from({ length: 300 }, (_, n) => n);
  const call = (n: number) =>
    agent.rpc.call({ topic: 'q-plugin', method: 'echo', args: { n }, version: '1.0' });
  expect(await Promise.all(numbers.map(call))).toEqual(numbers);
  const queues = await broker.list('queues', 'name', 'consumers');
  expect(queues.filter(({ name }) => String(name).startsWith('reply_'))).toHaveLength(1);
});

test('what the server raises is a RemoteError with class and message', async () => {
  await serve('q-plugin', {
    update_dhcp_port: () => {
      throw new Error('no such network');
    },
  });
  const failing = agent.rpc.call({ topic: 'q-plugin', method: 'update_dhcp_port', version: '1.1' });
  await expect(failing).rejects.toBeInstanceOf(RemoteError);
  await expect(failing).rejects.toMatchObject({ className: 'Exception', remoteMessage: 'no such network' });
  const unknown = agent.rpc.call({ topic: 'q-plugin', method: 'missing', version: '1.0' });
  await expect(unknown).rejects.toMatchObject({ className: 'NoSuchMethod' });
  const newer = agent.rpc.call({ topic: 'q-plugin', method: 'update_dhcp_port', version: '1.99' });
  await expect(newer).rejects.toMatchObject({ className: 'UnsupportedVersion' });
});

test('a cast reaches its host only, in order; a fanout reaches everyone', async () => {
  const heard: string[] = [];
  const note = (host: string) => ({
    routers_updated: ({ n }: Record<string, unknown>) => heard.push(`${host}:${n}`),
  });
  await serve('l3_agent', note('one'), 'one');
  await serve('l3_agent', note('two'), 'two');
  for (const n of [1, 2, 3]) {
    await agent.rpc.cast({
      topic: 'l3_agent',
      server: 'one',
      method: 'routers_updated',
      args: { n },
      version: '1.1',
    });
  }
  await until('three casts', 60, () => heard.length === 3);
  expect(heard).toEqual(['one:1', 'one:2', 'one:3']);
  heard.length = 0;
  await agent.rpc.fanout({ topic: 'l3_agent', method: 'routers_updated', args: { n: 4 }, version: '1.1' });
  await until('both', 60, () => heard.length === 2);
  expect(heard.sort()).toEqual(['one:4', 'two:4']);
});

test('a message delivered twice is handled once', async () => {
  let handled = 0;
  await serve('dhcp_agent', { port_create_end: () => (handled += 1), end: () => 0 }, 'net-1');
  const { model, channel } = await stranger(broker.port);
  for (const unique of ['a', 'a', 'b', 'a']) {
    channel.publish('neutron', 'dhcp_agent.net-1', body('port_create_end', { _unique_id: unique }));
  }
  await channel.waitForConfirms();
  await agent.rpc.call({ topic: 'dhcp_agent', server: 'net-1', method: 'end', version: '1.0' });
  expect(handled).toBe(2);
  await model.close();
});

test('what is malformed is dropped with one line that says why, and the next message is handled', async () => {
  await serve('l3_agent', { ok: () => 'fine' }, 'net-1');
  server.lines.length = 0;
  const { model, channel } = await stranger(broker.port);
  const send = (content: Buffer, headers = {}) =>
    channel.publish('neutron', 'l3_agent.net-1', content, { headers });
  send(Buffer.from('{"oslo.version": "2.0", "oslo.mess'));
  send(Buffer.from([0xff, 0x00]));
  send(Buffer.from('[]'));
  send(body('x', { method: 7 }));
  send(body('x', { args: 'no' }));
  send(body('x', { _msg_id: 'm' }));
  send(body('x'), { compression: 'application/x-bz2' });
  await channel.waitForConfirms();
  expect(await agent.rpc.call({ topic: 'l3_agent', server: 'net-1', method: 'ok', version: '1.0' })).toBe(
    'fine',
  );
  const warnings = server.lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 'warn');
  expect(warnings.map(({ msg }) => msg)).toEqual([
    expect.stringMatching(
      /^queue l3_agent\.net-1: a message \(\d+ bytes\) was dropped: the body is not JSON/,
    ),
    expect.stringContaining('the body is not JSON'),
    expect.stringContaining('the body is not a JSON object'),
    expect.stringContaining('request: method: '),
    expect.stringContaining('request: args: '),
    expect.stringContaining('request x: _msg_id without _reply_q'),
    expect.stringContaining('compression "application/x-bz2" is not understood'),
  ]);
  await model.close();
});

test('a malformed call is answered with a failure, so that its caller need not wait', async () => {
  await serve('l3_agent', {}, 'net-1');
  const { model, channel } = await stranger(broker.port);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  channel.publish('neutron', 'l3_agent.net-1', body('x', { args: 5, _msg_id: 'm', _reply_q: queue }));
  const answer = await until('an answer', 60, () => channel.get(queue, { noAck: true }));
  const inner = JSON.parse(JSON.parse(answer.content.toString())['oslo.message']);
  expect(inner).toMatchObject({ _msg_id: 'm', ending: true, result: null });
  expect(JSON.parse(inner.failure).message).toContain('request: args');
  await model.close();
});

test('10 MB go both ways', async () => {
  await serve('q-plugin', { big: ({ text }) => ({ text }) });
  const text = 'é'.repeat(5_000_000);
  const answer = await agent.rpc.call({ topic: 'q-plugin', method: 'big', args: { text }, version: '1.0' });
  expect(answer).toEqual({ text });
});

test('a call that nobody answers times out; the next one of that method waits twice as long', async () => {
  const impatient = party(broker.url(), { rpc_response_timeout: 0.4, rpc_response_max_timeout: 1 });
  const call = (timeout?: number) =>
    impatient.rpc.call({ topic: 'nobody', method: 'sync_routers', version: '1.0', timeout });
  await expect(call()).rejects.toBeInstanceOf(MessagingTimeout);
  for (const seconds of ['0.8', '1', '1'])
    await expect(call()).rejects.toThrow(`no answer within ${seconds} s`);
  await expect(call(0.3)).rejects.toThrow(
    'sync_routers: no answer within 0.3 s (nobody listens on nobody: is neutron-server running?)',
  );
  await impatient.rpc.close();
});

test('a call to a server that starts a little later is answered', async () => {
  const call = agent.rpc.call({ topic: 'q-later', method: 'ping', version: '1.0', timeout: 60 });
  await delay(700);
  await serve('q-later', { ping: () => 'pong' });
  expect(await call).toBe('pong');
});

test('a server that stops says nothing, and leaves in its queue what comes later', async () => {
  const methods = { note: () => null };
  await serve('q-stopped', methods, 'h');
  server.lines.length = 0;
  await serving.pop()?.stop();
  await agent.rpc.cast({ topic: 'q-stopped', server: 'h', method: 'note', version: '1.0' });
  expect(server.lines).toEqual([]);
  const queues = await broker.list('queues', 'name', 'messages', 'consumers');
  expect(queues.filter(({ name }) => String(name).startsWith('q-stopped'))).toEqual(
    expect.arrayContaining([{ name: 'q-stopped.h', messages: 1, consumers: 0 }]),
  );
  expect(queues.map(({ name }) => name)).not.toContainEqual(expect.stringContaining('q-stopped_fanout'));
});

test('a late answer is dropped with a line', async () => {
  await serve('q-plugin', { slow: async () => delay(400, 'late') });
  agent.lines.length = 0;
  const call = agent.rpc.call({ topic: 'q-plugin', method: 'slow', version: '1.0', timeout: 0.2 });
  await expect(call).rejects.toBeInstanceOf(MessagingTimeout);
  await until('the line', 60, () =>
    agent.lines.some((line) => line.includes('a late answer to slow was dropped')),
  );
});

test('signs of life keep a monitored call going, and none are sent to a caller who asked for none', async () => {
  await serve('q-plugin', { slow: async () => delay(3500, 'done') });
  const monitored = { topic: 'q-plugin', method: 'slow', version: '1.0', monitor: 2, timeout: 60 };
  expect(await agent.rpc.call(monitored)).toBe('done');
  const { model, channel } = await stranger(broker.port);
  const { queue } = await channel.assertQueue('', { exclusive: true });
  const answers: unknown[] = [];
  await channel.consume(queue, (message) => answers.push(message?.content.toString()), { noAck: true });
  channel.publish('neutron', 'q-plugin', body('slow', { _msg_id: 'm', _reply_q: queue, _timeout: null }));
  await until('the answer', 60, () => answers.length > 0);
  expect(answers).toHaveLength(1);
  expect(answers[0]).toContain('done');
  await model.close();
});

test('the answer to a caller who is gone is given up after a while, and his next ones at once', async () => {
  const quick = party(broker.url(), { kombu_missing_consumer_retry_timeout: 1 });
  const started = quick.rpc.serve({
    ...{ topic: 'l3_agent', server: 'gone' },
    endpoints: [{ version: '1.0', methods: { m: () => 1 } }],
  });
  await started.ready();
  const { model, channel } = await stranger(broker.port);
  const send = (id: string) =>
    channel.publish(
      'neutron',
      'l3_agent.gone',
      body('m', { _unique_id: id, _msg_id: id, _reply_q: 'reply_gone' }),
    );
  send('a');
  await until('the line', 60, () =>
    quick.lines.some((line) => line.includes('the caller behind reply_gone is gone')),
  );
  const { queue } = await channel.assertQueue('reply_gone', { autoDelete: true });
  send('b');
  await delay(600);
  expect(await channel.checkQueue(queue)).toMatchObject({ messageCount: 0 });
  await channel.deleteQueue(queue);
  await model.close();
  await quick.rpc.close();
});

test('a caller whose queue is missing for a moment gets his answer', async () => {
  await serve('l3_agent', { m: () => 'x' }, 'net-1');
  const { model, channel } = await stranger(broker.port);
  channel.publish('neutron', 'l3_agent.net-1', body('m', { _msg_id: 'm', _reply_q: 'reply_late' }));
  await delay(700);
  await channel.assertQueue('reply_late', { autoDelete: true });
  const answer = await until('the answer', 60, () => channel.get('reply_late', { noAck: true }));
  expect(answer.content.toString()).toContain('\\"result\\":\\"x\\"');
  await channel.deleteQueue('reply_late');
  await model.close();
});
