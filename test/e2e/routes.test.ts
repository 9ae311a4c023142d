import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Machine } from './packets.ts';
import { type Rig, rig } from './rig.ts';
import { until } from './shell.ts';

/** Two machines in a tenant network that lead on to networks the router does not know by itself. */
const TOPOLOGY = `
networks:
  - { name: a, subnets: [{ name: a-v4, cidr: 10.1.0.0/24, enable_dhcp: false }] }
  - { name: b, subnets: [{ name: b-v4, cidr: 10.2.0.0/24, enable_dhcp: false }] }
routers:
  - name: r
    interfaces: [a-v4, b-v4]
    routes: [{ destination: 192.168.1.0/24, nexthop: 10.2.0.8 }]
ports:
  - { name: way1, network: b, fixed_ips: [{ ip_address: 10.2.0.8 }], allowed_address_pairs: [{ ip_address: 192.168.1.1 }, { ip_address: 192.168.2.1 }] }
  - { name: way2, network: b, fixed_ips: [{ ip_address: 10.2.0.9 }], allowed_address_pairs: [{ ip_address: 192.168.2.2 }] }
instances:
  - { name: vm, network: a, fixed_ips: [{ ip_address: 10.1.0.5 }], configure: static }
  - { name: way1, ports: [way1], configure: static }
  - { name: way2, ports: [way2], configure: static }
`;

describe('extra routes', () => {
  let net: Rig;
  let router: Machine;
  const routes = (list: [destination: string, nexthop: string][]) =>
    net.edit(() => {
      net.entry('routers', 'r').routes = list.map(([destination, nexthop]) => ({ destination, nexthop }));
    });
  const shown = (destination: string) => router.sh(`ip route show ${destination}`);

  beforeAll(async () => {
    net = await rig(TOPOLOGY);
    router = net.router('r');
  });
  afterAll(async () => {
    await net?.remove();
  });

  test('[D6] traffic to the destination goes by the next hop', async () => {
    expect(await router.sh('ip route get 192.168.1.1')).toContain('via 10.2.0.8 ');
    await net.client('vm').reaches('192.168.1.1');
  });

  test('[D7] two routes to one destination share the traffic; one of them removed leaves the other', async () => {
    routes([
      ['192.168.1.0/24', '10.2.0.8'],
      ['192.168.2.0/24', '10.2.0.8'],
      ['192.168.2.0/24', '10.2.0.9'],
    ]);
    await until('both next hops', async () => {
      const text = await shown('192.168.2.0/24');
      return text.includes('nexthop via 10.2.0.8 ') && text.includes('nexthop via 10.2.0.9 ');
    });
    routes([
      ['192.168.1.0/24', '10.2.0.8'],
      ['192.168.2.0/24', '10.2.0.9'],
    ]);
    await until('one next hop', async () =>
      /^192\.168\.2\.0\/24 via 10\.2\.0\.9 /.test(await shown('192.168.2.0/24')),
    );
    expect(await shown('192.168.2.0/24')).not.toContain('nexthop');
    await net.client('vm').reaches('192.168.2.2');
  });

  test('[D8] a removed route goes and the others stay', async () => {
    const stream = net.client('vm').pingStream('192.168.1.1');
    routes([['192.168.1.0/24', '10.2.0.8']]);
    await until('it is gone', async () => (await shown('192.168.2.0/24')) === '');
    expect((await stream.stop()).lost).toEqual([]);
    expect(await shown('192.168.1.0/24')).toContain('via 10.2.0.8 ');
  });

  test('[D9] a route to nowhere does not harm the rest of the router', async () => {
    const stream = net.client('vm').pingStream('192.168.1.1');
    routes([
      ['192.168.3.0/24', '172.30.0.9'],
      ['192.168.1.0/24', '10.2.0.8'],
      ['192.168.4.0/24', '10.1.0.5'],
    ]);
    await until('the good one is there', async () =>
      (await shown('192.168.4.0/24')).includes('via 10.1.0.5 '),
    );
    expect(await shown('192.168.3.0/24')).toBe('');
    expect((await net.client('vm').ping('10.2.0.8')).received).toBe(3);
    expect((await stream.stop()).lost).toEqual([]);
  });

  test('[O10] rules and devices somebody else put into the namespace stay', async () => {
    await router.sh('nft add table ip operator');
    await router.sh("nft 'add chain ip operator forward { type filter hook forward priority 5; }'");
    await router.sh('nft add rule ip operator forward counter');
    await router.sh('ip link add operator0 type veth peer name operator1');
    routes([['192.168.1.0/24', '10.2.0.8']]);
    await until('the change is done', async () => (await shown('192.168.4.0/24')) === '');
    expect(await router.sh('nft list table ip operator')).toContain('counter');
    expect(await router.sh('ip -br link')).toContain('operator0');
  });

  test('[B8] an interface nobody wants any more is removed from the namespace', async () => {
    await router.sh('ip link add qr-12345678-9a type veth peer name other0');
    routes([
      ['192.168.1.0/24', '10.2.0.8'],
      ['192.168.5.0/24', '10.1.0.5'],
    ]);
    await until('it is gone', async () => !(await router.sh('ip -br link')).includes('qr-12345678-9a'));
  });
});
