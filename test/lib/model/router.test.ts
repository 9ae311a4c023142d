import { describe, expect, it } from 'vitest';
import { parseNetwork } from '../../../lib/model/network.ts';
import { PayloadError } from '../../../lib/model/payload.ts';
import { parseRouter } from '../../../lib/model/router.ts';

const ID = '00000000-0000-4000-8000-00000000000';
const R = `${ID}1`;
const interfacePort = (over: object = {}) => ({
  id: `${ID}2`,
  network_id: `${ID}3`,
  mac_address: 'FA:16:3E:00:00:01',
  admin_state_up: true,
  device_owner: 'network:router_interface',
  mtu: 1450,
  fixed_ips: [{ subnet_id: `${ID}4`, ip_address: '10.0.0.1', prefixlen: 24 }],
  subnets: [{ id: `${ID}4`, cidr: '10.0.0.0/24', gateway_ip: '10.0.0.1', ipv6_ra_mode: null }],
  ...over,
});
const fip = (n: number) => ({
  id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
  floating_ip_address: `198.18.${n >> 8}.${n & 255}`,
  floating_network_id: `${ID}5`,
  fixed_ip_address: '10.0.0.9',
  port_id: `${ID}6`,
  status: 'DOWN',
});

describe('parseRouter', () => {
  it('fills in what a server leaves out', () => {
    expect(parseRouter({ id: R })).toMatchObject({
      enable_snat: true,
      admin_state_up: true,
      ha: false,
      distributed: false,
      gw_port: null,
      routes: [],
      _interfaces: [],
      _floatingips: [],
      _ha_interface: null,
      _snat_router_interfaces: [],
    });
    const [port] = parseRouter({
      id: R,
      _interfaces: [{ ...interfacePort(), fixed_ips: undefined }],
    })._interfaces;
    expect(port).toMatchObject({ fixed_ips: [], extra_subnets: [], address_scopes: {} });
  });

  it('makes addresses, CIDRs and MACs canonical and passes unknown keys on', () => {
    const router = parseRouter({
      id: R,
      future: 1,
      routes: [{ destination: '2001:DB8::5/64', nexthop: '2001:DB8:0::1' }],
      _interfaces: [interfacePort()],
    });
    expect(router.future).toBe(1);
    expect(router.routes[0]).toEqual({ destination: '2001:db8::/64', nexthop: '2001:db8::1' });
    expect(router._interfaces[0]?.mac_address).toBe('fa:16:3e:00:00:01');
  });

  it.each<[string, object]>([
    [
      `router ${R}: _interfaces[0].fixed_ips[0].ip_address: "10.0.0.300" is not an IP address`,
      {
        _interfaces: [
          interfacePort({ fixed_ips: [{ subnet_id: `${ID}4`, ip_address: '10.0.0.300', prefixlen: 24 }] }),
        ],
      },
    ],
    [
      `router ${R}: gw_port.mac_address: "x; reboot" is not a MAC address`,
      { gw_port: interfacePort({ mac_address: 'x; reboot' }) },
    ],
    [
      `router ${R}: gw_port.id: "../../etc/passwd" is not a UUID`,
      { gw_port: interfacePort({ id: '../../etc/passwd' }) },
    ],
    [`router ${R}: gw_port.mtu: 67 is not an MTU (68 to 65535)`, { gw_port: interfacePort({ mtu: 67 }) }],
    [
      `router ${R}: gw_port.mtu: 65536 is not an MTU (68 to 65535)`,
      { gw_port: interfacePort({ mtu: 65_536 }) },
    ],
    [
      `router ${R}: routes[1].destination: "10.0.0.0/33" is not a CIDR`,
      {
        routes: [
          { destination: '10.0.0.0/8', nexthop: '10.0.0.1' },
          { destination: '10.0.0.0/33', nexthop: '10.0.0.1' },
        ],
      },
    ],
    [
      `router ${R}: routes[0].nexthop: a missing value is not an IP address`,
      { routes: [{ destination: '10.0.0.0/8' }] },
    ],
    [
      `router ${R}: _floatingips[0].floating_ip_address: "2001:db8::1" is not an IPv4 address`,
      { _floatingips: [{ ...fip(1), floating_ip_address: '2001:db8::1' }] },
    ],
    [`router ${R}: _interfaces: expected a list`, { _interfaces: 'all' }],
  ])('%s', (message, over) => {
    expect(() => parseRouter({ id: R, ...over })).toThrow(new PayloadError(message));
  });

  it('what is no router at all is refused', () => {
    for (const payload of [null, 'x', 7, [], {}]) expect(() => parseRouter(payload)).toThrow(PayloadError);
    expect(() => parseRouter({ id: 'a/b' })).toThrow('router a/b: id: "a/b" is not a UUID');
  });

  it('the same objects are validated once and stay the same objects', () => {
    const fips = Array.from({ length: 1000 }, (_, n) => fip(n));
    const gateway = interfacePort();
    const payload = { id: R, gw_port: gateway, _floatingips: fips };
    const first = parseRouter(payload);
    expect(parseRouter(payload)).toBe(first);
    const second = parseRouter({ ...payload, _floatingips: [...fips, fip(2000)] });
    expect(second.gw_port).toBe(first.gw_port);
    expect(second._floatingips.slice(0, 1000).every((one, i) => one === first._floatingips[i])).toBe(true);
    expect(second._floatingips).toHaveLength(1001);
  });
});

describe('parseNetwork', () => {
  const subnet = { id: `${ID}4`, network_id: `${ID}3`, ip_version: 4, cidr: '10.0.0.0/24', gateway_ip: null };
  it('fills in what is missing; an MTU of 0 is not known', () => {
    const network = parseNetwork({ id: `${ID}3`, mtu: 0, subnets: [subnet] });
    expect(network).toMatchObject({ mtu: null, admin_state_up: true, ports: [], non_local_subnets: [] });
    expect(network.subnets[0]).toMatchObject({ dns_nameservers: [], host_routes: [], ipv6_ra_mode: null });
  });

  it.each<[string, object]>([
    [
      `network ${ID}3: subnet ${ID}4: dns_nameservers[0]: "8.8.8.8\\n" is not an IP address`,
      { dns_nameservers: ['8.8.8.8\n'] },
    ],
    [
      `network ${ID}3: subnet ${ID}4: host_routes[0].destination: "default" is not a CIDR`,
      {
        host_routes: [{ destination: 'default', nexthop: '10.0.0.1' }],
      },
    ],
    [
      `network ${ID}3: subnet ${ID}4: allocation_pools[0].end: 5 is not an IP address`,
      {
        allocation_pools: [{ start: '10.0.0.2', end: 5 }],
      },
    ],
  ])('%s', (message, over) => {
    const { subnets, problems } = parseNetwork({ id: `${ID}3`, subnets: [{ ...subnet, ...over }] });
    expect(problems).toEqual([`${message}: it is left out`]);
    expect(subnets).toHaveLength(1);
  });

  it('names and options are free text', () => {
    const port = {
      ...interfacePort(),
      name: 'a\nb',
      extra_dhcp_opts: [{ opt_name: '6,#', opt_value: '\n' }],
    };
    expect(parseNetwork({ id: `${ID}3`, ports: [port] }).ports[0]).toMatchObject({
      name: 'a\nb',
      extra_dhcp_opts: [{ opt_name: '6,#', opt_value: '\n', ip_version: 4 }],
    });
  });
});
