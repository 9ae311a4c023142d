import { describe, expect, test } from 'vitest';
import { type Change, plan, stageOf } from '../../../lib/namespace/plan.ts';
import { inOrder } from '../../../lib/namespace/reconciler.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-1';
const dev = 'qr-1';
const table = rows.nftTable({ ns, family: 'inet', name: 'viaduct', chains: [], sets: [] });
const every: rows.Row[] = [
  rows.netns(ns),
  rows.sysctl({ ns, name: 'net/ipv4/ip_forward', value: '1' }),
  table,
  rows.nftElement({ ns, family: 'inet', table: 'viaduct', set: 'm', element: '10.0.0.1' }),
  rows.link({ ns: '', name: 'brq1', type: 'bridge' }),
  rows.link({ ns, name: dev, type: 'veth', peer: { ns: '', name: 'tap1' } }),
  rows.link({ ns: '', name: 'tap1', type: 'veth', master: 'brq1' }),
  rows.sysctl({ ns, name: `net/ipv6/conf/${dev}/accept_ra`, value: '0' }),
  rows.address({ ns, dev, ip: '10.0.0.1', prefix: 24, family: 4 }),
  rows.neighbour({ ns, dev, ip: '10.0.0.9', family: 4, mac: 'fa:16:3e:00:00:01' }),
  rows.route({ ns, family: 4, destination: '192.0.2.1/32', nexthops: [{ dev, weight: 1 }] }),
  rows.route({ ns, family: 4, destination: '0.0.0.0/0', nexthops: [{ via: '192.0.2.1', weight: 1 }] }),
  rows.rule({ ns, family: 4, priority: 40_000, table: 16 }),
  rows.file({ ns, path: '/f', content: '' }),
  rows.daemon({ ns, service: 'dnsmasq', id: 'n', argv: ['n'], pidFile: '/p' }),
];
const missing = (row: rows.Row): Change => ({ key: row.key, desired: row, reason: 'missing' });
const unwanted = (row: rows.Row): Change => ({ key: row.key, actual: row as never, reason: 'not wanted' });
const names = (changes: readonly Change[]) =>
  plan(changes).map((step) => `${step.action} ${stageOf(step.row as rows.Row)}`);

describe('a plan', () => {
  test('of no difference is empty', () => {
    expect(plan([])).toEqual([]);
  });

  test('creates along dependencies, whatever the order of the changes', () => {
    const expected = every.map((row) => row.key);
    expect(plan(every.map(missing)).map((step) => step.row.key)).toEqual(expected);
    expect(plan([...every].reverse().map(missing)).map((step) => step.row.key)).toEqual(expected);
    expect(inOrder([...every].reverse()).map((row) => row.key)).toEqual(expected);
  });

  test('translates before it answers: nftables stand before addresses', () => {
    const order = names(every.map(missing));
    expect(order.indexOf('create nft-element')).toBeLessThan(order.indexOf('create address'));
  });

  test('removes in the opposite order, after all that is added', () => {
    const route = every.find((row) => row.kind === 'route')!;
    const kept = every.filter((row) => row.kind !== 'netns');
    const steps = plan([...kept.map(unwanted), missing({ ...route, key: 'other' })]);
    expect(steps[0]).toMatchObject({ action: 'create', row: { key: 'other' } });
    expect(steps.slice(1).map((step) => step.row.key)).toEqual(kept.map((row) => row.key).reverse());
  });

  test('does not remove one by one what goes with its namespace', () => {
    expect(names(every.map(unwanted))).toEqual([
      'remove daemon',
      'remove file',
      'remove link end',
      'remove link',
      'remove bridge',
      'remove netns',
    ]);
  });

  test('keeps the value a change starts from', () => {
    const was = rows.link({ ns, name: dev, type: 'veth', mtu: 1400 });
    const row = rows.link({ ns, name: dev, type: 'veth', mtu: 1500 });
    expect(plan([{ key: row.key, desired: row, actual: was, reason: 'mtu' }])).toEqual([
      { action: 'change', row, was, reason: 'mtu' },
    ]);
  });
});

describe('a sysctl', () => {
  const stage = (name: string) => stageOf(rows.sysctl({ ns, name, value: '1' }));

  test.each([
    'net/ipv4/ip_forward',
    'net/ipv4/conf/all/arp_ignore',
    'net/ipv6/conf/default/accept_ra',
    'net/ipv6/conf/lo/disable_ipv6',
    'net/netfilter/nf_conntrack_tcp_be_liberal',
  ])('%s needs no device', (name) => {
    expect(stage(name)).toBe('host sysctl');
  });

  test.each(['net/ipv4/conf/qr-1/proxy_arp', 'net/ipv6/conf/eth0.5/forwarding'])(
    '%s comes after its device',
    (name) => {
      expect(stage(name)).toBe('device sysctl');
    },
  );
});
