import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readProcess } from '../../lib/kernel/process.ts';
import { eui64 } from '../../lib/model/ip.ts';
import { advertised, configured, learned, solicited } from './advertisements.ts';
import type { Machine } from './packets.ts';
import { type Rig, rig } from './rig.ts';
import { output, run, until } from './shell.ts';

/** One network for each mode, behind a router with an IPv6 gateway; "the internet" knows the way back. */
const TOPOLOGY = `
networks:
  - name: ext
    external: true
    subnets: [{ name: ext-v6, cidr: "2001:db8:e::/64", gateway_ip: "2001:db8:e::1" }]
  - name: slaac
    mtu: 1400
    subnets:
      - { name: slaac-1, cidr: "2001:db8:a::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac,
          dns_nameservers: ["2001:db8::53", "2001:db8::54", "2001:db8::55", "2001:db8::56"] }
      - { name: slaac-2, cidr: "2001:db8:a2::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac }
  - name: stateless
    subnets:
      - { name: stateless-1, cidr: "2001:db8:b::/64", ipv6_ra_mode: dhcpv6-stateless, ipv6_address_mode: dhcpv6-stateless,
          dns_nameservers: ["2001:db8::53"] }
  - name: stateful
    subnets:
      - { name: stateful-1, cidr: "2001:db8:c::/64", ipv6_ra_mode: dhcpv6-stateful, ipv6_address_mode: dhcpv6-stateful }
  - name: plain
    subnets: [{ name: plain-1, cidr: "2001:db8:d::/64" }]
  - name: four
    subnets: [{ name: four-1, cidr: 10.4.0.0/24 }]
routers:
  - name: r1
    external_gateway_info: { network: ext, external_fixed_ips: [{ ip_address: "2001:db8:e::10" }] }
    interfaces: [slaac-1, slaac-2, stateless-1, stateful-1, plain-1, four-1]
ports:
  - { name: internet, network: ext, fixed_ips: [{ ip_address: "2001:db8:e::1" }] }
instances:
  - { name: internet, ports: [internet], configure: static }
  - { name: s1, network: slaac, configure: none }
  - { name: o1, network: stateless, configure: none }
  - { name: m1, network: stateful, configure: none }
  - { name: p1, network: plain, configure: none }
  - { name: f1, network: four, configure: none }
`;

/** radvd of a router: process id and user, and its file. */
async function radvdOf(net: Rig, router: string): Promise<{ pid: number; user: string } | undefined> {
  const { stdout } = await run(['ps', '-eo', 'pid=,user=,ppid=,args=']);
  const pid = Number(readFileSync(pidFile(net, router), 'utf8'));
  const line = stdout.split('\n').find((one) => Number(one.trim().split(/\s+/)[0]) === pid);
  if (!line?.includes(`radvd -C ${confPath(net, router)}`)) return undefined;
  return { pid, user: line.trim().split(/\s+/)[1]! };
}
const stateOf = (net: Rig): string => join(net.stateDir, net.name);
const confPath = (net: Rig, router: string): string =>
  join(stateOf(net), 'ra', `${net.routerId(router)}.radvd.conf`);
const pidFile = (net: Rig, router: string): string =>
  join(stateOf(net), 'external/pids', `${net.routerId(router)}.pid.radvd`);

