import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readProcess } from '../../lib/kernel/process.ts';
import { eui64, linkLocal } from '../../lib/model/ip.ts';
import { advertised, configured, learned, solicited } from './advertisements.ts';
import { lease } from './dhcp-client.ts';
import { type Rig, rig } from './rig.ts';
import { until } from './shell.ts';

/** Networks without a router, IPv6 alone and both; one with a router, for metadata on both ways. */
const TOPOLOGY = `
networks:
  - name: alone
    mtu: 1400
    subnets:
      - { name: alone-v6, cidr: "2001:db8:a::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac,
          dns_nameservers: ["2001:db8:a::53"] }
  - name: dual
    subnets:
      - { name: dual-v4, cidr: 10.5.0.0/24 }
      - { name: dual-v6, cidr: "2001:db8:d::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac }
  - name: routed
    subnets:
      - { name: routed-v6, cidr: "2001:db8:f::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac }
routers:
  - { name: r1, interfaces: [routed-v6] }
instances:
  - { name: a1, network: alone, configure: none }
  - { name: a2, network: alone, configure: none }
  - { name: d1, network: dual, configure: none }
  - { name: f1, network: routed, configure: none }
`;
const METADATA_ID = (address: string): string => `http://${address}/latest/meta-data/instance-id`;
const METADATA_V6 = METADATA_ID('[fe80::a9fe:a9fe%25eth0]');

