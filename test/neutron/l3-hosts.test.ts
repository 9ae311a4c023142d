import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import type { Machine } from '../e2e/packets.ts';
import { output } from '../e2e/shell.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import type { NetworkNode } from './cloud/node.ts';
import { declarations, declaredQueues } from './cloud/queues.ts';
import type { Resource } from './cloud/server.ts';
import { addressOf, short, Tenant, type TenantNetwork } from './cloud/tenant.ts';
import { overhear } from './rabbit/parties.ts';

/** Seconds; the server gives routers away after twice as long. */
const DOWN_TIME = 15;
const DURABLE = { amqp_durable_queues: true };
let cloud: Cloud;
let first: NetworkNode;
let second: NetworkNode;
let tenant: Tenant;
let external: TenantNetwork;

const namespaceOn = ({ host }: NetworkNode, { id }: Resource): string =>
  host === 'net-1' ? `qrouter-${id}` : `qrouter-${id}.${host}`;
const isOn = (node: NetworkNode, router: Resource): boolean =>
  listNamespaces().includes(namespaceOn(node, router));
const comesTo = (node: NetworkNode, router: Resource, timeout?: number) =>
  tenant.soon(`${String(router.name)} is on ${node.host}`, () => isOn(node, router), timeout);
const leaves = (node: NetworkNode, router: Resource) =>
  tenant.soon(`${String(router.name)} is not on ${node.host} any more`, () => !isOn(node, router));
const withGateway = () => ({ external_gateway_info: { network_id: external.network.id } });
const inZone = (zone: string) => ({ availability_zone_hints: [zone] });
const router = (name: string, given: object = {}) => cloud.server.create('routers', { name, ...given });

/** A router with a network and a machine behind it. */
async function site(name: string, cidr: string, given: object) {
  const made = await router(name, { ...withGateway(), ...given });
  const net = await tenant.network(name, [{ cidr, enable_dhcp: false }]);
  const [subnet] = net.subnets;
  await cloud.server.request('PUT', `routers/${made.id}/add_router_interface`, { subnet_id: subnet!.id });
  const { vm, port } = await tenant.machine(`vm-${name}`, net.network);
  await vm.sh(`ip addr add ${addressOf(port)}/24 dev eth0`);
  await vm.sh(`ip route add default via ${String(subnet!.gateway_ip)}`);
  return { router: made, vm };
}
const reachesOutside = (vm: Machine) =>
  tenant.soon(
    `${vm.ns} reaches the outside`,
    async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
  );

beforeAll(async () => {
  cloud = await Cloud.start({
    server: {
      DEFAULT: {
        agent_down_time: DOWN_TIME,
        allow_automatic_l3agent_failover: true,
        router_scheduler_driver: 'neutron.scheduler.l3_agent_scheduler.AZLeastRoutersScheduler',
      },
      oslo_messaging_rabbit: DURABLE,
    },
    node: { common: { AGENT: { availability_zone: 'zone-1' }, oslo_messaging_rabbit: DURABLE } },
  });
  first = cloud.node;
  second = cloud.addNode('net-2', {
    common: { AGENT: { availability_zone: 'zone-2' }, oslo_messaging_rabbit: DURABLE },
  });
  tenant = new Tenant(cloud, second);
  // One kernel: the L2 agent of the first plugs for both.
  first.start('linuxbridge', 'l3');
  second.start('linuxbridge', 'l3');
  for (const host of ['net-1', 'net-2'])
    for (const type of ['L3 agent', 'Linux bridge agent']) await tenant.alive(type, host);
  external = await tenant.external();
}, 400_000);

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
}, 60_000);

