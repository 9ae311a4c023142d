import fs from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namespaceInode } from '../../lib/kernel/netns.ts';
import { readProcess } from '../../lib/kernel/process.ts';
import { configured } from '../e2e/advertisements.ts';
import { Machine, type Server } from '../e2e/packets.ts';
import { output } from '../e2e/shell.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import { ApiError, type Resource } from './cloud/server.ts';
import { fixedIps, short, Tenant, type TenantNetwork } from './cloud/tenant.ts';

/** A second subnet of the external network, where the router has no address unless it is given one. */
const MORE = { cidr: '198.51.100.0/24', address: '198.51.100.1' };
const OUTSIDE6 = { cidr: '2001:db8:e::/64', address: '2001:db8:e::1' };
const INSIDE6 = ['2001:db8:a::/64', '2001:db8:b::/64'];
let cloud: Cloud;
let tenant: Tenant;
let outside: Machine;
let external: TenantNetwork;
let inside: TenantNetwork;
let router: Resource;
let vm: Machine;
let port: Resource;
let web: Server;

const ns = (): string => `qrouter-${router.id}`;
const within = (command: string): Promise<string> => new Machine(ns()).sh(command);
const portsOf = (owner: string): Promise<Resource[]> =>
  cloud.server.list('ports', `?device_id=${router.id}&device_owner=network:router_${owner}`);
const gateway = async () => {
  const [found] = await portsOf('gateway');
  return { device: `qg-${short(found!.id)}`, port: found! };
};
const setGateway = (...fixed: { subnet_id: string; ip_address?: string }[]) =>
  cloud.server.update('routers', router.id, {
    external_gateway_info: {
      network_id: external.network.id,
      ...(fixed.length === 0 ? {} : { external_fixed_ips: fixed }),
    },
  });
const reaches = (from: Machine, address: string) =>
  tenant.soon(
    `${from.ns} reaches ${address}`,
    async () => (await from.ping(address, { count: 1 })).received > 0,
  );
const slaac = (cidr: string) => ({ ip_version: 6, cidr, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' });

beforeAll(async () => {
  cloud = await Cloud.start();
  tenant = new Tenant(cloud);
  outside = cloud.outside;
  cloud.node.start('linuxbridge', 'l3', 'metadata');
  await tenant.alive('Linux bridge agent');
  await tenant.alive('L3 agent');
  external = await tenant.external();
  external = {
    network: external.network,
    subnets: [
      ...external.subnets,
      await tenant.subnet(external.network, {
        cidr: MORE.cidr,
        gateway_ip: MORE.address,
        enable_dhcp: false,
      }),
      await tenant.subnet(external.network, {
        ip_version: 6,
        cidr: OUTSIDE6.cidr,
        gateway_ip: OUTSIDE6.address,
        enable_dhcp: false,
      }),
    ],
  };
  await outside.sh(`ip addr add ${MORE.address}/24 dev eth0`);
  await outside.sh(`ip addr add ${OUTSIDE6.address}/64 dev eth0 nodad`);
  inside = await tenant.network('inside', [
    { cidr: '10.1.0.0/24', enable_dhcp: false },
    ...INSIDE6.map(slaac),
  ]);
  router = await cloud.server.create('routers', { name: 'r1' });
  for (const { id } of inside.subnets)
    await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, { subnet_id: id });
  const [v4, , v6] = external.subnets;
  await setGateway({ subnet_id: v4!.id }, { subnet_id: v6!.id });
  ({ vm, port } = await tenant.machine('vm1', inside.network));
  const v4Address = fixedIps(port).find(({ subnet_id }) => subnet_id === inside.subnets[0]!.id)!.ip_address;
  await vm.sh(`ip addr add ${v4Address}/24 dev eth0 && ip route add default via 10.1.0.1`);
  web = await outside.answer('0.0.0.0', 8080);
  await reaches(vm, OUTSIDE.address);
});

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await web?.stop();
  await cloud?.stop();
});

