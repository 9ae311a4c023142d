import { describe, expect, it } from 'vitest';
import { portsWithoutMtu } from '../../../../agents/l3/compile/ports.ts';
import { compileRouter, routerKind, UnsupportedRouterError } from '../../../../agents/l3/compile/router.ts';
import { type L3Options, l3Options } from '../../../../agents/l3/options.ts';
import { parseRouter } from '../../../../lib/model/router.ts';
import type {
  AddressRow,
  LinkRow,
  NftTableRow,
  RouteRow,
  RowGroup,
  SysctlRow,
} from '../../../../lib/namespace/rows.ts';
import { floatingIpPayload, gatewayPayload, internalPayload, portPayload, routerPayload } from './payload.ts';

const options = l3Options();
const compile = (payload: unknown, given: L3Options = options): RowGroup[] =>
  compileRouter({ router: parseRouter(payload), host: { name: 'net-1' }, options: given });

const links = (groups: RowGroup[]) =>
  groups.flat().filter((row): row is LinkRow => row.kind === 'link' && row.ns !== '');
const routesOf = (groups: RowGroup[]) => groups.flat().filter((row): row is RouteRow => row.kind === 'route');
const routeText = ({ destination, nexthops, scope, onlink }: RouteRow) =>
  [
    destination,
    ...nexthops.flatMap(({ via, dev }) =>
      [via ? `via ${via}` : [], dev ? `dev ${dev.slice(0, 3)}` : []].flat(),
    ),
    ...(scope === 'link' ? ['scope link'] : []),
    ...(onlink ? ['onlink'] : []),
  ].join(' ');
const routeTexts = (groups: RowGroup[]) => routesOf(groups).map(routeText);
const sysctlValue = (groups: RowGroup[], end: string) =>
  groups.flat().find((row): row is SysctlRow => row.kind === 'sysctl' && row.name.endsWith(end))?.value;
const table = (groups: RowGroup[]) =>
  groups.flat().find((row): row is NftTableRow => row.kind === 'nft-table')!;
const rulesOf = (groups: RowGroup[]) => table(groups).chains.flatMap(({ rules }) => rules);

const external = (wish: Partial<Parameters<typeof portPayload>[0]>) =>
  portPayload({ ips: ['203.0.113.2/24'], subnets: [], mtu: 1500, ...wish });

describe('which router is built', () => {
  const kind = (payload: Record<string, unknown>, agent_mode: L3Options['agent_mode'] = 'legacy') =>
    routerKind(parseRouter(routerPayload(payload)), l3Options({ agent_mode }));
  const haPort = portPayload({ ips: ['169.254.192.7/18'], subnets: [] });

  it('follows ha, distributed, the agent mode and the HA port', () => {
    expect(kind({})).toBe('centralized');
    expect(kind({ ha: true })).toBe('ha');
    expect(kind({ distributed: true })).toBe('dvr-local');
    expect(kind({ distributed: true }, 'dvr_snat')).toBe('dvr-edge');
    expect(kind({ distributed: true, ha: true }, 'dvr_snat')).toBe('dvr-edge');
    expect(kind({ distributed: true, ha: true, _ha_interface: haPort }, 'dvr_snat')).toBe('dvr-edge-ha');
    expect(kind({ distributed: true, ha: true, _ha_interface: haPort }, 'dvr')).toBe('dvr-local');
  });

  it('is refused with a sentence for kinds that can not be built yet', () => {
    const payload = routerPayload({ ha: true });
    expect(() => compile(payload)).toThrow(UnsupportedRouterError);
    expect(() => compile(payload)).toThrow(`router ${payload.id} is of kind "ha"`);
  });

  it('is nothing for an admin-down router', () => {
    expect(compile(routerPayload({ admin_state_up: false }))).toEqual([]);
  });

  it('is nothing for a router without gateway where those are not handled', () => {
    const payload = routerPayload({ gw_port: null });
    expect(compile(payload, l3Options({ handle_internal_only_routers: false }))).toEqual([]);
    expect(compile(payload)).not.toEqual([]);
  });
});

