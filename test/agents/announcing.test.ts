import { describe, expect, test } from 'vitest';
import { isolatedAdvertisements, routedPrefixes } from '../../agents/dhcp/compile/announcement.ts';
import { dhcpOptions } from '../../agents/dhcp/options.ts';
import { advertisementsOf } from '../../agents/l3/compile/announcement.ts';
import type { Advertisement } from '../../lib/announcement/advertisement.ts';
import { parseRouter } from '../../lib/model/router.ts';
import {
  dhcpPort,
  network,
  portPayload,
  subnetId,
  subnetPayload,
  type Wish,
} from './dhcp/compile/payload.ts';
import * as l3 from './l3/compile/payload.ts';

/** Who announces what for a subnet, in every combination of its two modes (contract dhcp.md §12). */

type Mode = 'slaac' | 'dhcpv6-stateless' | 'dhcpv6-stateful' | null;
const MODES: readonly Mode[] = [null, 'slaac', 'dhcpv6-stateless', 'dhcpv6-stateful'];
const CIDR = '2001:db8:1::/64';
const ON = dhcpOptions({ enable_isolated_ra: true });

const routerOf = (ra: Mode, address: Mode) =>
  parseRouter(
    l3.routerPayload({
      _interfaces: [
        {
          ...l3.portPayload({ ips: ['2001:db8:1::1/64'], subnets: [] }),
          subnets: [{ ...l3.subnetPayload({ cidr: CIDR }), ipv6_ra_mode: ra, ipv6_address_mode: address }],
        },
      ],
    }),
  );

const v6 = (ra: Mode, address: Mode, wish: Wish = {}) =>
  subnetPayload(1, {
    ip_version: 6,
    cidr: CIDR,
    gateway_ip: '2001:db8:1::1',
    ipv6_ra_mode: ra,
    ipv6_address_mode: address,
    ...wish,
  });
const own = dhcpPort(99, [[1, '2001:db8:1::2']]);
const routerPort = (owner: string) =>
  portPayload(50, [[1, '2001:db8:1::1']], { device_owner: owner, device_id: 'r' });
const isolated = (subnets: readonly unknown[], ports: readonly unknown[] = [own], options = ON) =>
  isolatedAdvertisements(network(subnets, ports), { device: 'ns-1', mac: 'fa:16:3e:00:00:63' }, options);

/** 'A M O' as far as set, '-' without prefix, 'nothing' without advertisement. */
function said(all: readonly Advertisement[]): string {
  const [one] = all;
  if (!one) return 'nothing';
  const prefix = one.prefixes.map(({ autonomous }) => (autonomous ? 'prefix A' : 'prefix')).join(', ');
  const flags = [one.managed && 'M', one.otherConfig && 'O'].filter(Boolean);
  return [prefix || 'no prefix', ...flags, one.defaultRouter ? 'router' : 'no router'].join(' ');
}

/** By ipv6_ra_mode; ipv6_address_mode never matters to who announces. */
const TABLE = new Map<Mode, { router: string; withoutRouter: string }>([
  [null, { router: 'no prefix router', withoutRouter: 'nothing' }],
  ['slaac', { router: 'prefix A router', withoutRouter: 'prefix A no router' }],
  ['dhcpv6-stateless', { router: 'prefix A O router', withoutRouter: 'prefix A O no router' }],
  ['dhcpv6-stateful', { router: 'prefix M router', withoutRouter: 'prefix M no router' }],
]);

describe.each(MODES.flatMap((ra) => MODES.map((address) => [ra, address] as const)))(
  'ra mode %s, address mode %s',
  (ra, address) => {
    const wanted = TABLE.get(ra)!;

    test(`a router announces: ${wanted.router}`, () => {
      expect(said(advertisementsOf(routerOf(ra, address)))).toBe(wanted.router);
    });

    test(`without a router the DHCP namespace announces: ${wanted.withoutRouter}`, () => {
      expect(said(isolated([v6(ra, address)]))).toBe(wanted.withoutRouter);
    });

    test('with a router it announces nothing', () => {
      expect(isolated([v6(ra, address)], [own, routerPort('network:router_interface')])).toEqual([]);
    });

    test('against Neutron it announces nothing unless told to', () => {
      expect(isolated([v6(ra, address)], [own], dhcpOptions())).toEqual([]);
    });
  },
);