describe('addresses of a router made over REST', () => {
  it('[B5] all subnets of a port are on its one device, and answer', async () => {
    const six = (await portsOf('interface')).filter((one) => fixedIps(one).length === 2);
    expect(six).toHaveLength(1);
    const shown = await within(`ip -6 -br addr show qr-${short(six[0]!.id)}`);
    for (const { ip_address } of fixedIps(six[0]!)) {
      expect(shown).toContain(`${ip_address}/64`);
      await configured(vm, ip_address.split('::')[0]!);
      expect((await vm.ping(ip_address)).received).toBe(3);
    }
  });

  it('[B12] other subnets of the external network are on the link', async () => {
    const { device, port: own } = await gateway();
    expect(await within(`ip route show ${MORE.cidr}`)).toMatch(new RegExp(`dev ${device} .*scope link`));
    const ours = fixedIps(own).find(({ ip_address }) => ip_address.includes('.'))!.ip_address;
    const capture = await outside.capture('eth0', `arp and host ${MORE.address}`);
    expect((await vm.ping(MORE.address)).ttls).toEqual([63, 63, 63]);
    expect((await capture.stop()).join('\n')).toContain(`who-has ${MORE.address} tell ${ours}`);
  });

  it('[E11][E15] the IPv6 default route leads to the gateway of the subnet, and packets pass untranslated', async () => {
    const { device, port: own } = await gateway();
    expect(await within('ip -6 route show default')).toContain(
      `default via ${OUTSIDE6.address} dev ${device}`,
    );
    const address = fixedIps(own).find(({ ip_address }) => ip_address.includes(':'))!.ip_address;
    for (const cidr of INSIDE6) await outside.sh(`ip -6 route replace ${cidr} via ${address}`);
    const mine = [await configured(vm, '2001:db8:a:'), await configured(vm, '2001:db8:b:')];
    const capture = await outside.capture('eth0', 'icmp6 and ip6[40] == 128');
    await reaches(vm, OUTSIDE6.address);
    const asked = (await capture.stop()).join('\n');
    expect(mine.some((ip) => asked.includes(`${ip} > ${OUTSIDE6.address}`))).toBe(true);
    for (const ip of mine) expect((await outside.ping(ip)).ttls).toEqual([63, 63, 63]);
  });

  it('[B20] a gateway with several IPv4 addresses has them all, and SNAT uses the first', async () => {
    const [first, second] = external.subnets;
    await setGateway(
      { subnet_id: first!.id, ip_address: '203.0.113.77' },
      { subnet_id: first!.id, ip_address: '203.0.113.78' },
      { subnet_id: second!.id, ip_address: '198.51.100.77' },
    );
    const { device, port: own } = await gateway();
    const all = fixedIps(own).map(({ ip_address }) => ip_address);
    expect(new Set(all)).toEqual(new Set(['203.0.113.77', '203.0.113.78', '198.51.100.77']));
    await tenant.soon('all are there', async () => {
      const shown = await within(`ip -4 -br addr show ${device}`);
      // The server says the length of a subnet once, with the first address in it.
      return all.every((ip) => shown.includes(`${ip}/24`) || shown.includes(`${ip}/32`));
    });
    for (const ip of all) expect((await outside.ping(ip)).received).toBe(3);
    await tenant.soon(
      'SNAT uses the first',
      async () => (await vm.asks(OUTSIDE.address, 8080))?.peer === all[0],
    );
  });

  it('[C10] a floating IP of an external network with IPv6 alone is refused by the server', async () => {
    const six = await tenant.network(
      'public6',
      [{ ip_version: 6, cidr: '2001:db8:f::/64', enable_dhcp: false }],
      { 'router:external': true, 'provider:network_type': 'local' },
    );
    const refused = await cloud.server
      .create('floatingips', { floating_network_id: six.network.id })
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect((refused as ApiError).status).toBe(400);
    await cloud.server.remove('networks', six.network.id);
  });

  it('[B24] a router that is deleted takes its namespace, radvd, metadata proxy and devices along', async () => {
    const metadata = cloud.node.agent('metadata').pid!;
    const sockets = () =>
      fs
        .readdirSync(`/proc/${metadata}/fd`)
        .filter((fd) => fs.readlinkSync(`/proc/${metadata}/fd/${fd}`).startsWith('socket:')).length;
    const listening = await within('ss -Hltn');
    expect(listening).toContain(':9697');
    const pids = (await output('ip', 'netns', 'pids', ns())).split('\n').filter(Boolean).map(Number);
    expect(pids.map((pid) => readProcess(pid)?.argv[0])).toContain('radvd');
    const taps = [...(await portsOf('interface')), ...(await portsOf('gateway'))].map(
      ({ id }) => `tap${short(id)}`,
    );
    const open = sockets();

    await cloud.server.update('routers', router.id, { external_gateway_info: {} });
    for (const { id } of inside.subnets)
      await cloud.server.request('PUT', `routers/${router.id}/remove_router_interface`, { subnet_id: id });
    await cloud.server.remove('routers', router.id);
    await tenant.soon('the namespace is gone', () => namespaceInode(ns()) === undefined);
    await tenant.soon('radvd is gone', () => pids.every((pid) => readProcess(pid) === undefined));
    await tenant.soon('the proxy listens no more', () => sockets() < open);
    const links = await output('ip', '-o', 'link');
    for (const tap of taps) expect(links).not.toContain(tap);
    await tenant.soon('the record is gone', () => cloud.node.records.length === 0);
  });
});
