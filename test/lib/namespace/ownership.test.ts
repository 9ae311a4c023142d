import { describe, expect, test } from 'vitest';
import type { ActualRow } from '../../../lib/namespace/actual.ts';
import { isManaged, isOurDevice, isStale } from '../../../lib/namespace/ownership.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-1';
const dev = 'qr-11111111-11';
const address = (part: Partial<rows.AddressRow> = {}) =>
  rows.address({ ns, dev, ip: '10.0.0.1', prefix: 24, family: 4, ...part });
const route = (part: Partial<rows.RouteRow> = {}) =>
  rows.route({ ns, family: 4, destination: '192.0.2.0/24', nexthops: [], ...part });
const rule = (priority: number) => rows.rule({ ns, family: 4, priority, table: 16 });
const neighbour = (device: string) => rows.neighbour({ ns, dev: device, ip: '10.0.0.9', family: 4 });
const table = (family: 'inet' | 'ip', name: string): ActualRow => ({
  kind: 'nft-table',
  key: `${ns}|nft-table|${family} ${name}`,
  ns,
  family,
  name,
  state: { chains: [], sets: [], elements: new Map() },
});
const element = (family: 'inet' | 'ip', name: string) =>
  rows.nftElement({ ns, family, table: name, set: 's', element: '10.0.0.1' });

describe('found in a managed namespace and wanted by nobody, these go', () => {
  test.each<[string, ActualRow]>([
    ['a device with a prefix of ours', rows.link({ ns, name: dev, type: 'veth' })],
    ['an address on our device', address()],
    ['a static route', route()],
    ['a static route in another table', route({ table: 16 })],
    ["a rule behind the kernel's own", rule(32_768)],
    ['a neighbour on our device', neighbour(dev)],
    ['our nftables table', table('inet', 'viaduct')],
    ['an element in our table', element('inet', 'viaduct')],
  ])('%s', (_title, row) => {
    expect(isStale(row)).toBe(true);
  });
});

describe('these never go', () => {
  test.each<[string, ActualRow]>([
    ['the namespace itself', rows.netns(ns)],
    ['a device with another name', rows.link({ ns, name: 'eth0', type: 'veth' })],
    ['a device with our prefix and no id', rows.link({ ns, name: 'qr-lab', type: 'veth' })],
    ['a device of another type', rows.link({ ns, name: dev, type: 'physical' })],
    ['the loopback device', rows.link({ ns, name: 'lo', type: 'loopback' })],
    ['an address on another device', address({ dev: 'eth0' })],
    ["the kernel's link-local address", address({ ip: 'fe80::1', family: 6, scope: 'link' })],
    ['an address keepalived keeps', address({ keeper: 'keepalived' })],
    ["the kernel's own route", route({ protocol: 2 })],
    ['a route added by hand (protocol boot)', route({ protocol: 3 })],
    ['a route of a routing daemon', route({ protocol: 186 })],
    ['a route keepalived keeps', route({ keeper: 'keepalived' })],
    ["the kernel's rule for table local", rule(0)],
    ["the kernel's rule for table main", rule(32_766)],
    ["the kernel's rule for table default", rule(32_767)],
    ["a rule before the kernel's", rule(100)],
    ['a neighbour on another device', neighbour('eth0')],
    ['a sysctl', rows.sysctl({ ns, name: 'net/ipv4/ip_forward', value: '1' })],
    ['another table', table('inet', 'filter')],
    ['a table of our name in another family', table('ip', 'viaduct')],
    ['an element of another table', element('inet', 'filter')],
    ['a file', rows.file({ ns, path: '/etc/hosts', content: '' })],
    ['a process', rows.daemon({ ns, service: 'd', id: 'i', argv: [], pidFile: '/p' })],
  ])('%s', (_title, row) => {
    expect(isStale(row)).toBe(false);
  });

  test.each(['', 'qrouter', 'lab', 'vm-qrouter-1'])('anything in namespace "%s"', (name) => {
    expect(isManaged(name)).toBe(false);
    expect(isStale(rows.link({ ns: name, name: dev, type: 'veth' }))).toBe(false);
    expect(isStale({ ...route(), ns: name })).toBe(false);
  });
});

test.each(['qrouter-1', 'snat-1', 'fip-1', 'qdhcp-1'])('namespace %s is managed', (name) => {
  expect(isManaged(name)).toBe(true);
});

test.each(['qr', 'qg', 'ha', 'sg', 'fg', 'ns', 'tap'])('a device with prefix %s is ours', (prefix) => {
  expect(isOurDevice(`${prefix}${prefix === 'tap' ? '' : '-'}0a1b2c3d-4e`)).toBe(true);
});

test.each(['rfp', 'fpr'])('a device with prefix %s, named by the router, is ours', (prefix) => {
  expect(isOurDevice(`${prefix}-0a1b2c3d-4`)).toBe(true);
});
