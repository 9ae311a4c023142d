import { describe, expect, test } from 'vitest';
import { type AnnouncedSubnet, advertisementOf } from '../../../lib/announcement/advertisement.ts';

const LINK = { device: 'qr-1', mtu: 1450, routes: [], defaultRouter: true };
const subnet = (
  cidr: string,
  mode: AnnouncedSubnet['ipv6_ra_mode'],
  dns: string[] = [],
): AnnouncedSubnet => ({
  cidr,
  ipv6_ra_mode: mode,
  dns_nameservers: dns,
});

describe('an advertisement', () => {
  test.each([
    ['slaac', { managed: false, otherConfig: false, prefixes: [{ prefix: 'fd00::/64', autonomous: true }] }],
    [
      'dhcpv6-stateless',
      { managed: false, otherConfig: true, prefixes: [{ prefix: 'fd00::/64', autonomous: true }] },
    ],
    [
      'dhcpv6-stateful',
      { managed: true, otherConfig: false, prefixes: [{ prefix: 'fd00::/64', autonomous: false }] },
    ],
    [null, { managed: false, otherConfig: false, prefixes: [] }],
  ] as const)('of mode %s has its flags and prefix', (mode, wanted) => {
    expect(advertisementOf(LINK, [subnet('fd00::/64', mode)])).toMatchObject(wanted);
  });

  test('of several modes has the flags of all and the prefix of each', () => {
    const all = [subnet('fd00:1::/64', 'dhcpv6-stateful'), subnet('fd00:2::/64', 'dhcpv6-stateless')];
    expect(advertisementOf(LINK, all)).toMatchObject({
      managed: true,
      otherConfig: true,
      prefixes: [
        { prefix: 'fd00:1::/64', autonomous: false },
        { prefix: 'fd00:2::/64', autonomous: true },
      ],
    });
  });

  test('names at most three servers, of slaac subnets, in order, each once and only IPv6', () => {
    const servers = (...subnets: AnnouncedSubnet[]) => advertisementOf(LINK, subnets).nameServers;
    const many = ['192.0.2.53', 'fd00::1', 'fd00::2'];
    expect(
      servers(
        subnet('fd00:1::/64', 'slaac', many),
        subnet('fd00:2::/64', 'slaac', ['fd00::2', 'fd00::3', 'fd00::4']),
      ),
    ).toEqual(['fd00::1', 'fd00::2', 'fd00::3']);
    expect(servers(subnet('fd00:1::/64', 'dhcpv6-stateless', many))).toEqual([]);
    expect(servers(subnet('fd00:1::/64', 'slaac', ['::']))).toEqual([]);
  });

  test('tells no MTU that is unknown or too small for IPv6', () => {
    for (const mtu of [null, undefined, 0, 1279])
      expect(advertisementOf({ ...LINK, mtu }, []).mtu).toBeUndefined();
    expect(advertisementOf({ ...LINK, mtu: 1280 }, []).mtu).toBe(1280);
  });

  test('leaves out a prefix that is not delegated yet', () => {
    expect(advertisementOf(LINK, [subnet('::/64', 'slaac', ['fd00::1'])])).toMatchObject({
      prefixes: [],
      nameServers: [],
    });
  });
});
