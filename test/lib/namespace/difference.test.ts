import { describe, expect, test } from 'vitest';
import type { ActualNftTable } from '../../../lib/namespace/actual.ts';
import { difference } from '../../../lib/namespace/difference.ts';
import { ruleMark } from '../../../lib/namespace/nft-text.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-1';
const dev = 'qr-1';

describe('a link', () => {
  const is = rows.link({
    ns,
    name: dev,
    type: 'veth',
    mac: 'fa:16:3e:00:00:01',
    mtu: 1500,
    master: 'brq1',
    addrGenMode: 'none',
  });
  const wanted = (part: Partial<rows.LinkRow>) => rows.link({ ns, name: dev, type: 'veth', ...part });

  test.each<[string | undefined, Partial<rows.LinkRow>]>([
    [undefined, {}],
    [undefined, { peer: { ns: '', name: 'tap1' } }],
    [undefined, { addrGenMode: 'eui64' }],
    [undefined, { type: 'physical' }],
    ['type is veth, wanted bridge', { type: 'bridge' }],
    ['MAC is fa:16:3e:00:00:01, wanted fa:16:3e:00:00:02', { mac: 'fa:16:3e:00:00:02' }],
    ['mtu is 1500, wanted 1400', { mtu: 1400 }],
    ['master is brq1, wanted brq2', { master: 'brq2' }],
    ['state is up, wanted down', { up: false }],
  ])('%s', (text, part) => {
    expect(difference(is, wanted(part))).toBe(text);
  });

  test('without a bridge is not in the wanted one', () => {
    const alone = rows.link({ ns, name: dev, type: 'veth' });
    expect(difference(alone, wanted({ master: 'brq1' }))).toBe('master is none, wanted brq1');
  });

  test('makes no IPv6 addresses if it has the mode, or no IPv6 at all', () => {
    const made = rows.link({ ns, name: dev, type: 'veth', addrGenMode: 'eui64' });
    expect(difference(made, wanted({ addrGenMode: 'none' }))).toBe('addrgenmode is eui64, wanted none');
    const without = rows.link({ ns, name: dev, type: 'veth' });
    expect(difference(without, wanted({ addrGenMode: 'none' }))).toBeUndefined();
  });

  test('that is the loopback device only has a state', () => {
    const lo = rows.link({ ns, name: 'lo', type: 'loopback', mtu: 65_536, up: false });
    expect(difference(lo, rows.link({ ns, name: 'lo', type: 'loopback' }))).toBe('state is down, wanted up');
  });
});

describe('an address', () => {
  const input = { ns, dev, ip: '10.0.0.1', prefix: 24, family: 4 } as const;

  test('differs in its scope', () => {
    expect(difference(rows.address({ ...input, scope: 'link' }), rows.address(input))).toBe(
      'scope is link, wanted global',
    );
  });

  test('does not differ in how it was added or what happens with it later', () => {
    const wanted = rows.address({ ...input, announce: true, flushConntrack: true, broadcast: true });
    expect(difference(rows.address(input), wanted)).toBeUndefined();
  });
});

describe('a route', () => {
  const input = { ns, family: 4, destination: '192.0.2.0/24' } as const;
  const via = (...hops: string[]) =>
    rows.route({ ...input, nexthops: hops.map((hop) => ({ via: hop, dev, weight: 1 })) });
  const wants = (part: Partial<rows.RouteRow>) => ({ ...via('10.0.0.1'), ...part });

  test.each<[string, string | undefined, rows.RouteRow]>([
    ['whose device is left open', undefined, wants({ nexthops: [{ via: '10.0.0.1', weight: 1 }] })],
    ['by another way', 'nexthop 10.0.0.2 dev qr-1 is missing', via('10.0.0.2')],
    [
      'on another device',
      'nexthop 10.0.0.1 dev qr-2 is missing',
      wants({ nexthops: [{ via: '10.0.0.1', dev: 'qr-2', weight: 1 }] }),
    ],
    ['by two ways', 'has 1 nexthops, wanted 2', via('10.0.0.1', '10.0.0.2')],
    [
      'with another weight',
      'nexthop 10.0.0.1 is missing',
      wants({ nexthops: [{ via: '10.0.0.1', weight: 5 }] }),
    ],
    ['of another protocol', 'protocol is 4, wanted 3', wants({ protocol: 3 })],
    ['with a source address', 'source is none, wanted 10.0.0.7', wants({ source: '10.0.0.7' })],
    ['of link scope', 'scope is global, wanted link', wants({ scope: 'link' })],
    ['that may fail', undefined, wants({ tolerant: true })],
  ])('%s: %s', (_title, text, wanted) => {
    expect(difference(via('10.0.0.1'), wanted)).toBe(text);
  });

  test('of several next hops has no order', () => {
    expect(difference(via('10.0.0.1', '10.0.0.2'), via('10.0.0.2', '10.0.0.1'))).toBeUndefined();
  });

  test('of IPv6 has no scope', () => {
    const six = rows.route({ ns, family: 6, destination: 'fd00::/64', nexthops: [{ dev, weight: 1 }] });
    expect(difference(six, { ...six, scope: 'link' })).toBeUndefined();
  });
});

