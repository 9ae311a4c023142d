import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPidFile, readProcess } from '../../lib/kernel/process.ts';
import { eui64, linkLocal } from '../../lib/model/ip.ts';
import { advertised, configured, learned, solicited } from '../e2e/advertisements.ts';
import type { Machine } from '../e2e/packets.ts';
import { output } from '../e2e/shell.ts';
import { Cloud } from './cloud/cloud.ts';
import type { Resource } from './cloud/server.ts';
import { addressOf, short, Tenant } from './cloud/tenant.ts';

const FIRST = '2001:db8:a1::/64';
const SECOND = '2001:db8:a2::/64';

describe('IPv6 of a real neutron-server', () => {
  let cloud: Cloud;
  let tenant: Tenant;
  let network: Resource;
  let subnet: Resource;
  let router: Resource;
  let port: Resource;
  let vm: Machine;

  const confPath = () => join(cloud.node.statePath, 'ra', `${router.id}.radvd.conf`);
  const pidFile = () => join(cloud.node.statePath, 'external/pids', `${router.id}.pid.radvd`);
  const radvd = () => readProcess(readPidFile(pidFile()) ?? 0);
  const interfaces = (action: 'add' | 'remove', id: string) =>
    cloud.server.request('PUT', `routers/${router.id}/${action}_router_interface`, { subnet_id: id });
  const v6 = (cidr: string, mode: string, on = network) =>
    cloud.server.create('subnets', {
      network_id: on.id,
      ip_version: 6,
      cidr,
      ipv6_ra_mode: mode,
      ipv6_address_mode: mode,
    });
  const defaultRoute = () => vm.sh('ip -6 route show default');

  beforeAll(async () => {
    // Announcements of the DHCP agent are an option that Neutron does not have.
    cloud = await Cloud.start({
      node: { agents: { dhcp: { DEFAULT: { interface_driver: 'linuxbridge', enable_isolated_ra: true } } } },
    });
    tenant = new Tenant(cloud);
    cloud.node.start();
    for (const agent of ['L3 agent', 'DHCP agent', 'Linux bridge agent']) await tenant.alive(agent);
    await tenant.settled(cloud.node, 'l3', 'dhcp');
    network = await cloud.server.create('networks', { name: 'six', mtu: 1400 });
    subnet = await v6(FIRST, 'slaac');
    port = await cloud.server.create('ports', {
      network_id: network.id,
      device_id: 'a0000000-0000-4000-8000-000000000006',
      device_owner: 'compute:nova',
      'binding:host_id': 'net-1',
    });
    vm = await cloud.boot('vm6', port);
  });

  afterAll(async () => {
    if (cloud && process.env.VIADUCT_KEEP_LOGS)
      await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
    await cloud?.stop();
  });

  it('without a router the DHCP agent announces the prefix, if told to, and no way out', async () => {
    const seen = await tenant.soon('an advertisement comes', () => solicited(vm), 90_000);
    expect(seen).toMatchObject({ lifetime: 0, mtu: 1400, routes: [] });
    expect(await configured(vm, '2001:db8:a1:')).toBe(addressOf(port));
    expect(addressOf(port)).toBe(eui64(FIRST, String(port.mac_address)));
    expect(await defaultRoute()).toBe('');
  });

  it('[E1] [E7] a router’s interface announces it, with itself as way out; names are Neutron’s', async () => {
    router = await cloud.server.create('routers', { name: 'r6' });
    await interfaces('add', subnet.id);
    const seen = await tenant.soon('the router announces', async () => {
      const one = await solicited(vm);
      return one && one.lifetime > 0 && one;
    });
    expect(seen).toMatchObject({ lifetime: 300, mtu: 1400, routes: ['fe80::a9fe:a9fe/128'] });
    const [own] = await cloud.server.list('ports', `?device_id=${router.id}`);
    expect(seen.from).toBe(linkLocal(String(own!.mac_address)));
    expect(await configured(vm, '2001:db8:a1:')).toBe(addressOf(port));
    expect(await learned(vm)).toHaveLength(1);
    expect(await defaultRoute()).toContain(`via ${seen.from} dev eth0 proto ra`);
    expect(radvd()?.argv).toEqual(['radvd', '-C', confPath(), '-p', pidFile(), '-m', 'syslog']);
    expect(readFileSync(confPath(), 'utf8')).toContain(`interface qr-${short(own!.id)}\n`);
    const dhcp = join(cloud.node.statePath, 'dhcp', network.id, 'radvd.conf');
    await tenant.soon('the DHCP agent is silent', () => !existsSync(dhcp));
  });

  it('[E2] [E8] another subnet is announced by the same process, with its flag', async () => {
    const before = radvd()?.pid;
    const second = await v6(SECOND, 'dhcpv6-stateless');
    await interfaces('add', second.id);
    const seen = await advertised(vm, ({ prefixes }) => prefixes.length === 2);
    expect(seen.otherConfig).toBe(true);
    await configured(vm, '2001:db8:a2:');
    expect(radvd()?.pid).toBe(before);

    await interfaces('remove', second.id);
    await tenant.soon('the address of the removed prefix is deprecated', async () =>
      (await learned(vm)).some(({ ip, deprecated }) => ip.startsWith('2001:db8:a2:') && deprecated),
    );
    expect((await advertised(vm, ({ prefixes }) => prefixes.length === 1)).lifetime).toBe(300);
    expect(await configured(vm, '2001:db8:a1:')).toBe(addressOf(port));
    expect(radvd()?.pid).toBe(before);
  });

  it('radvd goes on while the agent is exchanged', async () => {
    const before = radvd()?.pid;
    await tenant.restart(cloud.node.agent('l3'), async () => expect(await solicited(vm)).toBeDefined());
    await tenant.settled(cloud.node, 'l3');
    expect(radvd()?.pid).toBe(before);
  });

  it('[E9] without an IPv6 subnet there is no radvd, and instances know that the router is gone', async () => {
    const pid = radvd()!.pid;
    await interfaces('remove', subnet.id);
    await tenant.soon('radvd has ended', () => readProcess(pid) === undefined);
    await tenant.soon('its files are gone', () => !existsSync(confPath()) && !existsSync(pidFile()));
    await tenant.soon('no default route', async () => (await defaultRoute()) === '');
    await tenant.soon('the DHCP agent announces again', async () => (await solicited(vm))?.lifetime === 0);
    expect(await configured(vm, '2001:db8:a1:')).toBe(addressOf(port));
  });
});
