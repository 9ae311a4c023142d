/**
 * The real server, real packets, and a broker that fails in every way. Two streams of 100 pings a second run through
 * each fault: one leaves by SNAT, one comes in to a floating IP.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import type { Machine } from '../e2e/packets.ts';
import { output, until } from '../e2e/shell.ts';
import { complaintsOf, fullSyncs, logOf } from './cloud/agent-log.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import { everything } from './cloud/everything.ts';
import type { Resource } from './cloud/server.ts';
import { Relay } from './rabbit/relay.ts';

/** Seconds of the long outage; ten minutes by hand. */
const OUTAGE = Number(process.env.VIADUCT_TEST_OUTAGE_S ?? 30);
/** Milliseconds before the end of it in which a user asks for something: the API itself waits for the broker. */
const ASKED_BEFORE = Math.min(OUTAGE * 500, 20_000);
const ROLES = ['l3', 'dhcp', 'metadata'] as const;

/** Deadlines are for a machine that does much else. */
vi.setConfig({ testTimeout: 600_000, hookTimeout: 900_000 });

let cloud: Cloud;
let relay: Relay;
let external: Resource;
let router: Resource;
let subnet: Resource;
let inner: Machine;
let outer: string;

async function soon<T>(what: string, look: () => T | Promise<T>, timeout = 240_000) {
  return until(what, look, timeout).catch((error: Error) => {
    throw new Error(`${error.message}\n${cloud.node.tail()}`);
  });
}
const settled = () =>
  soon('the agents have done all they know of', () =>
    ROLES.every((role) => cloud.node.status(role)?.converged === true),
  );
const connected = (): boolean =>
  ROLES.every((role) => JSON.stringify(cloud.node.status(role)?.server).includes('"connected":true'));
type Role = (typeof ROLES)[number];

/** What an agent told of its broker since; what happens to its other connections is for the debug log. */
const newsOf = (role: Role, since = 0): ('lost' | 'back')[] =>
  logOf(cloud.node.agent(role))
    .slice(since)
    .flatMap(({ level, msg }) => {
      if (level === 'warn' && msg.startsWith('lost the message broker')) return ['lost'];
      return /^connected to the message broker \S+ again$/.test(msg) ? ['back'] : [];
    });

/**
 * Each loss was told once, and its end; an agent asked for everything at most once after each. A machine that does much
 * else may lose the broker more than once.
 */
async function toldOnce(work: () => Promise<void>): Promise<void> {
  const before = ROLES.map((role) => ({
    role,
    lines: logOf(cloud.node.agent(role)).length,
    syncs: fullSyncs(cloud.node.agent(role)),
  }));
  await work();
  await soon('all are connected', connected);
  await settled();
  for (const { role, lines, syncs } of before) {
    const news = newsOf(role, lines);
    expect(news.join(' '), role).toMatch(/^lost back( lost back)*$/);
    if (role === 'metadata') continue;
    const asked = () => fullSyncs(cloud.node.agent(role)) - syncs;
    await soon(`the full sync of the ${role} agent`, () => asked() > 0);
    expect(asked(), role).toBeLessThanOrEqual(news.length / 2);
  }
}

async function port(network: Resource, owner = 'compute:nova'): Promise<Resource> {
  return cloud.server.create('ports', {
    network_id: network.id,
    device_id: 'a0000000-0000-4000-8000-000000000001',
    device_owner: owner,
    'binding:host_id': 'net-1',
  });
}
const associated = (portId: string): Promise<Resource> =>
  cloud.server.create('floatingips', { floating_network_id: external.id, port_id: portId });
const translates = async (address: string): Promise<boolean> =>
  (await output('ip', 'netns', 'exec', `qrouter-${router.id}`, 'nft', 'list', 'ruleset')).includes(address);

/** What a user asks for meanwhile: a network with a subnet, and a floating IP. `done`: the node does it. */
async function userChange(): Promise<{ done: () => Promise<void> }> {
  const [network, target] = await Promise.all([
    cloud.server.create('networks', { name: 'meanwhile' }),
    cloud.server.create('ports', { network_id: String(subnet.network_id) }),
  ]);
  const [fip] = await Promise.all([
    associated(target.id),
    cloud.server.create('subnets', { network_id: network.id, ip_version: 4, cidr: '10.77.0.0/24' }),
  ]);
  return {
    async done() {
      await soon('the network is served', () => listNamespaces().includes(`qdhcp-${network.id}`));
      await soon('the floating IP is translated', () => translates(String(fip.floating_ip_address)));
      await soon('it is ACTIVE', async () => {
        return (await cloud.server.show('floatingips', fip.id)).status === 'ACTIVE';
      });
    },
  };
}

/** Runs `fault` under both streams: no packet is lost, and nothing that was there goes. */
async function underStreams(fault: () => Promise<void>): Promise<void> {
  await settled();
  const before = new Set((await everything()).split('\n'));
  const streams = [inner.pingStream(OUTSIDE.address), cloud.outside.pingStream(outer)];
  await soon('the streams flow', () => streams.every(({ replies }) => replies > 10));
  try {
    await fault();
    await settled();
  } finally {
    const results = await Promise.all(streams.map((stream) => stream.stop()));
    expect(results.map(({ lost }) => lost)).toEqual([[], []]);
    for (const { sent } of results) expect(sent).toBeGreaterThan(100);
  }
  const after = new Set((await everything()).split('\n'));
  // The table is one text whose elements become more: what is in it is shown by the streams.
  const gone = [...before].filter((line) => !after.has(line) && !line.includes('elements = {'));
  expect(gone.filter((line) => !/^\s+\S+ : \S+/.test(line))).toEqual([]);
}

