import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import type { Machine } from '../e2e/packets.ts';
import { output, until } from '../e2e/shell.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import type { Resource } from './cloud/server.ts';

const AGENTS = ['L3 agent', 'DHCP agent', 'Metadata agent', 'Linux bridge agent'];
const INSTANCE = 'a0000000-0000-4000-8000-000000000001';
let cloud: Cloud;

/** Waits; if it takes too long the error has the logs of all agents. */
async function soon<T>(what: string, look: () => T | Promise<T>, timeout = 240_000) {
  try {
    return await until(what, look, timeout);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${cloud.node.tail()}`);
  }
}

const settled = () =>
  soon('the agents have done all they know of', () =>
    (['l3', 'dhcp', 'metadata'] as const).every((role) => cloud.node.status(role)?.converged === true),
  );

beforeAll(async () => {
  cloud = await Cloud.start();
  cloud.node.start();
});

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
});

describe('the three agents against a real neutron-server', () => {
  let network: Resource;
  let router: Resource;
  let external: Resource;
  let subnet: Resource;
  let port: Resource;
  let vm: Machine;

  const agentOf = async (type: string): Promise<Resource> => {
    const agents = await cloud.server.list('agents');
    return agents.find(({ agent_type }) => agent_type === type)!;
  };

  const instanceId = () =>
    soon('metadata answers', async () => {
      const { status, body } = await vm.curl('http://169.254.169.254/latest/meta-data/instance-id');
      return status === 200 && body;
    });

  it('are listed alive with the configurations Neutron’s agents report', async () => {
    const agents = await soon('all agents alive', async () => {
      const all = await cloud.server.list('agents');
      const alive = all.filter(({ agent_type, alive }) => AGENTS.includes(String(agent_type)) && alive);
      return alive.length === AGENTS.length && alive;
    });
    const of = (type: string) => agents.find(({ agent_type }) => agent_type === type)!;
    expect(of('L3 agent')).toMatchObject({
      binary: 'neutron-l3-agent',
      topic: 'l3_agent',
      host: 'net-1',
      availability_zone: 'nova',
      admin_state_up: true,
      configurations: {
        agent_mode: 'legacy',
        handle_internal_only_routers: true,
        interface_driver: 'linuxbridge',
        extensions: [],
        log_agent_heartbeats: false,
        routers: 0,
      },
    });
    expect(of('DHCP agent')).toMatchObject({
      binary: 'neutron-dhcp-agent',
      topic: 'dhcp_agent',
      configurations: {
        dhcp_driver: 'neutron.agent.linux.dhcp.Dnsmasq',
        dhcp_lease_duration: 86_400,
        networks: 0,
      },
    });
    expect(of('Metadata agent')).toMatchObject({
      binary: 'neutron-metadata-agent',
      topic: 'N/A',
      configurations: { nova_metadata_host: '127.0.0.1' },
    });
    await settled();
  });

  it('give a port an address by DHCP', async () => {
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
    network = await cloud.server.create('networks', { name: 'private' });
    subnet = await cloud.server.create('subnets', {
      network_id: network.id,
      ip_version: 4,
      cidr: '10.9.0.0/24',
    });
    port = await cloud.server.create('ports', {
      network_id: network.id,
      device_id: INSTANCE,
      device_owner: 'compute:nova',
      'binding:host_id': 'net-1',
    });
    vm = await cloud.boot('vm1', port);
    const [fixed] = port.fixed_ips as { ip_address: string }[];
    await soon('the port is ACTIVE: wired, and ready for DHCP', async () => {
      const { status } = await cloud.server.show('ports', port.id);
      return status === 'ACTIVE';
    });
    expect(await cloud.lease(vm)).toBe(fixed!.ip_address);
  });

  it('answer metadata in a network without a router', async () => {
    expect(await instanceId()).toBe(`instance ${INSTANCE}`);
  });

  it('build a router with gateway: packets leave by SNAT', async () => {
    router = await cloud.server.create('routers', { name: 'r1' });
    await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
    await cloud.server.update('routers', router.id, { external_gateway_info: { network_id: external.id } });
    await soon('the router has its namespace', () => listNamespaces().includes(`qrouter-${router.id}`));
    await soon(
      'the outside answers',
      async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
    );
    const sniffed = (await cloud.server.show('routers', router.id)).external_gateway_info as {
      external_fixed_ips: { ip_address: string }[];
    };
    expect(sniffed.external_fixed_ips).toHaveLength(1);
    const { ttls } = await vm.ping(OUTSIDE.address);
    expect(ttls).toEqual([63, 63, 63]);
  });

  it('[C4] make a floating IP reach its port, and report it ACTIVE', async () => {
    const fip = await cloud.server.create('floatingips', {
      floating_network_id: external.id,
      port_id: port.id,
    });
    const address = String(fip.floating_ip_address);
    await soon(
      'the floating IP answers',
      async () => (await cloud.outside.ping(address, { count: 1 })).received > 0,
    );
    await soon(
      'it is ACTIVE',
      async () => (await cloud.server.show('floatingips', fip.id)).status === 'ACTIVE',
    );
    await cloud.server.update('floatingips', fip.id, { port_id: null });
    await soon('it is DOWN', async () => (await cloud.server.show('floatingips', fip.id)).status === 'DOWN');
    expect((await cloud.outside.ping(address, { count: 1 })).received).toBe(0);
    await cloud.server.remove('floatingips', fip.id);
  });

  it('answer metadata for the instance behind the router, signed', async () => {
    // Until its lease is renewed a VM has the route to the DHCP namespace, where metadata is not answered any more.
    await cloud.lease(vm);
    expect(await instanceId()).toBe(`instance ${INSTANCE}`);
    const { headers } = cloud.novaRequests.at(-1)!;
    expect(headers['x-tenant-id']).toBe(port.project_id);
    expect(headers['x-instance-id-signature']).toMatch(/^[0-9a-f]{64}$/);
  });

  it('[A3] count what they have in their state reports', async () => {
    await soon('the next reports', async () => {
      const agents = await cloud.server.list('agents');
      const of = (type: string) =>
        agents.find(({ agent_type }) => agent_type === type)?.configurations as Record<string, unknown>;
      expect(of('L3 agent')).toMatchObject({ routers: 1, ex_gw_ports: 1, interfaces: 1, floating_ips: 0 });
      expect(of('DHCP agent')).toMatchObject({ networks: 1, subnets: 1 });
      return true;
    });
  });

  it('[A10] go on after the broker was killed: the data path never stops, what was asked meanwhile is done', async () => {
    const stream = vm.pingStream(OUTSIDE.address);
    await cloud.broker.kill();
    await cloud.broker.up();
    const other = await cloud.server.create('networks', { name: 'later' });
    await cloud.server.create('subnets', { network_id: other.id, ip_version: 4, cidr: '10.10.0.0/24' });
    await soon(
      'a network made after the restart is served',
      () => listNamespaces().includes(`qdhcp-${other.id}`),
      60_000,
    );
    const { lost } = await stream.stop();
    expect(lost).toEqual([]);
    const consumed = (await cloud.broker.list('consumers', 'queue_name')).map(({ queue_name }) => queue_name);
    expect(consumed).toEqual(expect.arrayContaining(['l3_agent.net-1', 'dhcp_agent.net-1']));
    for (const dhcp of await cloud.server.list('ports', `?network_id=${other.id}`))
      if (dhcp.device_owner !== 'network:dhcp') await cloud.server.remove('ports', dhcp.id);
    await cloud.server.remove('networks', other.id);
    await soon('it is gone again', () => !listNamespaces().includes(`qdhcp-${other.id}`));
  });

  it('[A8] take a router away and give it back at once when an operator moves it', async () => {
    const { id } = await agentOf('L3 agent');
    await cloud.server.remove(`agents/${id}/l3-routers`, router.id);
    await soon('the router is gone', () => !listNamespaces().includes(`qrouter-${router.id}`));
    // The server waits for the agent's answer to this one, and fails the request without it.
    await cloud.server.request('POST', `agents/${id}/l3-routers`, { router_id: router.id });
    await soon(
      'packets leave again',
      async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
    );
  });

  it('[A6] give up what they have when an operator disables them, and take it up again', async () => {
    const { id } = await agentOf('L3 agent');
    await cloud.server.update('agents', id, { admin_state_up: false });
    await soon('the router is gone', () => !listNamespaces().includes(`qrouter-${router.id}`));
    await cloud.server.update('agents', id, { admin_state_up: true });
    await soon(
      'packets leave again',
      async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
    );
  });

  it('[A17] follow the MTU of a network', async () => {
    await cloud.server.update('networks', network.id, { mtu: 1400 });
    await soon('the device in the router has it', async () => {
      const links = await output('ip', '-n', `qrouter-${router.id}`, '-o', 'link');
      return /qr-\S+ .* mtu 1400 /.test(links);
    });
  });

  it('[A2][A20] find all as it is when they are started again: nothing but what is stale is touched', async () => {
    const { started_at, heartbeat_timestamp } = await agentOf('L3 agent');
    await soon('one more report', async () => {
      const agent = await agentOf('L3 agent');
      expect(agent.started_at).toBe(started_at);
      return agent.heartbeat_timestamp !== heartbeat_timestamp;
    });
    const stale = 'qrouter-0f0e0d0c-1111-4222-8333-444455556666';
    await output('ip', 'netns', 'add', stale);
    const stream = vm.pingStream(OUTSIDE.address);
    for (const name of ['l3', 'dhcp', 'metadata'] as const) {
      expect(await cloud.node.agent(name).stop(), name).toBe(0);
      cloud.node.agent(name).start();
    }
    await settled();
    await soon('the stale namespace is gone', () => !listNamespaces().includes(stale));
    await soon('started_at is new', async () => (await agentOf('L3 agent')).started_at !== started_at);
    await soon('dnsmasq was left alone', () =>
      /settled after \d+ ms: 0 kernel writes, 0 forks/.test(cloud.node.agent('dhcp').tail(1_500)),
    );
    expect((await stream.stop()).lost).toEqual([]);
  });

  it('leave nothing of what is deleted', async () => {
    await cloud.destroy(vm);
    await cloud.server.remove('ports', port.id);
    await cloud.server.update('routers', router.id, { external_gateway_info: {} });
    await cloud.server.request('PUT', `routers/${router.id}/remove_router_interface`, {
      subnet_id: subnet.id,
    });
    await cloud.server.remove('routers', router.id);
    await soon('the router is gone', () => !listNamespaces().includes(`qrouter-${router.id}`));
    await cloud.server.remove('networks', network.id);
    await soon('the network is gone', () => !listNamespaces().includes(`qdhcp-${network.id}`));
    await soon('the records are gone', () => cloud.node.records.length === 0);
    expect(listNamespaces()).toEqual(['outside']);
    expect(await output('ip', '-o', 'link')).not.toMatch(/\b(tap|qr-|qg-|ns-)/);
    expect(await cloud.server.list('ports', '?device_owner=network:dhcp')).toEqual([]);
  });
});
