import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { MessagingTimeout, ReplyLost } from '../../../lib/rpc/failures.ts';
import type { Handler } from '../../../lib/rpc/rpc.ts';
import { TestBroker } from './broker.ts';
import { type Party, party, stranger, until } from './parties.ts';
import { Relay } from './relay.ts';

let broker: TestBroker;
const parties: Party[] = [];
beforeAll(async () => {
  broker = await TestBroker.start();
});
afterAll(async () => {
  await broker?.stop();
});
afterEach(async () => {
  broker.thaw();
  await Promise.all(parties.splice(0).map(({ rpc }) => rpc.close()));
});

/** Waits are short, so that an outage of seconds stands for one of minutes. */
const QUICK = { heartbeat_timeout_threshold: 1, kombu_reconnect_delay: 0.2, rabbit_interval_max: 1 };

function join(options: Readonly<Record<string, unknown>> = {}, url = broker.url()): Party {
  const joined = party(url, { ...QUICK, ...options });
  parties.push(joined);
  return joined;
}

async function serving(
  topic: string,
  methods: Readonly<Record<string, Handler>>,
  url = broker.url(),
): Promise<Party> {
  const joined = join({}, url);
  await joined.rpc.serve({ topic, server: 'vm', endpoints: [{ version: '1.0', methods }] }).ready();
  return joined;
}

const ping = (asking: Party, topic: string, timeout = 30) =>
  asking.rpc.call({ topic, method: 'ping', version: '1.0', timeout });

describe('a broker that is killed and started again', () => {
  test('servers and callers come back, with queues declared anew; nobody had to do anything', async () => {
    const server = await serving('t-killed', { ping: () => 'pong' });
    const agent = join();
    expect(await ping(agent, 't-killed')).toBe('pong');
    const before = agent.rpc.health();
    await broker.kill();
    await until(
      'the loss is noticed',
      60,
      () => !agent.rpc.health().connected && !server.rpc.health().connected,
    );
    const health = agent.rpc.health();
    expect(health.since.getTime()).toBeGreaterThan(before.since.getTime());
    expect(health.problem).not.toBeNull();
    const waiting = ping(agent, 't-killed');
    await delay(1000);
    await broker.up();
    expect(await waiting).toBe('pong');
    expect(agent.rpc.health()).toMatchObject({ connected: true, problem: null });
    expect(agent.lines.join('\n')).toMatch(
      /cannot reach the message broker 127\.0\.0\.1:\d+: .*ECONNREFUSED/,
    );
  });

  test('a call in flight fails as soon as the broker is back without its queue, not at its time-out', async () => {
    let called = 0;
    const never: Handler = () => {
      called += 1;
      return new Promise(() => undefined);
    };
    await serving('t-inflight', { never });
    const agent = join();
    const call = agent.rpc.call({ topic: 't-inflight', method: 'never', version: '1.0', timeout: 60 });
    const failed = expect(call).rejects.toBeInstanceOf(ReplyLost);
    await until('the server has it', 60, () => called === 1);
    await broker.kill();
    await broker.up();
    await failed;
    expect(called).toBe(1);
  });

  test('casts made meanwhile are sent afterwards, each once', async () => {
    const heard: unknown[] = [];
    await serving('t-casts', { ping: () => 'pong', note: ({ n }) => heard.push(n) });
    const agent = join();
    await until('connected', 60, () => agent.rpc.health().connected);
    await broker.kill();
    const cast = (n: number) =>
      agent.rpc.cast({ topic: 't-casts', server: 'vm', method: 'note', version: '1.0', args: { n } });
    const sent = Promise.all(Array.from({ length: 100 }, (_, n) => cast(n)));
    sent.catch(() => undefined);
    await broker.up();
    await sent;
    // What was sent before the server had its queue again is lost, as with any transient queue.
    await agent.rpc.call({ topic: 't-casts', server: 'vm', method: 'ping', version: '1.0', timeout: 30 });
    await cast(1000);
    await until('the last', 60, () => heard.includes(1000));
    expect(new Set(heard).size).toBe(heard.length);
  });
});