beforeAll(async () => {
  relay = await Relay.to(0);
  const quick = { heartbeat_timeout_threshold: 4, kombu_reconnect_delay: 0.2, rabbit_interval_max: 2 };
  cloud = await Cloud.start({
    node: {
      common: {
        DEFAULT: { transport_url: `rabbit://guest:guest@127.0.0.1:${relay.port}/` },
        oslo_messaging_rabbit: quick,
      },
    },
  });
  relay.target = cloud.broker.port;
  cloud.node.start();
  await soon('all agents are alive', async () => {
    const alive = await cloud.server.list('agents', '?alive=true');
    return alive.length === ROLES.length + 1;
  });
  external = await cloud.server.create('networks', {
    name: 'public',
    'router:external': true,
    'provider:network_type': 'flat',
    'provider:physical_network': 'ext',
  });
  await cloud.server.create('subnets', {
    network_id: external.id,
    ip_version: 4,
    cidr: OUTSIDE.cidr,
    gateway_ip: OUTSIDE.address,
    enable_dhcp: false,
  });
  const network = await cloud.server.create('networks', { name: 'private' });
  subnet = await cloud.server.create('subnets', {
    network_id: network.id,
    ip_version: 4,
    cidr: '10.9.0.0/24',
  });
  router = await cloud.server.create('routers', { name: 'r1' });
  await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  await cloud.server.update('routers', router.id, { external_gateway_info: { network_id: external.id } });
  const [first, second] = [await port(network), await port(network)];
  inner = await cloud.boot('vm-snat', first);
  const reached = await cloud.boot('vm-fip', second);
  await soon('an address', () => cloud.lease(inner));
  await soon('an address', () => cloud.lease(reached));
  outer = String((await associated(second.id)).floating_ip_address);
  await soon('SNAT works', async () => (await inner.ping(OUTSIDE.address, { count: 1 })).received > 0);
  await soon(
    'the floating IP works',
    async () => (await cloud.outside.ping(outer, { count: 1 })).received > 0,
  );
}, 900_000);

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
  relay?.close();
});

it('a broker that is killed and started: one line about the loss, one full sync, what was asked is done', () =>
  underStreams(() =>
    toldOnce(async () => {
      const syncs = fullSyncs(cloud.node.agent('l3'));
      const complaints = await complaintsOf(cloud.node.agent('l3'), async () => {
        await cloud.broker.kill();
        await soon('the loss is noticed', () => !connected());
        const change = userChange();
        change.catch(() => undefined);
        await cloud.broker.up();
        await (await change).done();
        await soon('the full sync', () => fullSyncs(cloud.node.agent('l3')) > syncs);
      });
      expect(complaints.filter((line) => !/message broker|state report/.test(line))).toEqual([]);
    }),
  ));

it('a broker that is frozen for longer than the heartbeat is given up and taken again', () =>
  underStreams(() =>
    toldOnce(async () => {
      const told = ROLES.map((role) => newsOf(role).length);
      cloud.broker.freeze();
      try {
        await soon('all notice the loss', () => ROLES.every((role, i) => newsOf(role).length > told[i]!));
      } finally {
        cloud.broker.thaw();
      }
      await (await userChange()).done();
    }),
  ));

it('a broker that refuses connections is tried until it takes them', () =>
  underStreams(() =>
    toldOnce(async () => {
      relay.accepting = false;
      relay.cut();
      await soon('the loss is noticed', () => !connected());
      const change = await userChange();
      // Long enough for many attempts.
      await delay(5_000);
      relay.accepting = true;
      await change.done();
    }),
  ));

it('a broker that comes and goes: all is done in the end', () =>
  underStreams(async () => {
    const flapping = setInterval(() => relay.cut(), 400);
    const changes = [await userChange()];
    await delay(4_000);
    changes.push(await userChange());
    clearInterval(flapping);
    for (const { done } of changes) await done();
    await soon('all are connected', connected);
  }));

it('a server that is killed in the middle of a full sync and started again is asked again', () =>
  underStreams(async () => {
    const agent = cloud.node.agent('l3');
    const [syncs, begun] = [fullSyncs(agent), logOf(agent).length];
    relay.cut();
    await soon('a full sync begins', () =>
      logOf(agent)
        .slice(begun)
        .some(({ msg }) => msg === 'full sync: the broker is back'),
    );
    await cloud.server.stop('SIGKILL');
    await delay(2_000);
    await cloud.server.start();
    await (await userChange()).done();
    await soon('the full sync', () => fullSyncs(agent) > syncs);
  }));

it(
  `${OUTAGE} seconds without a broker: one full sync on return, state reports resume, what was asked is done`,
  () =>
    underStreams(() =>
      toldOnce(async () => {
        const reportedAt = async (): Promise<string> => {
          const agents = await cloud.server.list('agents');
          return String(agents.find(({ agent_type }) => agent_type === 'L3 agent')?.heartbeat_timestamp);
        };
        await cloud.broker.kill();
        await delay(OUTAGE * 1_000 - ASKED_BEFORE);
        const change = userChange();
        change.catch(() => undefined);
        await delay(ASKED_BEFORE);
        const before = await reportedAt();
        await cloud.broker.up();
        await (await change).done();
        await soon('state reports resume', async () => (await reportedAt()) > before);
        const agents = await cloud.server.list('agents', '?alive=true');
        expect(agents.map(({ agent_type }) => agent_type)).toEqual(
          expect.arrayContaining(['L3 agent', 'DHCP agent', 'Metadata agent']),
        );
        // Whatever else the return may start comes with the next reports.
        const seen = await reportedAt();
        await soon('one more report', async () => (await reportedAt()) > seen);
      }),
    ),
  OUTAGE * 1_000 + 900_000,
);
