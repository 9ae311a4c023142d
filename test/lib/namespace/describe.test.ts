import { describe, expect, test } from 'vitest';
import { describeRow } from '../../../lib/namespace/describe.ts';
import { describeChange } from '../../../lib/namespace/describe-change.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-r1';
const dev = 'qg-1234';
const via = '203.0.113.1';

describe('a row reads as', () => {
  const cases: [string, rows.Row][] = [
    ['namespace qrouter-r1', rows.netns(ns)],
    [
      'link qr-1 veth mac fa:16:3e:00:00:01 mtu 1450 up peer tap1 in the host',
      rows.link({
        ns,
        name: 'qr-1',
        type: 'veth',
        mac: 'fa:16:3e:00:00:01',
        mtu: 1450,
        peer: { ns: '', name: 'tap1' },
      }),
    ],
    [
      'iptables rules of neutron-l3-agent (2 chains)',
      rows.xtables({
        ns,
        family: 'ip',
        chains: ['nat neutron-l3-agent-snat', 'nat neutron-l3-agent-OUTPUT'],
      }),
    ],
    ['ip6tables rules of neutron-l3-agent', rows.xtables({ ns, family: 'ip6', rules: '*nat' })],
    ['link brq1 bridge down', rows.link({ ns: '', name: 'brq1', type: 'bridge', up: false })],
    [
      'address 10.0.0.1/24 dev qr-1',
      rows.address({ ns, dev: 'qr-1', ip: '10.0.0.1', prefix: 24, family: 4 }),
    ],
    [
      'address fe80::1/64 dev qr-1 scope link nodad kept by keepalived',
      rows.address({
        ns,
        dev: 'qr-1',
        ip: 'fe80::1',
        prefix: 64,
        family: 6,
        scope: 'link',
        nodad: true,
        keeper: 'keepalived',
      }),
    ],
    [
      'route default via 203.0.113.1 dev qg-1234',
      rows.route({ ns, family: 4, destination: '0.0.0.0/0', nexthops: [{ via, dev, weight: 1 }] }),
    ],
    [
      'route 198.51.100.0/24 table 16 metric 5 dev qg-1234 scope link src 203.0.113.9',
      rows.route({
        ns,
        family: 4,
        table: 16,
        metric: 5,
        destination: '198.51.100.0/24',
        nexthops: [{ dev, weight: 1 }],
        scope: 'link',
        source: '203.0.113.9',
      }),
    ],
    [
      'route 192.0.2.0/24 nexthop via 10.0.0.8 weight 1 nexthop via 10.0.0.9 weight 2',
      rows.route({
        ns,
        family: 4,
        destination: '192.0.2.0/24',
        nexthops: [
          { via: '10.0.0.8', weight: 1 },
          { via: '10.0.0.9', weight: 2 },
        ],
      }),
    ],
    [
      'rule 32768 from 10.0.0.5 lookup 16',
      rows.rule({ ns, family: 4, priority: 32768, from: '10.0.0.5', table: 16 }),
    ],
    [
      'rule 80000 (IPv6) from all iif qr-1 fwmark 0x4000000/0xffff0000 lookup main',
      rows.rule({
        ns,
        family: 6,
        priority: 80000,
        iif: 'qr-1',
        fwmark: { value: 0x4000000, mask: 0xffff0000 },
        table: 254,
      }),
    ],
    [
      'neighbour 10.0.0.5 dev qr-1 lladdr fa:16:3e:00:00:05 permanent',
      rows.neighbour({ ns, dev: 'qr-1', ip: '10.0.0.5', family: 4, mac: 'fa:16:3e:00:00:05' }),
    ],
    [
      'proxy neighbour 203.0.113.7 dev fg-1',
      rows.neighbour({ ns, dev: 'fg-1', ip: '203.0.113.7', family: 4, proxy: true }),
    ],
    ['sysctl net.ipv4.ip_forward = 1', rows.sysctl({ ns, name: 'net/ipv4/ip_forward', value: '1' })],
    [
      'sysctl net.ipv4.conf.eth0/100.forwarding = 1',
      rows.sysctl({ ns, name: 'net/ipv4/conf/eth0.100/forwarding', value: '1' }),
    ],
    [
      'nftables table inet viaduct (1 chain, 0 sets)',
      rows.nftTable({ ns, family: 'inet', name: 'viaduct', chains: [{ name: 'snat', rules: [] }], sets: [] }),
    ],
    [
      'nftables inet viaduct floating element 203.0.113.7 → 10.0.0.5',
      rows.nftElement({
        ns,
        family: 'inet',
        table: 'viaduct',
        set: 'floating',
        element: '203.0.113.7',
        value: '10.0.0.5',
      }),
    ],
    [
      'file /var/lib/viaduct/hosts (3 characters, mode 0644)',
      rows.file({ ns: '', path: '/var/lib/viaduct/hosts', content: 'abc' }),
    ],
    [
      'process dnsmasq of n1',
      rows.daemon({ ns, service: 'dnsmasq', id: 'n1', argv: ['dnsmasq'], pidFile: '/p' }),
    ],
  ];
  test.each(cases)('%s', (text, row) => {
    expect(describeRow(row)).toBe(text);
  });
});

describe('a change reads as', () => {
  test('the values that differ', () => {
    const want = rows.link({ ns, name: dev, type: 'veth', mtu: 1450 });
    const have = rows.link({ ns, name: dev, type: 'veth', mtu: 1500, up: false, mac: 'fa:16:3e:00:00:01' });
    expect(describeChange(have, want).sort()).toEqual([
      'mtu 1500, should be 1450',
      'up false, should be true',
    ]);
  });

  test('the lines of a file that differ', () => {
    const file = (content: string) => rows.file({ ns: '', path: '/f', content });
    expect(describeChange(file('a\nb\nx\n'), file('a\nb\nc\n'))).toEqual(['- c', '+ x']);
    expect(describeChange(file('b\na\n'), file('a\nb\n'))).toEqual(['the same lines in another order']);
  });

  test('the rules of a table that differ, with their chain', () => {
    const table = (rules: string[]) =>
      rows.nftTable({ ns, family: 'inet', name: 'viaduct', chains: [{ name: 'snat', rules }], sets: [] });
    expect(describeChange(table(['accept']), table(['drop', 'accept']))).toEqual(['- chain snat: drop']);
  });

  test('nothing, when only the manner of changing differs', () => {
    const address = (announce: boolean) =>
      rows.address({ ns, dev, ip: via, prefix: 32, family: 4, announce });
    expect(describeChange(address(false), address(true))).toEqual([]);
  });
});