describe('IPv6 behind a router', () => {
  let net: Rig;
  let client: (name: string) => Machine;
  const subnet = (cidr: string) => ({
    name: cidr,
    cidr,
    ipv6_ra_mode: 'slaac',
    ipv6_address_mode: 'slaac',
  });

  beforeAll(async () => {
    net = await rig(TOPOLOGY);
    client = (name) => net.client(name);
    await client('internet').sh('ip -6 route add 2001:db8:a::/63 via 2001:db8:e::10');
  });
  afterAll(() => net?.remove());

  test('[E1] an instance of a SLAAC network makes itself the address the controller expects', async () => {
    const seen = await advertised(client('s1'));
    expect(seen.prefixes).toContainEqual(
      expect.objectContaining({ prefix: '2001:db8:a::/64', onLink: true, autonomous: true, valid: 86_400 }),
    );
    const { mac_address } = net.instancePort('s1');
    expect(await configured(client('s1'), '2001:db8:a:')).toBe(eui64('2001:db8:a::/64', mac_address));
  });

  test('[E2] stateless and stateful networks have the O and the M flag, and a plain one no prefix', async () => {
    const flags = { managed: false, otherConfig: false };
    expect(await advertised(client('s1'))).toMatchObject(flags);
    const stateless = await advertised(client('o1'));
    expect(stateless).toMatchObject({ ...flags, otherConfig: true });
    expect(stateless.prefixes).toMatchObject([{ prefix: '2001:db8:b::/64', autonomous: true }]);
    const stateful = await advertised(client('m1'));
    expect(stateful).toMatchObject({ ...flags, managed: true });
    expect(stateful.prefixes).toMatchObject([{ prefix: '2001:db8:c::/64', onLink: true, autonomous: false }]);
    expect(await advertised(client('p1'))).toMatchObject({ ...flags, prefixes: [], lifetime: 300 });
    expect(await learned(client('m1'))).toEqual([]);
    expect(await solicited(client('f1'))).toBeUndefined();
  });

  test('[E3] the first three name servers of SLAAC subnets are announced', async () => {
    expect((await advertised(client('s1'))).nameServers).toEqual([
      '2001:db8::53',
      '2001:db8::54',
      '2001:db8::55',
    ]);
    expect((await advertised(client('o1'))).nameServers).toEqual([]);
  });

  test('[E4] the MTU of the network is announced, and hosts use it', async () => {
    expect((await advertised(client('s1'))).mtu).toBe(1400);
    expect((await advertised(client('o1'))).mtu).toBe(1500);
    await client('o1').sh('ip link set eth0 mtu 1500');
    expect(await client('s1').sh('cat /proc/sys/net/ipv6/conf/eth0/mtu')).toBe('1400\n');
  });

  test('[E6] one advertisement has the prefixes of all subnets of the port', async () => {
    const { prefixes } = await advertised(client('s1'));
    expect(prefixes.map(({ prefix }) => prefix).sort()).toEqual(['2001:db8:a2::/64', '2001:db8:a::/64']);
    await configured(client('s1'), '2001:db8:a:');
    await configured(client('s1'), '2001:db8:a2:');
  });

  test('[E7] the route to the metadata address is announced', async () => {
    for (const name of ['s1', 'o1', 'm1', 'p1'])
      expect((await advertised(client(name))).routes).toEqual(['fe80::a9fe:a9fe/128']);
  });

  test('[E11] the gateway of the external subnet is the default route', async () => {
    const { device } = net.gateway('r1');
    const route = await net.router('r1').sh('ip -6 route show default');
    expect(route).toContain(`default via 2001:db8:e::1 dev ${device} proto static`);
    expect(await net.router('r1').sh(`cat /proc/sys/net/ipv6/conf/${device}/accept_ra`)).toBe('0\n');
  });

  test('[E14] it forwards IPv6', async () => {
    const { device } = net.gateway('r1');
    for (const name of ['all', device])
      expect(await net.router('r1').sh(`cat /proc/sys/net/ipv6/conf/${name}/forwarding`)).toBe('1\n');
    expect((await client('s1').reaches('2001:db8:e::1')).ttls).toEqual([63]);
  });

  test('[E15] an instance is reached from outside by its own address, and seen with it', async () => {
    const ip = await configured(client('s1'), '2001:db8:a:');
    expect((await client('internet').reaches(ip)).ttls).toEqual([63]);
    const capture = await client('internet').capture('eth0', 'icmp6 and ip6[40] == 128');
    await client('s1').reaches('2001:db8:e::1');
    expect((await capture.stop()).join('\n')).toContain(`${ip} > 2001:db8:e::1`);
  });

  test('[E8] a subnet more and less is announced by the same process', async () => {
    const before = await radvdOf(net, 'r1');
    expect(before).toBeDefined();
    net.edit((topology) => {
      topology.networks.find(({ name }) => name === 'stateless')!.subnets!.push(subnet('2001:db8:b2::/64'));
      topology.routers![0]!.interfaces!.push('2001:db8:b2::/64');
    });
    await net.converged();
    const seen = await advertised(client('o1'), ({ prefixes }) => prefixes.length === 2);
    expect(seen.otherConfig).toBe(true);
    await configured(client('o1'), '2001:db8:b2:');
    expect(await radvdOf(net, 'r1')).toEqual(before);

    net.edit((topology) => {
      topology.routers![0]!.interfaces!.pop();
      topology.networks.find(({ name }) => name === 'stateless')!.subnets!.pop();
    });
    await net.converged();
    await until('the withdrawn address is deprecated, the other is not', async () => {
      const addresses = await learned(client('o1'));
      const states = addresses.map(({ ip, deprecated }) => [ip.split(':')[2], deprecated]);
      return (
        JSON.stringify(states.sort()) ===
        JSON.stringify([
          ['b', false],
          ['b2', true],
        ])
      );
    });
    await advertised(client('o1'), ({ prefixes }) => prefixes.length === 1);
    expect(await client('o1').sh('ip -6 route show default')).toContain('proto ra');
    expect(await radvdOf(net, 'r1')).toEqual(before);
  });

  test('what did not change is not announced anew: same process, same file', async () => {
    const conf = readFileSync(confPath(net, 'r1'), 'utf8');
    const before = await output('stat', '-c', '%i %Y %a', confPath(net, 'r1'));
    expect(before).toMatch(/ 444\n$/);
    const process = await radvdOf(net, 'r1');
    net.edit((topology) => {
      topology.routers![0]!.routes = [{ destination: '2001:db8:f::/64', nexthop: '2001:db8:a::9' }];
    });
    await net.converged();
    await until('the route is there', async () =>
      (await net.router('r1').sh('ip -6 route')).includes('2001:db8:f::/64'),
    );
    expect(readFileSync(confPath(net, 'r1'), 'utf8')).toBe(conf);
    expect(await output('stat', '-c', '%i %Y %a', confPath(net, 'r1'))).toBe(before);
    expect(await radvdOf(net, 'r1')).toEqual(process);
  });

  test('radvd outlives the agent, which takes it over as it is', async () => {
    await advertised(client('s1'));
    const before = await radvdOf(net, 'r1');
    await net.end();
    expect(await solicited(client('s1'))).toBeDefined();
    await net.up();
    expect(await radvdOf(net, 'r1')).toEqual(before);
    expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
  });

  test('a radvd that was killed is back', async () => {
    const before = await radvdOf(net, 'r1');
    process.kill(before!.pid, 'SIGKILL');
    await until('another radvd runs', async () => {
      const now = await radvdOf(net, 'r1');
      return now !== undefined && now.pid !== before!.pid;
    });
    await advertised(client('s1'));
  });

  test('a device that somebody removed is announced on again', async () => {
    await net.router('r1').sh(`ip link del ${net.interface('r1', 'stateful').device}`);
    await until('it is there again', async () =>
      (await net.router('r1').sh('ip -br link')).includes(net.interface('r1', 'stateful').device),
    );
    expect((await advertised(client('m1'))).managed).toBe(true);
  });

  test('an instance loses its router with the router’s interface, at once', async () => {
    const routes = () => client('m1').sh('ip -6 route show default');
    await until('it has a default route', async () => (await routes()).includes('proto ra'));
    net.edit((topology) => {
      const { interfaces } = topology.routers![0]!;
      interfaces!.splice(interfaces!.indexOf('stateful-1'), 1);
    });
    await until('the default route is gone', async () => (await routes()) === '', 10_000);
  });

  test('[E9] with the last IPv6 subnet radvd goes, and its files', async () => {
    // The one that announced on the device that left was ended with it.
    const before = await until('radvd runs', () => radvdOf(net, 'r1'));
    net.edit((topology) => {
      topology.routers![0]!.routes = [];
      topology.routers![0]!.interfaces = ['four-1'];
    });
    await until('radvd has gone', () => readProcess(before.pid) === undefined);
    await until(
      'its files are gone',
      () => !existsSync(confPath(net, 'r1')) && !existsSync(pidFile(net, 'r1')),
    );
    await until(
      'the default route is gone',
      async () => (await client('s1').sh('ip -6 route show default')) === '',
    );
  });
});