describe('networks without a router', () => {
  let net: Rig;
  const directoryOf = (network: string): string =>
    join(net.stateDir, net.name, 'dhcp', net.networkId(network));
  const radvd = (network: string): number | undefined => {
    const path = join(directoryOf(network), 'radvd.pid');
    const pid = existsSync(path) ? Number(readFileSync(path, 'utf8')) : undefined;
    return pid !== undefined && readProcess(pid)?.argv[0] === 'radvd' ? pid : undefined;
  };
  const connect = (subnet: string): void =>
    net.edit((topology) => void topology.routers![0]!.interfaces!.push(subnet));
  const disconnect = (): void => net.edit((topology) => void topology.routers![0]!.interfaces!.pop());

  beforeAll(async () => {
    net = await rig(TOPOLOGY);
  });
  afterAll(() => net?.remove());

  test('instances make themselves the addresses the controller expects, reach each other, and get no default route', async () => {
    const [a1, a2] = [net.client('a1'), net.client('a2')];
    const seen = await advertised(a1);
    expect(seen).toMatchObject({ lifetime: 0, mtu: 1400, routes: [], nameServers: ['2001:db8:a::53'] });
    expect(seen.prefixes).toMatchObject([{ prefix: '2001:db8:a::/64', onLink: true, autonomous: true }]);
    expect(seen.from).toBe(linkLocal(net.dhcpPort('alone').mac_address));
    const ip = await configured(a2, '2001:db8:a:');
    expect(ip).toBe(eui64('2001:db8:a::/64', net.instancePort('a2').mac_address));
    await configured(a1, '2001:db8:a:');
    expect((await a1.reaches(ip)).ttls).toEqual([64]);
    expect(await a1.sh('ip -6 route show default')).toBe('');
  });

  test('[L9] the namespace itself listens to no advertisement', async () => {
    const device = (network: string) => net.dhcpPort(network).device;
    await advertised(net.client('f1'));
    expect(await net.dhcp('routed').sh(`sysctl -n net.ipv6.conf.${device('routed')}.accept_ra`)).toBe('0\n');
    expect(await net.dhcp('routed').sh(`ip -6 address show dev ${device('routed')} dynamic`)).toBe('');
    expect(await net.dhcp('routed').sh('ip -6 route show proto ra')).toBe('');
  });

  test('[N7] metadata is answered at fe80::a9fe:a9fe', async () => {
    await configured(net.client('a1'), '2001:db8:a:');
    const { status, body } = await net.client('a1').curl(METADATA_V6);
    expect([status, body]).toEqual([200, net.instanceId('a1')]);
    expect((await net.client('d1').curl(METADATA_V6)).body).toBe(net.instanceId('d1'));
  });

  test('[N7] through a router, too: by the route it announces', async () => {
    const f1 = net.client('f1');
    expect((await advertised(f1)).routes).toEqual(['fe80::a9fe:a9fe/128']);
    // As systemd-networkd and NetworkManager do; Linux itself takes such routes only if told to.
    await f1.sh('sysctl -q -w net.ipv6.conf.eth0.accept_ra_rt_info_max_plen=128');
    const found = await until('the route is learned', async () => {
      await solicited(f1);
      const routes = await f1.sh('ip -6 route show fe80::a9fe:a9fe');
      return routes.includes('proto ra') && routes;
    });
    expect(found).toContain(`via ${linkLocal(net.interface('r1', 'routed').mac_address)} dev eth0`);
    const { status, body } = await f1.curl(METADATA_V6);
    expect([status, body]).toEqual([200, net.instanceId('f1')]);
  });

  test('[N2] IPv4 instances get the route to metadata with the lease', async () => {
    const d1 = net.client('d1');
    const { ack } = await lease(d1);
    const dhcp = net
      .dhcpPort('dual')
      .fixed_ips.map(({ ip_address }) => ip_address)
      .find((ip) => ip.includes('.'));
    expect(ack?.options.get(121)).toContain(`(169.254.169.254/32:${dhcp})`);
    const own = net
      .instancePort('d1')
      .fixed_ips.find(({ ip_address }) => ip_address.includes('.'))!.ip_address;
    await d1.sh(`ip address add ${own}/24 dev eth0 && ip route add 169.254.169.254/32 via ${dhcp}`);
    expect((await d1.curl(METADATA_ID('169.254.169.254'))).body).toBe(net.instanceId('d1'));
  });

  test('a router that comes takes the announcement over, and gives it back', async () => {
    const a1 = net.client('a1');
    const ip = await configured(a1, '2001:db8:a:');
    const own = linkLocal(net.dhcpPort('alone').mac_address);
    const before = radvd('alone');
    expect(before).toBeDefined();
    connect('alone-v6');
    const router = await advertised(a1, ({ lifetime, from }) => lifetime > 0 && from !== own);
    expect(router.prefixes.map(({ prefix }) => prefix)).toEqual(['2001:db8:a::/64']);
    await until('nobody else announces', () => radvd('alone') === undefined);
    expect(await learned(a1)).toEqual([{ ip, deprecated: false }]);
    await until('it has a default route', async () =>
      (await a1.sh('ip -6 route show default')).includes('proto ra'),
    );

    disconnect();
    const again = await advertised(a1, ({ lifetime, from }) => lifetime === 0 && from === own);
    expect(again.prefixes).toHaveLength(1);
    await until('no default route', async () => (await a1.sh('ip -6 route show default')) === '');
    expect(await configured(a1, '2001:db8:a:')).toBe(ip);
    expect(radvd('alone')).not.toBe(before);
  });

  test('a subnet that goes is withdrawn, a new one announced, by the same process', async () => {
    const d1 = net.client('d1');
    await configured(d1, '2001:db8:d:');
    const before = radvd('dual');
    net.edit((topology) => {
      const { subnets } = topology.networks.find(({ name }) => name === 'dual')!;
      subnets!.splice(1, 1, {
        name: 'dual-new',
        cidr: '2001:db8:e::/64',
        ipv6_ra_mode: 'slaac',
        ipv6_address_mode: 'slaac',
      });
    });
    await configured(d1, '2001:db8:e:');
    await until('the old address is deprecated', async () =>
      (await learned(d1)).some(({ ip, deprecated }) => ip.startsWith('2001:db8:d:') && deprecated),
    );
    expect((await advertised(d1)).prefixes.map(({ prefix }) => prefix)).toEqual(['2001:db8:e::/64']);
    expect(radvd('dual')).toBe(before);
  });

  test('radvd outlives the agent and is taken over; killed, it comes back', async () => {
    const before = radvd('alone');
    await net.end();
    expect(await solicited(net.client('a1'))).toBeDefined();
    await net.up();
    expect(radvd('alone')).toBe(before);
    expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
    process.kill(before!, 'SIGKILL');
    await until('another one runs', () => {
      const now = radvd('alone');
      return now !== undefined && now !== before;
    });
  });

  test('switched off, it ends, also one that an earlier agent started', async () => {
    const before = radvd('alone')!;
    await net.end();
    net.edit((topology) => {
      topology.dhcp = { enable_isolated_ra: false };
    });
    await net.up();
    expect(readProcess(before)).toBeUndefined();
    expect(existsSync(join(directoryOf('alone'), 'radvd.conf'))).toBe(false);
    expect(await solicited(net.client('a1'))).toBeUndefined();
    expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
  });
});