describe('rules, neighbours, sysctls, elements, files and daemons', () => {
  const daemon = (...argv: string[]) => rows.daemon({ ns, service: 'd', id: 'n', argv, pidFile: '/p' });
  const file = (content: string, mode?: number) =>
    rows.file({ ns, path: '/f', content, mode: mode ?? 0o644 });
  const neighbour = (mac: string) => rows.neighbour({ ns, dev, ip: '10.0.0.9', family: 4, mac });
  const element = (value?: string) =>
    rows.nftElement({ ns, family: 'inet', table: 't', set: 's', element: '10.0.0.1', value });
  const rule = (table: number) => rows.rule({ ns, family: 4, priority: 1, table });
  const sysctl = (value: string) => rows.sysctl({ ns, name: 'net/ipv4/ip_forward', value });

  test.each<[string | undefined, rows.Row, rows.Row]>([
    [undefined, rows.netns(ns), rows.netns(ns)],
    ['table is 1, wanted 2', rule(1), rule(2)],
    [
      'MAC is fa:16:3e:00:00:01, wanted fa:16:3e:00:00:02',
      neighbour('fa:16:3e:00:00:01'),
      neighbour('fa:16:3e:00:00:02'),
    ],
    ['value is 0, wanted 1', sysctl('0'), sysctl('1')],
    ['value is 10.1.0.1, wanted 10.1.0.2', element('10.1.0.1'), element('10.1.0.2')],
    [undefined, element(), element()],
    ['content differs', file('a'), file('b')],
    ['mode is 644, wanted 600', file('a'), file('a', 0o600)],
    [undefined, daemon('d', '-n'), daemon('d', '-n')],
    ['runs with other arguments: -x', daemon('d', '-x'), daemon('d', '-n')],
    ['runs with other arguments: fewer', daemon('d'), daemon('d', '-n')],
    [undefined, daemon('/usr/sbin/d', '-n'), daemon('d', '-n')],
    [undefined, daemon('d', '-n', '-u', 'neutron'), { ...daemon('d', '-n'), indifferent: ['-u'] }],
    [
      'runs with other arguments: -m',
      daemon('d', '-n', '-u', 'neutron', '-m'),
      { ...daemon('d', '-n'), indifferent: ['-u'] },
    ],
  ])('%s', (text, is, wanted) => {
    expect(difference(is as never, wanted)).toBe(text);
  });
});

describe('an nftables table in the kernel', () => {
  const hook = { type: 'nat', hook: 'postrouting', priority: 100 } as const;
  const wanted = rows.nftTable({
    ns,
    family: 'inet',
    name: 'viaduct',
    chains: [{ name: 'post', hook, rules: ['accept', 'drop'] }],
    sets: [{ name: 'm', type: 'ipv4_addr : ipv4_addr' }],
  });
  type State = ActualNftTable['state'];
  type Chain = State['chains'][number];
  const chain: Chain = { name: 'post', hook, accepts: true, rules: ['accept', 'drop'].map(ruleMark) };
  const set = { name: 'm', keyLength: 4, dataLength: 4 };
  const found = (chains: readonly Chain[], sets: State['sets'] = [set]): ActualNftTable => ({
    kind: 'nft-table',
    key: wanted.key,
    ns,
    family: 'inet',
    name: 'viaduct',
    state: { chains, sets, elements: new Map() },
  });

  test('agrees by marks of its rules', () => {
    expect(difference(found([chain]), wanted)).toBeUndefined();
  });

  test.each<[string, ActualNftTable]>([
    ['chain post is missing', found([])],
    ['hook of post is input, wanted postrouting', found([{ ...chain, hook: { ...hook, hook: 'input' } }])],
    ['type of post is filter, wanted nat', found([{ ...chain, hook: { ...hook, type: 'filter' } }])],
    ['priority of post is 0, wanted 100', found([{ ...chain, hook: { ...hook, priority: 0 } }])],
    ['policy of post is drop, wanted accept', found([{ ...chain, accepts: false }])],
    ['chain post: rule missing: drop', found([{ ...chain, rules: [ruleMark('accept')] }])],
    [
      'chain post: foreign rules or another order',
      found([{ ...chain, rules: ['drop', 'accept'].map(ruleMark) }]),
    ],
    ['chain post: foreign rules or another order', found([{ ...chain, rules: [...chain.rules, ''] }])],
    ['foreign chains in it', found([chain, { ...chain, name: 'other' }])],
    ['set m is missing', found([chain], [])],
    ['set m is of another type', found([chain], [{ ...set, dataLength: 0 }])],
  ])('%s', (text, is) => {
    expect(difference(is, wanted)).toBe(text);
  });

  test('may not hook in where a plain chain is wanted', () => {
    const plain = { ...wanted, chains: [{ name: 'post', rules: ['accept', 'drop'] }] };
    expect(difference(found([chain]), plain)).toBe('hook of post is postrouting, wanted none');
    expect(difference(found([{ ...chain, hook: undefined }]), plain)).toBeUndefined();
  });
});
