import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addAddress, readAddresses } from '../../lib/kernel/address.ts';
import { changeLink, createLink, deleteLink, readLinks } from '../../lib/kernel/link.ts';
import { readNeighbours, replaceNeighbour } from '../../lib/kernel/neighbour.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../lib/kernel/netlink.ts';
import {
  createNamespace,
  deleteNamespace,
  inNamespace,
  listNamespaces,
  namespaceExists,
  withNamespaceFd,
} from '../../lib/kernel/netns.ts';
import { addRule, deleteRoute, readRoutes, readRules, replaceRoute } from '../../lib/kernel/route.ts';

const A = 'vdt-rtnl-a';
const B = 'vdt-rtnl-b';
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

describe('rtnetlink in real namespaces', () => {
  let a: NetlinkSocket;

  beforeEach(() => {
    for (const ns of [A, B]) if (!namespaceExists(ns)) createNamespace(ns);
    a = new NetlinkSocket(NETLINK_ROUTE, A);
    const outcome = withNamespaceFd(B, (namespaceFd) =>
      a.transact([
        changeLink('lo', { up: true }),
        createLink({
          name: 'eth0',
          type: 'veth',
          mac: 'fa:16:3e:00:00:01',
          mtu: 1400,
          up: true,
          peer: { name: 'eth1', mtu: 1400, namespaceFd },
        }),
      ]),
    );
    expect(outcome).toEqual([undefined, undefined]);
  });

  afterEach(() => {
    a.close();
    for (const ns of [A, B]) deleteNamespace(ns);
    expect(listNamespaces().filter((name) => name.startsWith('vdt-rtnl'))).toEqual([]);
  });

  const index = (name: string): number => readLinks(a).find((link) => link.name === name)!.index;

  test('one message makes both ends of a veth pair, and ip sees what we read', () => {
    const eth0 = readLinks(a).find((link) => link.name === 'eth0');
    expect(eth0).toMatchObject({ type: 'veth', mac: 'fa:16:3e:00:00:01', mtu: 1400, up: true });
    const [seen] = JSON.parse(ip('-n', A, '-j', 'link', 'show', 'eth0'));
    expect(seen).toMatchObject({ address: 'fa:16:3e:00:00:01', mtu: 1400 });
    expect(JSON.parse(ip('-n', B, '-j', 'link', 'show', 'eth1'))[0].mtu).toBe(1400);
  });

  test('addresses, routes (plain, on-link, multipath), rules and neighbours read back as they were written', () => {
    const dev = index('eth0');
    const outcome = a.transact([
      addAddress(dev, { ip: '10.0.0.1', prefix: 24, scope: 'global', broadcast: true, nodad: false }),
      addAddress(dev, { ip: '2001:db8::1', prefix: 64, scope: 'global', broadcast: false, nodad: true }),
      replaceRoute({
        family: 4,
        table: 254,
        destination: '0.0.0.0/0',
        metric: 0,
        nexthops: [{ via: '192.0.2.1', index: dev, weight: 1 }],
        scope: 'global',
        onlink: true,
        protocol: 4,
      }),
      replaceRoute({
        family: 4,
        table: 2852012033,
        destination: '198.51.100.0/24',
        metric: 7,
        nexthops: [
          { via: '10.0.0.2', index: dev, weight: 1 },
          { via: '10.0.0.3', index: dev, weight: 2 },
        ],
        scope: 'global',
        onlink: false,
        protocol: 4,
      }),
      replaceRoute({
        family: 6,
        table: 254,
        destination: '::/0',
        metric: 0,
        nexthops: [{ via: '2001:db8::ff', index: dev, weight: 1 }],
        scope: 'global',
        onlink: false,
        protocol: 4,
      }),
      addRule({ family: 4, priority: 32768, from: '10.0.0.5/32', table: 16 }),
      addRule({ family: 4, priority: 5, iif: 'eth0', fwmark: { value: 1, mask: 0xffff }, table: 2852012033 }),
      replaceNeighbour({ index: dev, ip: '10.0.0.9', mac: 'fa:16:3e:00:00:09', proxy: false }),
      replaceNeighbour({ index: dev, ip: '10.0.0.10', proxy: true }),
    ]);
    expect(outcome.every((refusal) => refusal === undefined)).toBe(true);
    expect(readAddresses(a).filter((found) => found.index === dev && found.scope === 'global')).toEqual([
      expect.objectContaining({ ip: '10.0.0.1', prefix: 24, broadcast: true }),
      expect.objectContaining({ ip: '2001:db8::1', prefix: 64, nodad: true, permanent: true }),
    ]);
    const ours = readRoutes(a)
      .filter((route) => route.protocol === 4)
      .sort((x, y) => x.destination.localeCompare(y.destination));
    expect(ours).toEqual([
      expect.objectContaining({ family: 6, destination: '::/0', metric: 0 }),
      expect.objectContaining({ destination: '0.0.0.0/0', onlink: true, table: 254 }),
      expect.objectContaining({
        destination: '198.51.100.0/24',
        table: 2852012033,
        metric: 7,
        nexthops: [
          { via: '10.0.0.2', index: dev, weight: 1 },
          { via: '10.0.0.3', index: dev, weight: 2 },
        ],
      }),
    ]);
    expect(ip('-n', A, 'rule')).toContain('32768:\tfrom 10.0.0.5 lookup 16');
    expect(readRules(a)).toContainEqual(
      expect.objectContaining({ priority: 5, iif: 'eth0', fwmark: { value: 1, mask: 0xffff } }),
    );
    expect(readNeighbours(a)).toEqual([
      { index: dev, ip: '10.0.0.9', mac: 'fa:16:3e:00:00:09', proxy: false },
      { index: dev, ip: '10.0.0.10', proxy: true, mac: undefined },
    ]);
    expect(a.transact([deleteRoute(ours[1]!)])).toEqual([undefined]);
    expect(readRoutes(a).some((route) => route.destination === '0.0.0.0/0')).toBe(false);
  });

  test("a refused request comes with the kernel's own words and does not stop the next", () => {
    const dev = index('eth0');
    const bad = replaceRoute({
      family: 4,
      table: 254,
      destination: '0.0.0.0/0',
      metric: 0,
      nexthops: [{ via: '203.0.113.1', index: dev, weight: 1 }],
      scope: 'global',
      onlink: false,
      protocol: 4,
    });
    const outcome = a.transact([bad, createLink({ name: 'br0', type: 'bridge', up: true })]);
    expect(outcome).toEqual([{ errno: 101, words: 'Nexthop has invalid gateway' }, undefined]);
    expect(a.transact([deleteLink('nothere')])[0]).toMatchObject({ errno: 19 });
  });

  test('a batch longer than one send keeps the order of answers', () => {
    const dev = index('eth0');
    const many = Array.from({ length: 1000 }, (_, i) =>
      addAddress(dev, {
        ip: `10.1.${i >> 8}.${i & 255}`,
        prefix: 32,
        scope: 'global',
        broadcast: false,
        nodad: false,
      }),
    );
    many.splice(500, 0, deleteLink('nothere'));
    const outcome = a.transact(many);
    expect(outcome).toHaveLength(1001);
    expect(outcome.flatMap((refusal, i) => (refusal ? [i] : []))).toEqual([500]);
    expect(readAddresses(a).filter((found) => found.index === dev && found.prefix === 32)).toHaveLength(1000);
  });

  test('inNamespace comes back, also from a throwing function', () => {
    const outside = ip('-br', 'link');
    expect(() =>
      inNamespace(A, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(ip('-br', 'link')).toBe(outside);
    expect(inNamespace(A, () => ip('-br', 'link'))).toContain('eth0');
  });
});
