import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { output, until } from '../e2e/shell.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import { NeutronAgents } from './cloud/neutron-agents.ts';
import { pssOf } from './cloud/processes.ts';
import type { Resource } from './cloud/server.ts';

let cloud: Cloud;
let agents: NeutronAgents;

async function soon<T>(what: string, look: () => T | Promise<T>, timeout = 240_000) {
  try {
    return await until(what, look, timeout);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${agents.tail()}`);
  }
}

beforeAll(async () => {
  cloud = await Cloud.start();
  agents = new NeutronAgents(cloud.node);
});

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await agents?.remove();
  await cloud?.stop();
});

describe('Neutron’s own agents on the node of the test cloud', () => {
  let network: Resource;
  let router: Resource;

  it('come alive with the configuration files that Viaduct’s agents get', async () => {
    cloud.node.start('linuxbridge');
    agents.start();
    await soon('all agents alive', async () => {
      const all = await cloud.server.list('agents');
      return all.filter(({ alive }) => alive).length === 4;
    });
  });

  it('serve a network and a router', async () => {
    const external = await cloud.server.create('networks', {
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
    const four = { network_id: network.id, ip_version: 4, cidr: '10.9.0.0/24' };
    const six = { network_id: network.id, ip_version: 6, cidr: '2001:db8:9::/64', ipv6_ra_mode: 'slaac' };
    router = await cloud.server.create('routers', { name: 'r1' });
    for (const subnet of [four, { ...six, ipv6_address_mode: 'slaac' }]) {
      const { id } = await cloud.server.create('subnets', subnet);
      await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, { subnet_id: id });
    }
    await cloud.server.update('routers', router.id, { external_gateway_info: { network_id: external.id } });
    const port = await cloud.server.create('ports', {
      network_id: network.id,
      'binding:host_id': 'net-1',
    });
    const vm = await cloud.boot('vm1', port);
    const fixed = (port.fixed_ips as { ip_address: string }[]).map(({ ip_address }) => ip_address);
    await soon('an address by DHCP', async () => fixed.includes(await cloud.lease(vm)));
    await soon(
      'the outside answers',
      async () => (await vm.ping(OUTSIDE.address, { count: 1 })).received > 0,
    );
    await cloud.destroy(vm);
  });

  it('are known with every process they have started, and the memory of all', () => {
    const names = agents.processes.map(({ command }) => command);
    for (const program of [
      'l3-agent',
      'dhcp-agent',
      'metadata-agent',
      'dnsmasq',
      'haproxy',
      'radvd',
      'privsep-helper',
    ])
      expect(names.join('\n')).toContain(program);
    expect(pssOf(agents.processes)).toBeGreaterThan(100 << 20);
  });

  it('end alone, as on a node: what serves the network stays', async () => {
    await agents.stop();
    await soon('their privsep daemons have ended', () =>
      agents.processes.every(({ command }) => !/privsep|-agent/.test(command)),
    );
    const names = agents.processes.map(({ command }) => command).join('\n');
    for (const program of ['dnsmasq', 'haproxy', 'radvd']) expect(names).toContain(program);
    expect(listNamespaces()).toEqual(
      expect.arrayContaining([`qdhcp-${network.id}`, `qrouter-${router.id}`, 'outside']),
    );
  });

  it('leave nothing when they are removed', async () => {
    await agents.remove();
    expect(agents.processes).toEqual([]);
    expect(listNamespaces()).toEqual(['outside']);
    await soon(
      'no device of theirs is left',
      async () => !/\b(tap|qr-|qg-|ns-)/.test(await output('ip', '-o', 'link')),
    );
    expect(existsSync(join(cloud.node.statePath, 'external'))).toBe(false);
    const own = readlinkSync('/proc/self/ns/net');
    const foreign = readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      try {
        return readlinkSync(`/proc/${pid}/ns/net`) !== own;
      } catch {
        return false;
      }
    });
    expect(foreign).toEqual([]);
  });
});