describe('a frozen broker', () => {
  test('calls time out meanwhile, the loss is noticed, and all goes on after', async () => {
    await serving('t-frozen', { ping: () => 'pong' });
    const agent = join();
    expect(await ping(agent, 't-frozen')).toBe('pong');
    broker.freeze();
    await expect(ping(agent, 't-frozen', 1)).rejects.toBeInstanceOf(MessagingTimeout);
    await until('the loss is noticed', 60, () => !agent.rpc.health().connected);
    broker.thaw();
    expect(await ping(agent, 't-frozen')).toBe('pong');
  });

  test('a short freeze is sat out: no connection is lost', async () => {
    await serving('t-nap', { ping: () => 'pong' });
    const agent = join({ heartbeat_timeout_threshold: 10 });
    expect(await ping(agent, 't-nap')).toBe('pong');
    const { since } = agent.rpc.health();
    broker.freeze();
    const call = ping(agent, 't-nap');
    await delay(1500);
    broker.thaw();
    expect(await call).toBe('pong');
    expect(agent.rpc.health()).toMatchObject({ connected: true, since });
  });

  test('closing does not wait for it', async () => {
    const agent = join();
    await until('connected', 60, () => agent.rpc.health().connected);
    broker.freeze();
    const call = ping(agent, 't-nobody');
    const failed = expect(call).rejects.toThrow('closing');
    await agent.rpc.close();
    await failed;
  });
});

describe('a way to the broker that fails', () => {
  test('the next host is taken, without a pause, when one refuses', async () => {
    const dead = await Relay.to(1);
    dead.close();
    const server = await serving('t-hosts', { ping: () => 'pong' });
    const hosts = `guest:guest@127.0.0.1:${dead.port},guest:guest@127.0.0.1:${broker.port}`;
    const agents = Array.from({ length: 4 }, () => join({}, `rabbit://${hosts}/`));
    expect(await Promise.all(agents.map((agent) => ping(agent, 't-hosts')))).toEqual(Array(4).fill('pong'));
    const lines = agents.flatMap((agent) => agent.lines).join('');
    expect(lines).toContain('trying the next host');
    expect(lines).not.toContain('trying again in');
    expect(agents.every((agent) => agent.rpc.health().broker === `127.0.0.1:${broker.port}`)).toBe(true);
    expect(server.rpc.health().connected).toBe(true);
  });

  test('a wrong password is named, tried again for ever, and never shown', async () => {
    const agent = join({}, `rabbit://neutron:sesame@127.0.0.1:${broker.port}/`);
    const line = await until(
      'the line',
      60,
      () => agent.lines.find((each) => each.includes("refuses user 'neutron'")) ?? false,
    );
    expect(line).toContain('check user, password and virtual host');
    await broker.ctl('add_user', 'neutron', 'sesame');
    await broker.ctl('set_permissions', 'neutron', '.*', '.*', '.*');
    await until('connected', 60, () => agent.rpc.health().connected);
    expect(agent.lines.join('')).not.toContain('sesame');
  });

  test('a virtual host that is not there is named', async () => {
    const agent = join({}, `rabbit://guest:guest@127.0.0.1:${broker.port}/cloud`);
    await until('the line', 60, () => agent.lines.some((each) => /virtual host 'cloud'/.test(each)));
    await delay(1500);
    expect(agent.lines.filter((each) => each.includes('"warn"'))).toHaveLength(1);
    await broker.ctl('add_vhost', 'cloud');
    await broker.ctl('set_permissions', '-p', 'cloud', 'guest', '.*', '.*', '.*');
    await until('connected', 60, () => agent.rpc.health().connected);
  });

  test('connections that break every moment: all calls are answered, none twice', async () => {
    const relay = await Relay.to(broker.port);
    const seen: unknown[] = [];
    await serving('t-flapping', {
      ping: ({ n }) => {
        seen.push(n);
        return n;
      },
    });
    const agent = join(
      { kombu_reconnect_delay: 0.05, rabbit_interval_max: 0.1 },
      `rabbit://guest:guest@127.0.0.1:${relay.port}/`,
    );
    const flapping = setInterval(() => relay.cut(), 400);
    const numbers = Array.from({ length: 60 }, (_, n) => n);
    const answers: unknown[] = [];
    for (const n of numbers) {
      answers.push(
        await agent.rpc.call({
          topic: 't-flapping',
          method: 'ping',
          version: '1.0',
          args: { n },
          timeout: 30,
        }),
      );
      await delay(20);
    }
    clearInterval(flapping);
    expect(answers).toEqual(numbers);
    expect(seen).toEqual(numbers);
    expect(relay.count).toBeGreaterThan(4);
    relay.close();
  });

  test('what the fanout queue collected during a short cut is heard after', async () => {
    const relay = await Relay.to(broker.port);
    const heard: unknown[] = [];
    const listener = await serving(
      't-cut',
      { note: ({ n }) => heard.push(n) },
      `rabbit://guest:guest@127.0.0.1:${relay.port}/`,
    );
    const sender = join();
    relay.accepting = false;
    relay.cut();
    await until('the loss is noticed', 60, () => !listener.rpc.health().connected);
    await sender.rpc.fanout({ topic: 't-cut', method: 'note', version: '1.0', args: { n: 1 } });
    await sender.rpc.cast({ topic: 't-cut', server: 'vm', method: 'note', version: '1.0', args: { n: 2 } });
    relay.accepting = true;
    await until('both', 60, () => heard.length === 2);
    expect(heard.sort()).toEqual([1, 2]);
    relay.close();
  });

  test('without AMQP heartbeats it works as well', async () => {
    await serving('t-silent', { ping: () => 'pong' });
    const agent = join({ heartbeat_timeout_threshold: 0 });
    expect(await ping(agent, 't-silent')).toBe('pong');
  });
});