describe('addresses', () => {
  it('are for the host alone where the server says no length: further ones of a subnet', () => {
    const ips = ['203.0.113.2/24', '203.0.113.3', '2001:db8::3'];
    const rows = compile(routerPayload({ gw_port: external({ ips }) })).flat();
    const addresses = rows.filter(
      (row): row is AddressRow => row.kind === 'address' && row.dev.startsWith('qg-'),
    );
    expect(addresses.map(({ ip, prefix }) => `${ip}/${prefix}`)).toEqual([
      '203.0.113.2/24',
      '203.0.113.3/32',
      '2001:db8::3/128',
    ]);
  });
});

describe('internal ports', () => {
  it('have a device only while administratively up', () => {
    const down = { ...internalPayload(), admin_state_up: false };
    const groups = compile(routerPayload({ gw_port: null, _interfaces: [internalPayload(), down] }));
    expect(links(groups).map(({ name }) => name.slice(0, 3))).toEqual(['lo', 'qr-']);
  });

  it('without an MTU get 1500 and are named for a warning', () => {
    const port = portPayload({ ips: ['10.0.0.1/24'], subnets: [], mtu: null });
    const router = parseRouter(routerPayload({ gw_port: null, _interfaces: [port, internalPayload()] }));
    const groups = compileRouter({ router, host: { name: 'net-1' }, options });
    expect(links(groups).map(({ mtu }) => mtu)).toEqual([undefined, 1500, 1450]);
    expect(portsWithoutMtu(router).map(({ id }) => id)).toEqual([port.id]);
  });

  it('carry all their addresses', () => {
    const port = portPayload({ ips: ['fd00:1::1/64', 'fd00:2::1/64'], subnets: [] });
    const rows = compile(routerPayload({ gw_port: null, _interfaces: [port] })).flat();
    const addresses = rows.filter((row): row is AddressRow => row.kind === 'address');
    expect(addresses.map(({ ip, broadcast, announce }) => [ip, broadcast, announce])).toEqual([
      ['fd00:1::1', false, true],
      ['fd00:2::1', false, true],
    ]);
  });
});

describe('default routes', () => {
  it('go to the gateway of the last IPv4 subnet that has one', () => {
    const gw_port = external({
      ips: ['203.0.113.2/24', '198.51.100.2/24', '192.0.2.2/24'],
      subnets: [
        { cidr: '203.0.113.0/24', gateway_ip: '203.0.113.1' },
        { cidr: '198.51.100.0/24', gateway_ip: '198.51.100.1' },
        { cidr: '192.0.2.0/24' },
      ],
    });
    expect(routeTexts(compile(routerPayload({ gw_port })))).toEqual(['0.0.0.0/0 via 198.51.100.1 dev qg-']);
  });

  it('to a gateway outside the subnet need a route to the gateway first', () => {
    const gw_port = external({ subnets: [{ cidr: '203.0.113.0/24', gateway_ip: '192.0.2.1' }] });
    expect(routeTexts(compile(routerPayload({ gw_port })))).toEqual([
      '192.0.2.1/32 dev qg- scope link',
      '0.0.0.0/0 via 192.0.2.1 dev qg- onlink',
    ]);
  });

  it('to a link-local IPv6 gateway need none', () => {
    const gw_port = external({
      ips: ['2001:db8::2/64'],
      subnets: [{ cidr: '2001:db8::/64', gateway_ip: 'fe80::1' }],
    });
    expect(routeTexts(compile(routerPayload({ gw_port })))).toEqual(['::/0 via fe80::1 dev qg-']);
  });

  it('reach the other subnets of the external network directly', () => {
    const gw_port = external({ extra_subnets: [{ cidr: '198.51.100.0/24' }, { cidr: '2001:db8:1::/64' }] });
    expect(routeTexts(compile(routerPayload({ gw_port })))).toEqual([
      '198.51.100.0/24 dev qg- scope link',
      '2001:db8:1::/64 dev qg-',
    ]);
  });

  it('are absent without a gateway', () => {
    expect(routesOf(compile(routerPayload({ gw_port: null })))).toEqual([]);
  });
});

