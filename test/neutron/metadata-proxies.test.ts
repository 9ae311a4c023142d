import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from '../e2e/packets.ts';
import { output } from '../e2e/shell.ts';
import { Cloud } from './cloud/cloud.ts';
import { NeutronAgents } from './cloud/neutron-agents.ts';
import type { Resource } from './cloud/server.ts';
import { addressOf, Tenant, type TenantNetwork } from './cloud/tenant.ts';

const URL = 'http://169.254.169.254/latest/meta-data/instance-id';
const PROXY = { user: 'nobody', group: 'nogroup' };
let cloud: Cloud;
let tenant: Tenant;
let neutron: NeutronAgents;

/** Waits; if it takes too long the error has the logs of both sides. */
const soon: Tenant['soon'] = (...given) =>
  tenant.soon(...given).catch((error: Error) => {
    throw new Error(`${error.message}\n${neutron.tail()}`);
  });

beforeAll(async () => {
  cloud = await Cloud.start({
    node: {
      common: { DEFAULT: { metadata_proxy_user: PROXY.user, metadata_proxy_group: PROXY.group } },
    },
  });
  tenant = new Tenant(cloud);
  neutron = new NeutronAgents(cloud.node);
  cloud.node.start('linuxbridge', 'metadata');
  neutron.start('l3', 'dhcp');
  for (const type of ['L3 agent', 'DHCP agent', 'Metadata agent', 'Linux bridge agent'])
    await tenant.alive(type);
}, 400_000);

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await neutron?.remove();
  await cloud?.stop();
}, 60_000);

describe('Viaduct’s metadata agent beside Neutron’s L3 and DHCP agents', () => {
  let inside: TenantNetwork;
  let alone: TenantNetwork;
  let router: Resource;

  it('[N18] answers their proxies, which run as another user, on its socket', async () => {
    inside = await tenant.network('inside', ['10.1.0.0/24']);
    alone = await tenant.network('alone', ['10.2.0.0/24']);
    router = await cloud.server.create('routers', { name: 'r1' });
    await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, {
      subnet_id: inside.subnets[0]!.id,
    });
    for (const [name, net, instance] of [
      ['m1', inside, 'a0000000-0000-4000-8000-000000000001'],
      ['m2', alone, 'a0000000-0000-4000-8000-000000000002'],
    ] as const) {
      const { vm, port } = await tenant.machine(name, net.network, { device_id: instance });
      await soon('an address', async () => (await cloud.lease(vm)) === addressOf(port));
      await soon('metadata answers', async () => (await vm.curl(URL)).body === `instance ${instance}`);
      expect(cloud.novaRequests.at(-1)!.headers['x-instance-id']).toBe(instance);
    }
    const proxies = (await output('ps', '-eo', 'comm=,user=,group='))
      .split('\n')
      .filter((line) => line.startsWith('haproxy'));
    // One for the router, one for the network without, and maybe one from the time before there was a router.
    expect(proxies.length).toBeGreaterThanOrEqual(2);
    for (const line of proxies) expect(line.split(/\s+/).slice(1)).toEqual([PROXY.user, PROXY.group]);
    const { mode } = fs.statSync(join(cloud.node.statePath, 'metadata_proxy'));
    expect(mode & 0o777).toBe(0o666);
  });

  it('goes on answering them after it was started again', async () => {
    await tenant.restart(cloud.node.agent('metadata'));
    const before = cloud.novaRequests.length;
    const vm = new Machine('m1');
    await soon('metadata answers', async () => (await vm.curl(URL)).body.startsWith('instance '));
    expect(cloud.novaRequests.length).toBeGreaterThan(before);
  });
});