describe('a broker in trouble', () => {
  test('with a memory alarm nothing is sent, answers and casts still arrive, and status knows', async () => {
    const heard: unknown[] = [];
    const agent = await serving('t-alarm', { ping: () => 'pong', note: ({ n }) => heard.push(n) });
    const asking = join();
    expect(await ping(asking, 't-alarm')).toBe('pong');
    await broker.ctl('set_vm_memory_high_watermark', '0.000001');
    // The broker tells those who publish.
    const call = ping(asking, 't-alarm');
    call.catch(() => undefined);
    await until('blocked', 60, () => asking.rpc.health().blocked !== null);
    expect(asking.rpc.health()).toMatchObject({ connected: true });
    const late = asking.rpc.cast({
      topic: 't-alarm',
      server: 'vm',
      method: 'note',
      version: '1.0',
      args: { n: 1 },
    });
    await delay(500);
    expect(heard).toEqual([]);
    expect(agent.rpc.health().connected).toBe(true);
    await broker.ctl('set_vm_memory_high_watermark', '0.4');
    expect(await call).toBe('pong');
    await late;
    await until('the cast', 60, () => heard.length === 1);
    expect(asking.rpc.health().blocked).toBeNull();
  });

  test('a queue that is deleted under its consumer is declared and consumed again', async () => {
    const server = await serving('t-deleted', { ping: () => 'pong' });
    const { model, channel } = await stranger(broker.port);
    await channel.deleteQueue('t-deleted');
    await until('the line', 60, () =>
      server.lines.some((line) => line.includes('cancelled the subscription')),
    );
    await until('the queue', 60, async () =>
      (await broker.ctl('list_queues', 'name')).includes('t-deleted\n'),
    );
    expect(await ping(join(), 't-deleted')).toBe('pong');
    await model.close();
  });

  test('urgent messages pass while bulk work fills the other channel', async () => {
    await serving('t-urgent', { ping: () => 'pong', take: () => null });
    const agent = join();
    await ping(agent, 't-urgent');
    const text = 'x'.repeat(1_000_000);
    let done = 0;
    let over = false;
    const bulk = Array.from({ length: 100 }, async () => {
      while (!over) {
        await agent.rpc.cast({ topic: 't-bulk', method: 'take', version: '1.0', args: { text } });
        done += 1;
      }
    });
    await until('bulk work flows', 60, () => done > 100);
    expect(await agent.rpc.call({ topic: 't-urgent', method: 'ping', version: '1.0', urgent: true })).toBe(
      'pong',
    );
    over = true;
    await Promise.all(bulk);
  });
});