describe('IPv6 on the gateway', () => {
  const v6 = { cidr: '2001:db8::/64', gateway_ip: '2001:db8::1' };
  const gw_port = external({ ips: ['2001:db8::2/64'], subnets: [v6] });

  it('with a gateway in the subnet is static: no router advertisements', () => {
    const groups = compile(routerPayload({ gw_port }));
    expect(routeTexts(groups)).toEqual(['::/0 via 2001:db8::1 dev qg-']);
    expect(sysctlValue(groups, '/accept_ra')).toBe('0');
  });

  it('without one goes to option ipv6_gateway', () => {
    const groups = compile(
      routerPayload({ gw_port: gatewayPayload() }),
      l3Options({ ipv6_gateway: 'fe80::1' }),
    );
    expect(routeTexts(groups)).toContain('::/0 via fe80::1 dev qg-');
    expect(sysctlValue(groups, '/accept_ra')).toBe('0');
  });

  it('without either learns from router advertisements, though forwarding', () => {
    const groups = compile(routerPayload({ gw_port: gatewayPayload() }));
    expect(routeTexts(groups).some((text) => text.startsWith('::/0'))).toBe(false);
    expect(sysctlValue(groups, '/accept_ra')).toBe('2');
    expect(
      groups.flat().filter((row) => row.kind === 'sysctl' && row.name.endsWith('/forwarding')).length,
    ).toBe(2);
  });
});

describe('extra routes', () => {
  const withRoutes = (...routes: [destination: string, nexthop: string][]) =>
    compile(routerPayload({ routes: routes.map(([destination, nexthop]) => ({ destination, nexthop })) }));

  it('with one destination become one multipath route, whatever their order', () => {
    const expected = '192.168.0.0/24 via 10.0.0.8 via 10.0.0.9';
    const there = withRoutes(['192.168.0.0/24', '10.0.0.9'], ['192.168.0.0/24', '10.0.0.8']);
    const back = withRoutes(['192.168.0.0/24', '10.0.0.8'], ['192.168.0.0/24', '10.0.0.9']);
    expect(routeTexts(there)).toContain(expected);
    expect(routeTexts(back)).toContain(expected);
  });

  it('are tolerant: their failure is the tenant’s own', () => {
    const routes = routesOf(withRoutes(['192.168.0.0/24', '10.0.0.9']));
    expect(routes.map(({ destination, tolerant }) => [destination, tolerant])).toEqual([
      ['0.0.0.0/0', false],
      ['192.168.0.0/24', true],
    ]);
  });

  it('to everywhere replace the default route of the gateway', () => {
    expect(routeTexts(withRoutes(['0.0.0.0/0', '10.0.0.9']))).toEqual(['0.0.0.0/0 via 10.0.0.9']);
  });

  it('with a next hop of the other family are left out', () => {
    expect(routesOf(withRoutes(['192.168.0.0/24', 'fd00::1'])).length).toBe(1);
  });
});

describe('the ruleset', () => {
  it('without a gateway has only the metadata rules', () => {
    const rules = rulesOf(
      compile(routerPayload({ gw_port: null, _floatingips: [floatingIpPayload('203.0.113.9', '10.0.0.9')] })),
    );
    expect(rules.every((rule) => /dport|meta mark & 0xffff == 0x1/.test(rule))).toBe(true);
    expect(rules.length).toBe(7);
  });

  it('translates to the first IPv4 address of the gateway', () => {
    const gw_port = external({ ips: ['2001:db8::2/64', '203.0.113.7/24', '203.0.113.2/24'] });
    const rules = rulesOf(compile(routerPayload({ gw_port })));
    expect(rules.filter((rule) => rule.includes('snat ip to 203.0.113.7')).length).toBe(2);
    expect(rules.join()).not.toContain('203.0.113.2');
  });

  it('with SNAT off still translates what comes from inside to a floating IP of this router', () => {
    const rules = rulesOf(compile(routerPayload({ enable_snat: false })));
    const toGateway = rules.filter((rule) => rule.includes('snat ip to 203.0.113.2'));
    expect(toGateway).toEqual([
      'meta mark & 0xffff != 0x2 ct status & dnat == dnat snat ip to 203.0.113.2 fully-random',
    ]);
  });

  it('on an IPv6-only gateway translates nothing', () => {
    const rules = rulesOf(compile(routerPayload({ gw_port: external({ ips: ['2001:db8::2/64'] }) })));
    expect(rules.filter((rule) => /snat ip to [0-9]|ct status/.test(rule))).toEqual([]);
  });
});