describe('routers and the hosts they are on', () => {
  let one: { router: Resource; vm: Machine };
  let two: { router: Resource; vm: Machine };

  it('[A4] go to the availability zone that is asked for', async () => {
    for (const [host, zone] of [
      ['net-1', 'zone-1'],
      ['net-2', 'zone-2'],
    ])
      expect((await tenant.agent('L3 agent', host)).availability_zone).toBe(zone);
    one = await site('one', '10.1.0.0/24', inZone('zone-1'));
    two = await site('two', '10.2.0.0/24', inZone('zone-2'));
    await reachesOutside(one.vm);
    await reachesOutside(two.vm);
    for (const made of [one.router, two.router])
      expect([isOn(first, made), isOn(second, made)]).toEqual([made === one.router, made === two.router]);
    const { availability_zones } = await cloud.server.show('routers', two.router.id);
    expect(availability_zones).toEqual(['zone-2']);
  });

  it('[A23] hear of it by durable queues where the server has durable queues', async () => {
    const queues = await declaredQueues(cloud.broker);
    const ours = queues.filter(({ name }) => name.startsWith('l3_agent'));
    const theirs = queues.filter(({ name }) => name.startsWith('q-'));
    for (const kind of ['topic', 'fanout'] as const)
      expect(declarations(ours, kind), kind).toEqual(declarations(theirs, kind));
    expect(declarations(queues, 'reply')).toHaveLength(1);
    expect(declarations(ours, 'topic')).toEqual([expect.stringContaining('["durable",true]')]);
  });

  it('[A9] hear of a deleted router by a fanout: the one that has it removes it, and nothing else goes', async () => {
    const heard = await overhear(cloud.broker.port, 'l3_agent_fanout');
    const doomed = await router('doomed', { ...withGateway(), ...inZone('zone-2') });
    await comesTo(second, doomed);
    const streams = [one.vm, two.vm].map((vm) => vm.pingStream(OUTSIDE.address));
    await tenant.soon('pings flow', () => streams.every(({ replies }) => replies > 20));
    await cloud.server.remove('routers', doomed.id);
    await leaves(second, doomed);
    await tenant.soon('it was told to all', () =>
      heard.messages.some(({ method, args }) => method === 'router_deleted' && args.router_id === doomed.id),
    );
    const before = streams.map(({ replies }) => replies);
    await tenant.soon('pings go on', () => streams.every(({ replies }, i) => replies > before[i]! + 50));
    for (const stream of streams) expect((await stream.stop()).lost).toEqual([]);
    expect([isOn(first, one.router), isOn(second, two.router)]).toEqual([true, true]);
    await heard.stop();
  });

  it('[A24] come to another host when theirs is lost for long', async () => {
    const orphan = await router('orphan', withGateway());
    const agentOf = async ({ host }: NetworkNode) => (await tenant.agent('L3 agent', host)).id;
    await tenant.soon('it is somewhere', () => isOn(first, orphan) || isOn(second, orphan));
    if (isOn(first, orphan)) {
      await cloud.server.remove(`agents/${await agentOf(first)}/l3-routers`, orphan.id);
      const wanted = { router_id: orphan.id };
      await cloud.server.request('POST', `agents/${await agentOf(second)}/l3-routers`, wanted);
    }
    await comesTo(second, orphan);
    second.agent('l3').signal('SIGKILL');
    second.agent('linuxbridge').signal('SIGKILL');
    await comesTo(first, orphan, 150_000);
    const { agents } = (await cloud.server.request('GET', `routers/${orphan.id}/l3-agents`)) as {
      agents: Resource[];
    };
    expect(agents.map(({ host }) => host)).toEqual(['net-1']);
  }, 200_000);

  it('[B22] are left alone without a gateway where the agent is told so', async () => {
    const internal = await router('internal', inZone('zone-1'));
    const net = await tenant.network('internal', [{ cidr: '10.3.0.0/24', enable_dhcp: false }]);
    await cloud.server.request('PUT', `routers/${internal.id}/add_router_interface`, {
      subnet_id: net.subnets[0]!.id,
    });
    await comesTo(first, internal);
    await tenant.withOptions(first, 'l3', '[DEFAULT]\nhandle_internal_only_routers = false', async () => {
      const { configurations } = await tenant.alive('L3 agent');
      expect(configurations).toMatchObject({ handle_internal_only_routers: false });
      await leaves(first, internal);
      expect(isOn(first, one.router)).toBe(true);
      await cloud.server.update('routers', internal.id, withGateway());
      await comesTo(first, internal);
      await cloud.server.update('routers', internal.id, { external_gateway_info: {} });
      await leaves(first, internal);
    });
    await comesTo(first, internal);
  });

  it('[A19] go with their agent where it is told to clean up', async () => {
    const left = () => listNamespaces().filter((name) => /^qrouter-[^.]+$/.test(name));
    const hasAll = () =>
      tenant.soon('all routers are there', () => left().length >= 3 && isOn(first, one.router));
    await hasAll();
    const cleanUp = '[DEFAULT]\ncleanup_on_shutdown = true';
    await tenant.withOptions(first, 'l3', cleanUp, async () => {
      await hasAll();
      expect(await first.agent('l3').stop()).toBe(0);
      expect(left()).toEqual([]);
      const links = await output('ip', '-o', 'link');
      for (const { id } of await cloud.server.list('ports', `?device_id=${one.router.id}`))
        expect(links).not.toContain(`tap${short(id)}`);
    });
    await hasAll();
    await reachesOutside(one.vm);
  });
});