describe('options of IPv6 routers', () => {
  /** The external network has no IPv6 subnet: who leads outside is told by option. */
  const WITHOUT_V6 = (l3: string) => `
networks:
  - { name: ext, external: true, subnets: [{ name: ext-v4, cidr: 203.0.113.0/24, gateway_ip: 203.0.113.1 }] }
  - { name: a, subnets: [{ name: a-v6, cidr: "2001:db8:a::/64", ipv6_ra_mode: slaac, ipv6_address_mode: slaac }] }
routers:
  - { name: r1, external_gateway_info: { network: ext }, interfaces: [a-v6] }
ports:
  - { name: internet, network: ext, fixed_ips: [{ ip_address: 203.0.113.1 }], allowed_address_pairs: [{ ip_address: "2001:db8:ffff::1" }] }
instances:
  - { name: internet, ports: [internet], configure: static }
  - { name: s1, network: a, configure: none }
l3: ${l3}
`;
  /** What a provider's router knows: the way to the tenant's prefix, by the router's link-local address. */
  const wayBack = async (net: Rig): Promise<void> => {
    const { device } = net.gateway('r1');
    const own = /inet6 (fe80\S+)\/64/.exec(
      await net.router('r1').sh(`ip -6 address show dev ${device} scope link`),
    )?.[1];
    await net.client('internet').sh(`ip -6 route add 2001:db8:a::/64 via ${own} dev eth0`);
  };

  test('[E5] [E10] [E12] intervals, user and link-local gateway are as the options say', async () => {
    const net = await rig(
      WITHOUT_V6(
        '{ ipv6_gateway: "fe80::1", radvd_user: nobody, min_rtr_adv_interval: 3, max_rtr_adv_interval: 4, adv_default_preference: high }',
      ),
    );
    try {
      expect((await radvdOf(net, 'r1'))?.user).toBe('nobody');
      const internet = net.client('internet');
      await internet.sh('ip -6 address add fe80::1/64 dev eth0 nodad');
      await wayBack(net);
      const { device } = net.gateway('r1');
      expect(await net.router('r1').sh('ip -6 route show default')).toContain(
        `via fe80::1 dev ${device} proto static`,
      );
      const seen = await advertised(net.client('s1'));
      expect(seen).toMatchObject({ lifetime: 12, preference: 'high' });
      await configured(net.client('s1'), '2001:db8:a:');
      expect((await net.client('s1').reaches('2001:db8:ffff::1')).ttls).toEqual([63]);
      const capture = await net.client('s1').capture('eth0', 'icmp6 and ip6[40] == 134', '-tt');
      await until('three advertisements came unasked', () => capture.lines.length >= 3, 30_000);
      const times = (await capture.stop()).map((line) => Number.parseFloat(line)).filter((time) => time > 0);
      const gaps = times.slice(1).map((time, i) => time - times[i]!);
      // Without the options the first three have 16 s between them (RFC 4861 §6.2.4), later ones more.
      for (const gap of gaps) expect(gap).toBeLessThan(12);
      expect(readFileSync(confPath(net, 'r1'), 'utf8')).toMatch(
        /MinRtrAdvInterval 3;\s+MaxRtrAdvInterval 4;/,
      );

      // As another user, it reads its file again all the same.
      const before = await radvdOf(net, 'r1');
      net.edit((topology) => {
        topology.networks[1]!.subnets!.push({
          name: 'a-more',
          cidr: '2001:db8:a1::/64',
          ipv6_ra_mode: 'slaac',
          ipv6_address_mode: 'slaac',
        });
        topology.routers![0]!.interfaces!.push('a-more');
      });
      await advertised(net.client('s1'), ({ prefixes }) => prefixes.length === 2);
      expect(await radvdOf(net, 'r1')).toEqual(before);
    } finally {
      await net.remove();
    }
  });

  test('[E13] without any gateway of its own the router learns one from advertisements', async () => {
    const net = await rig(WITHOUT_V6('{}'));
    try {
      const { device } = net.gateway('r1');
      expect(await net.router('r1').sh(`sysctl -n net.ipv6.conf.${device}.accept_ra`)).toBe('2\n');
      expect(await net.router('r1').sh(`sysctl -n net.ipv6.conf.${device}.forwarding`)).toBe('1\n');
      const internet = net.client('internet');
      const conf = join(net.directory, 'upstream.conf');
      await internet.sh(
        `echo 'interface eth0 { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; };' > ${conf} &&
         sysctl -q -w net.ipv6.conf.eth0.forwarding=1 && radvd -C ${conf} -p ${conf}.pid -m logfile -l ${conf}.log`,
      );
      await wayBack(net);
      const learnedRoute = await until(
        'the default route is learned',
        async () => {
          const route = await net.router('r1').sh('ip -6 route show default');
          return route.includes('proto ra') && route;
        },
        30_000,
      );
      expect(learnedRoute).toMatch(new RegExp(`default via fe80::\\S+ dev ${device} proto ra`));
      await configured(net.client('s1'), '2001:db8:a:');
      expect((await net.client('s1').reaches('2001:db8:ffff::1')).ttls).toEqual([63]);
      // What the kernel learned is its own: no drift, and a new start leaves it alone.
      expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
      await net.end();
      await net.up();
      expect(await net.router('r1').sh('ip -6 route show default')).toContain('proto ra');

      // The external network gets an IPv6 subnet: from now on its gateway counts, and nothing learned.
      net.edit((topology) => {
        topology.networks[0]!.subnets!.push({
          name: 'ext-v6',
          cidr: '2001:db8:e::/64',
          gateway_ip: '2001:db8:e::1',
        });
      });
      await until('the gateway is the way out', async () =>
        (await net.router('r1').sh('ip -6 route get 2001:db8:ffff::1')).includes('via 2001:db8:e::1'),
      );
      expect(await net.router('r1').sh(`sysctl -n net.ipv6.conf.${device}.accept_ra`)).toBe('0\n');
      expect(await net.router('r1').sh('ip -6 route show default')).not.toContain('proto ra');
      expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);

      // And goes again: the next advertisement counts.
      net.edit((topology) => void topology.networks[0]!.subnets!.pop());
      await until('the default route is learned again', async () =>
        (await net.router('r1').sh('ip -6 route show default')).includes('proto ra'),
      );
      expect((await net.viaduct('diff', '--exit-code')).code).toBe(0);
    } finally {
      await run(['pkill', '-F', join(net.directory, 'upstream.conf.pid')]);
      await net.remove();
    }
  });
});