describe('floating IPs', () => {
  const keys = (...fips: [string, string | null][]) =>
    compile(routerPayload({ _floatingips: fips.map(([fip, fixed]) => floatingIpPayload(fip, fixed)) }))
      .flat()
      .filter(({ kind, key }) => kind === 'nft-element' || key.endsWith('/32'))
      .map(({ key }) =>
        key
          .split('|')
          .slice(2)
          .join('|')
          .replace(/qg-[^|]*/, 'qg'),
      );

  it('are two map elements and an address', () => {
    expect(keys(['203.0.113.9', '10.0.0.9'])).toEqual([
      'inet viaduct|fip_dnat|203.0.113.9',
      'inet viaduct|fip_snat|10.0.0.9',
      'qg|203.0.113.9/32',
    ]);
  });

  it('without a fixed address are left out', () => {
    expect(keys(['203.0.113.9', null])).toEqual([]);
  });

  it('that share a fixed address: the first one translates what leaves', () => {
    expect(keys(['203.0.113.9', '10.0.0.9'], ['203.0.113.8', '10.0.0.9'])).toEqual([
      'inet viaduct|fip_dnat|203.0.113.9',
      'inet viaduct|fip_snat|10.0.0.9',
      'qg|203.0.113.9/32',
      'inet viaduct|fip_dnat|203.0.113.8',
      'qg|203.0.113.8/32',
    ]);
  });

  it('removed or moved: connections through them are dropped, others of the fixed address are not', () => {
    const rows = compile(
      routerPayload({ _floatingips: [floatingIpPayload('203.0.113.9', '10.0.0.9')] }),
    ).flat();
    const elements = rows.filter((row) => row.kind === 'nft-element');
    expect(elements.map(({ flushConntrack }) => flushConntrack)).toEqual(['203.0.113.9', '203.0.113.9']);
  });
});

describe('what did not change is the same object', () => {
  const fips = Array.from({ length: 1001 }, (_, i) =>
    floatingIpPayload(
      `203.0.${Math.trunc(i / 250)}.${(i % 250) + 2}`,
      `10.0.${Math.trunc(i / 250)}.${(i % 250) + 2}`,
    ),
  );
  const before = routerPayload({
    _floatingips: fips.slice(0, 1000),
    _interfaces: [internalPayload(), internalPayload()],
  });
  const groups = compile(before);

  it('for one floating IP more among 1000: exactly one group is new', () => {
    const later = compile({ ...before, _floatingips: fips });
    const known = new Set(groups);
    const fresh = later.filter((group) => !known.has(group));
    expect(later.length).toBe(groups.length + 1);
    expect(fresh.map((group) => group.length)).toEqual([3]);
  });

  it('for a router payload that is new but says the same', () => {
    const again = compile({ ...before, revision_number: 8, name: 'renamed' });
    expect(again.length).toBe(groups.length);
    expect(again.every((group, i) => group === groups[i])).toBe(true);
  });

  it('for the ruleset when the gateway port is a new object with the same address', () => {
    const again = compile({ ...before, gw_port: { ...before.gw_port, revision_number: 8 } });
    const ruleset = (of: RowGroup[]) => of.find(([row]) => row?.kind === 'nft-table');
    expect(ruleset(again)).toBe(ruleset(groups));
  });

  it('but not under other options', () => {
    const other = compile(before, l3Options({ metadata_port: 8080 }));
    expect(other.filter((group, i) => group !== groups[i]).length).toBe(1);
  });
});
