import { expect, test } from 'vitest';
import { address, netns, nftTable, type RowGroup, route, sysctl } from '../../../lib/namespace/rows.ts';
import { withoutDevices } from '../../../lib/wiring/bare.ts';

const ns = 'qrouter-x';
const kept: RowGroup = [
  netns(ns),
  sysctl({ ns, name: 'net/ipv4/ip_forward', value: '1' }),
  sysctl({ ns, name: 'net/ipv4/conf/all/arp_ignore', value: '1' }),
  nftTable({ ns, family: 'inet', name: 'viaduct', chains: [], sets: [] }),
];
const group: RowGroup = [
  ...kept,
  address({ ns, dev: 'qr-1', ip: '10.0.0.1', prefix: 24, family: 4 }),
  route({ ns, family: 4, destination: '0.0.0.0/0', nexthops: [{ via: '10.0.0.9', weight: 1 }] }),
  sysctl({ ns, name: 'net/ipv6/conf/qg-1/forwarding', value: '1' }),
];

test('without devices there are no addresses and routes; namespace, ruleset and settings stay', () => {
  expect(withoutDevices([group])).toEqual([kept]);
});

test('the same group gives the same array, so that nothing seems to have changed', () => {
  expect(withoutDevices([group])[0]).toBe(withoutDevices([group])[0]);
});
