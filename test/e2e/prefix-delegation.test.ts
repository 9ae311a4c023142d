import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eui64 } from '../../lib/model/ip.ts';
import { Vm } from '../kernel/vm.ts';
import { advertised, configured, learned, solicited } from './advertisements.ts';
import { DelegatingServer } from './delegating-server.ts';
import { type Rig, rig } from './rig.ts';
import { until } from './shell.ts';

/** Two subnets without prefixes of their own behind a router, and a provider who delegates some of a /48. */
const TOPOLOGY = `
networks:
  - name: ext
    external: true
    subnets: [{ name: ext-v6, cidr: "2001:db8:e::/64", gateway_ip: "2001:db8:e::1" }]
  - name: one
    subnets:
      - { name: one-v4, cidr: 10.1.0.0/24 }
      - { name: one-v6, subnetpool_id: prefix_delegation, ipv6_ra_mode: slaac, ipv6_address_mode: slaac }
  - name: two
    subnets:
      - { name: two-v6, subnetpool_id: prefix_delegation, ipv6_ra_mode: dhcpv6-stateless,
          ipv6_address_mode: dhcpv6-stateless, dns_nameservers: ["2001:db8::53"] }
routers:
  - name: r1
    external_gateway_info: { network: ext, external_fixed_ips: [{ ip_address: "2001:db8:e::10" }] }
    interfaces: [one-v4, one-v6, two-v6]
instances:
  - { name: a, network: one, configure: none }
  - { name: b, network: two, configure: none }
`;
const POOL = '2001:db8:f000:';