describe('the DHCP namespace', () => {
  test.each([
    'network:router_interface',
    'network:router_interface_distributed',
    'network:ha_router_replicated_interface',
  ])('leaves a subnet to a router of kind %s', (owner) =>
    expect(isolated([v6('slaac', 'slaac')], [own, routerPort(owner)])).toEqual([]),
  );

  test('announces all subnets of the network, or none once a router has one', () => {
    const second = {
      ...v6('dhcpv6-stateful', 'dhcpv6-stateful'),
      id: subnetId(2),
      cidr: '2001:db8:2::/64',
    };
    const all = [v6('slaac', 'slaac'), second];
    expect(said(isolated(all))).toBe('prefix A, prefix M no router');
    expect(isolated(all, [own, routerPort('network:router_interface')])).toEqual([]);
  });

  test('goes on beside a router that has IPv4 only', () => {
    const v4 = subnetPayload(2);
    const router = portPayload(50, [[2, '10.0.2.1']], { device_owner: 'network:router_interface' });
    expect(said(isolated([v6('slaac', 'slaac'), v4], [own, router]))).toBe('prefix A no router');
  });

  test('announces nothing of a subnet without DHCP, nor of IPv4', () => {
    expect(isolated([v6('slaac', 'slaac', { enable_dhcp: false }), { ...subnetPayload(2) }])).toEqual([]);
    expect(isolated([subnetPayload(1)])).toEqual([]);
  });

  test('tells MTU and name servers, and no way out', () => {
    const [one] = isolated([v6('slaac', 'slaac', { dns_nameservers: ['2001:db8::53'] })]);
    expect(one).toMatchObject({
      mtu: 1450,
      nameServers: ['2001:db8::53'],
      routes: [],
      defaultRouter: false,
      source: 'fe80::f816:3eff:fe00:63',
    });
  });

  test('does not withdraw what a router announces from now on', () => {
    const routed = network([v6('slaac', 'slaac')], [own, routerPort('network:router_interface')]);
    expect(routedPrefixes(routed)).toEqual([CIDR]);
    expect(routedPrefixes(network([v6('slaac', 'slaac')], [own]))).toEqual([]);
  });

  test('does not announce a prefix that was delegated to a router', () => {
    expect(said(isolated([v6('slaac', 'slaac', { subnetpool_id: 'prefix_delegation' })]))).toBe('nothing');
  });
});

describe('a router', () => {
  const port = (wish: Record<string, unknown>) => ({
    ...l3.portPayload({ ips: ['2001:db8:1::1/64'], subnets: [] }),
    subnets: [{ ...l3.subnetPayload({ cidr: CIDR }), ipv6_ra_mode: 'slaac' }],
    ...wish,
  });
  const of = (...ports: unknown[]) => advertisementsOf(parseRouter(l3.routerPayload({ _interfaces: ports })));

  test('announces nothing on ports with IPv4 only, and on those that are down', () => {
    expect(of(l3.internalPayload())).toEqual([]);
    expect(of(port({ admin_state_up: false }))).toEqual([]);
  });

  test('announces on each port what its subnets are', () => {
    const [first, second] = [port({}), port({ mtu: 1400 })];
    expect(of(first, l3.internalPayload(), second).map(({ device, mtu }) => [device, mtu])).toEqual([
      [`qr-${first.id.slice(0, 11)}`, 1450],
      [`qr-${second.id.slice(0, 11)}`, 1400],
    ]);
  });
});