describe('prefix delegation', () => {
  let net: Rig;
  /** not of the topology: it outlives it */
  let provider: Vm;
  let server: DelegatingServer;
  const start = () =>
    DelegatingServer.start(provider, {
      directory: `${net.directory}/kea`,
      link: '2001:db8:e::/64',
      pool: { prefix: `${POOL}:`, length: 48 },
      renew: 5,
      valid: 120,
    });
  /** Of a network: what its router has there, and announces. */
  const prefixOf = async (network: 'one' | 'two'): Promise<string> => {
    const name = network === 'one' ? 'a' : 'b';
    const seen = await advertised(net.client(name), ({ prefixes }) => prefixes.length > 0);
    return seen.prefixes[0]!.prefix;
  };

  beforeAll(async () => {
    net = await rig(TOPOLOGY);
    provider = new Vm(net.bridge('ext'), 'fa:16:3e:00:aa:01');
    await provider.sh(
      'ip -6 address add 2001:db8:e::1/64 dev eth0 nodad; sysctl -qw net.ipv6.conf.all.forwarding=1',
    );
    await provider.sh(`ip -6 route add ${POOL}:/48 via 2001:db8:e::10`);
  });
  afterAll(async () => {
    await server?.stop();
    await provider?.remove();
    await net?.remove();
  });

  test('while nobody delegates a prefix IPv4 is served, and nothing is announced of IPv6', async () => {
    expect((await solicited(net.client('a')))?.prefixes ?? []).toEqual([]);
    expect(await net.router('r1').sh('ip -br address')).toContain('10.1.0.1/24');
    expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
  });

  test('[Q1] each subnet is delegated a prefix, and its instances reach the world with it', async () => {
    server = await start();
    const [one, two] = [await prefixOf('one'), await prefixOf('two')];
    expect(one).not.toBe(two);
    for (const [network, name, prefix] of [
      ['one', 'a', one],
      ['two', 'b', two],
    ] as const) {
      expect(prefix.startsWith(POOL)).toBe(true);
      const stem = prefix.replace(/:\/64$/, '');
      // The first address of the prefix, as the Networking API has it.
      const gateway = prefix.replace(/::\/64$/, '::1');
      await until('the router has the gateway’s address', async () =>
        (await net.router('r1').sh(`ip -6 -br address show`)).includes(`${gateway}/64`),
      );
      const own = await configured(net.client(name), stem);
      expect(own).toBe(eui64(prefix, net.instancePort(name).mac_address));
      expect((await net.client(name).reaches('2001:db8:e::1')).ttls).toEqual([63]);
      expect((await provider.reaches(own)).ttls).toEqual([63]);
      expect(network).toBeDefined();
    }
    expect((await net.client('b').reaches(await configured(net.client('a'), POOL))).ttls).toEqual([63]);
    // One client each: enterprise number 8888 and the subnet's id.
    const subnets = net.topology.networks
      .flatMap((each) => each.subnets)
      .filter((each) => each.subnetpool_id);
    const duids = subnets.map(
      ({ id }) => `00:02:00:00:22:b8:${id.replaceAll('-', '').match(/../g)!.join(':')}`,
    );
    expect(
      server
        .bindings()
        .map(({ duid }) => duid)
        .sort(),
    ).toEqual(duids.sort());
    expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
  });

  test('[Q1] the prefixes are renewed in time', async () => {
    for (const network of ['one', 'two'] as const) {
      const prefix = await prefixOf(network);
      const before = server.said('DHCP6_PD_LEASE_RENEW', prefix);
      await until(
        'it is renewed twice',
        () => server.said('DHCP6_PD_LEASE_RENEW', prefix) >= before + 2,
        30_000,
      );
    }
    expect(server.said('DHCP6_PD_LEASE_ALLOC')).toBe(2);
  });

  test('[Q1] a new start keeps the prefixes: nothing is asked for, no packet is lost', async () => {
    const before = [await prefixOf('one'), await prefixOf('two')];
    const asked = server.said('DHCP6_PD_LEASE_ALLOC');
    const pings = net.client('a').pingStream('2001:db8:e::1');
    await until('pings are answered', () => pings.replies > 10);
    await net.end('SIGKILL');
    await net.up();
    expect([await prefixOf('one'), await prefixOf('two')]).toEqual(before);
    const renewed = server.said('DHCP6_PD_LEASE_RENEW');
    await until('it goes on renewing', () => server.said('DHCP6_PD_LEASE_RENEW') > renewed, 30_000);
    expect((await pings.stop()).lost).toEqual([]);
    expect(server.said('DHCP6_PD_LEASE_ALLOC')).toBe(asked);
  });

  test('[Q1] a gateway that somebody removed is asked on when it is there again', async () => {
    const { device } = net.gateway('r1');
    await net.router('r1').sh(`ip link del ${device}`);
    await until('it is there again', async () => (await net.router('r1').sh('ip -br link')).includes(device));
    await net.client('a').reaches('2001:db8:e::1');
    const renewed = server.said('DHCP6_PD_LEASE_RENEW');
    await until('it goes on renewing', () => server.said('DHCP6_PD_LEASE_RENEW') > renewed, 60_000);
    expect(server.said('DHCP6_PD_LEASE_ALLOC')).toBe(2);
  });

  test('[Q1] a subnet that leaves its router gives its prefix back, and its hosts hear of it', async () => {
    const [one, two] = [await prefixOf('one'), await prefixOf('two')];
    net.edit((topology) => {
      topology.routers![0]!.interfaces = ['one-v4', 'two-v6'];
    });
    await until('the prefix is given back', () => server.said('DHCP6_RELEASE_PD', one.split('/')[0]) > 0);
    await until('nobody has it', () => server.bindings().every(({ prefix }) => `${prefix}/64` !== one));
    await until('the host’s address is deprecated', async () =>
      (await learned(net.client('a'))).every(({ deprecated }) => deprecated),
    );
    expect(await prefixOf('two')).toBe(two);
    expect(server.bindings().map(({ prefix }) => `${prefix}/64`)).toEqual([two]);

    // And back: the hosts have a prefix again.
    net.edit((topology) => {
      topology.routers![0]!.interfaces = ['one-v4', 'one-v6', 'two-v6'];
    });
    await prefixOf('one');
    await net.client('a').reaches('2001:db8:e::1');
  });

  test('[Q1] what a provider gives instead of a prefix is taken', async () => {
    await server.stop();
    server = await DelegatingServer.start(provider, {
      directory: `${net.directory}/kea-2`,
      link: '2001:db8:e::/64',
      pool: { prefix: '2001:db8:f00d::', length: 48 },
      renew: 5,
      valid: 120,
    });
    await provider.sh('ip -6 route add 2001:db8:f00d::/48 via 2001:db8:e::10');
    const after = await until(
      'a prefix of the new pool is announced',
      async () => {
        const prefix = await prefixOf('one');
        return prefix.startsWith('2001:db8:f00d:') && prefix;
      },
      60_000,
    );
    const own = await configured(net.client('a'), after.replace(/:\/64$/, ''));
    expect((await provider.reaches(own)).ttls).toEqual([63]);
    await until('older addresses are deprecated', async () =>
      (await learned(net.client('a'))).every(
        ({ ip, deprecated }) => deprecated !== ip.startsWith('2001:db8:f00d:'),
      ),
    );
  });

  test('[Q1] with the deployment all prefixes are given back', async () => {
    expect(server.bindings()).not.toEqual([]);
    // The bridge stays: the provider is plugged into it.
    await net.viaduct('down', net.file);
    await until('all is given back', () => server.bindings().length === 0);
  });
});
