import { describe, expect, it } from 'vitest';
import { dhcpDeviceId } from '../../../../agents/dhcp/compile/identity.ts';
import { MissingPort } from '../../../../agents/dhcp/compile/network.ts';
import {
  dhcpPort,
  macOf,
  NETWORK,
  network,
  portId,
  portPayload,
  subnetId,
  subnetPayload,
  type Wish,
} from './payload.ts';
import { argumentsOf, compiled, fileOf } from './rendered.ts';

const own = dhcpPort(99, [[1, '10.0.1.2']]);
const vm = portPayload(5, [[1, '10.0.1.5']]);
const linesOf = (text: string): string[] => text.split('\n').filter(Boolean);
const optsOf = (...given: Parameters<typeof compiled>): string[] =>
  linesOf(fileOf(compiled(...given), 'opts')).map((line) =>
    line.replace(`tag:${`subnet-${subnetId(1)}`},`, '1 ').replace(`tag:${`subnet-${subnetId(2)}`},`, '2 '),
  );
const withSubnet = (wish: Wish, ports: readonly unknown[] = [own, vm]) =>
  network([subnetPayload(1, wish)], ports);
const withPort = (wish: Wish) => network([subnetPayload(1)], [own, portPayload(5, [[1, '10.0.1.5']], wish)]);

describe('what is served', () => {
  it.each([
    ['a network that is down', network([subnetPayload(1)], [own], { admin_state_up: false })],
    ['a network whose subnets have DHCP off', withSubnet({ enable_dhcp: false })],
    ['a network without subnets', network([], [])],
  ])('nothing for %s', (_what, given) => {
    expect(compiled(given).groups).toEqual([]);
  });

  it('device_id has the UUIDv5 of the short host name', () => {
    const expected = 'dhcpe28cb0fe-26cc-5fd5-ac9e-33bfb4284fe1-n';
    expect([dhcpDeviceId('net-1', 'n'), dhcpDeviceId('net-1.example.org', 'n')]).toEqual([
      expected,
      expected,
    ]);
  });

  it('a network without a port for this host is an error that names the device_id', () => {
    expect(() => compiled(network([subnetPayload(1)], [vm]))).toThrow(MissingPort);
    expect(() => compiled(network([subnetPayload(1)], [vm]))).toThrow(dhcpDeviceId('net-1', NETWORK));
  });

  it('with interface_driver null a namespace and files, and nothing that stands on a device', () => {
    const rows = compiled(withSubnet({}), { wiring: 'null' }).groups.flat();
    expect(new Set(rows.map(({ kind }) => kind))).not.toContain('address');
    expect(
      rows.filter(({ kind }) => ['link', 'route', 'daemon'].includes(kind)).map(({ key }) => key),
    ).toEqual([expect.stringMatching(/\|link\|lo$/)]);
    expect(rows.some(({ kind }) => kind === 'netns')).toBe(true);
  });

  it('several subnets each have a range, DHCP-disabled ones none', () => {
    const subnets = [subnetPayload(1), subnetPayload(2), subnetPayload(3, { enable_dhcp: false })];
    const ranges = argumentsOf(compiled(network(subnets, [own]))).filter((arg) => arg.includes('dhcp-range'));
    expect(ranges).toEqual([
      `--dhcp-range=set:subnet-${subnetId(1)},10.0.1.0,static,255.255.255.0,86400s`,
      `--dhcp-range=set:subnet-${subnetId(2)},10.0.2.0,static,255.255.255.0,86400s`,
    ]);
  });

  it('the lease limit is the number of addresses, at most dnsmasq_lease_max', () => {
    const one = network([subnetPayload(1), subnetPayload(2)], [own]);
    expect(argumentsOf(compiled(one))).toContain('--dhcp-lease-max=512');
    expect(argumentsOf(compiled(one, { dnsmasq_lease_max: 100 }))).toContain('--dhcp-lease-max=100');
  });

  it('options become arguments in the order of the contract', () => {
    const args = argumentsOf(
      compiled(
        network([subnetPayload(1)], [own]),
        {
          dhcp_lease_duration: -1,
          dhcp_renewal_time: 60,
          dhcp_rebinding_time: 90,
          dnsmasq_config_file: '/etc/extra.conf',
          dnsmasq_dns_servers: ['192.0.2.53'],
          dhcp_broadcast_reply: true,
          dnsmasq_base_log_dir: '/log',
          dnsmasq_txt_record: 'a.example,"v=1"',
        },
        { inotify: false },
      ),
    );
    expect(args.slice(11)).toEqual([
      '--bind-dynamic',
      `--dhcp-range=set:subnet-${subnetId(1)},10.0.1.0,static,255.255.255.0,infinite`,
      '--dhcp-option-force=option:mtu,1450',
      '--dhcp-lease-max=256',
      '--dhcp-option-force=option:T1,60s',
      '--dhcp-option-force=option:T2,90s',
      '--txt-record=a.example,"v=1"',
      '--conf-file=/etc/extra.conf',
      '--server=192.0.2.53',
      '--domain=openstacklocal',
      '--dhcp-broadcast',
      '--log-queries',
      '--log-dhcp',
      `--log-facility=/log/${NETWORK}/dhcp_dns_log`,
    ]);
  });

  it('without forwarders the resolvers of the host are used only with dnsmasq_local_resolv', () => {
    const one = network([subnetPayload(1)], [own]);
    expect(argumentsOf(compiled(one))).toContain('--no-resolv');
    expect(argumentsOf(compiled(one, { dnsmasq_local_resolv: true }))).not.toContain('--no-resolv');
  });
});

describe('options of a subnet', () => {
  it('on-link routes come first, reversed; the default route last; 121 and 249 are equal', () => {
    const subnets = [
      subnetPayload(1, { host_routes: [{ destination: '10.77.0.0/16', nexthop: '10.0.1.7' }] }),
      subnetPayload(2, { gateway_ip: null }),
      subnetPayload(3, { enable_dhcp: false }),
    ];
    const routes = '10.0.3.0/24,0.0.0.0,10.0.2.0/24,0.0.0.0,10.77.0.0/16,10.0.1.7,0.0.0.0/0,10.0.1.1';
    expect(optsOf(network(subnets, [own])).slice(0, 3)).toEqual([
      `1 option:classless-static-route,${routes}`,
      `1 249,${routes}`,
      '1 option:router,10.0.1.1',
    ]);
  });

  it('without routes there is only a router, without gateway an empty one', () => {
    expect(optsOf(withSubnet({}))).toEqual(['1 option:router,10.0.1.1']);
    expect(optsOf(withSubnet({ gateway_ip: null }))).toEqual(['1 option:router']);
  });

  it('a host route to everywhere is the gateway of a subnet that has none', () => {
    const host_routes = [{ destination: '0.0.0.0/0', nexthop: '10.0.1.9' }];
    expect(optsOf(withSubnet({ host_routes, gateway_ip: null }))).toEqual(['1 option:router,10.0.1.9']);
    expect(optsOf(withSubnet({ host_routes }))).toEqual(['1 option:router,10.0.1.1']);
  });

  it.each([
    [['192.0.2.1', '192.0.2.2'], ['1 option:dns-server,192.0.2.1,192.0.2.2']],
    [['0.0.0.0'], ['1 option:dns-server']],
    [[], []],
  ])('name servers %j', (dns_nameservers, expected) => {
    expect(optsOf(withSubnet({ dns_nameservers })).slice(0, -1)).toEqual(expected);
  });

  it('with two agents and no name servers both agents are announced', () => {
    const other = dhcpPort(98, [[1, '10.0.1.3']], 'net-2');
    expect(optsOf(withSubnet({}, [own, other])).at(-1)).toBe('1 option:dns-server,10.0.1.2,10.0.1.3');
    expect(optsOf(withSubnet({ dns_nameservers: ['0.0.0.0'] }, [own, other]))).toEqual([
      '1 option:dns-server',
      '1 option:router,10.0.1.1',
    ]);
  });

  it('metadata is reached through the router, or through the DHCP port if there is none', () => {
    const router = portPayload(1, [[1, '10.0.1.1']], { device_owner: 'network:router_interface' });
    const route = (options: Wish, ports: readonly unknown[]) =>
      optsOf(withSubnet({}, ports), options).find((line) => line.includes('static-route'));
    const via = (hop: string) =>
      `1 option:classless-static-route,169.254.169.254/32,${hop},0.0.0.0/0,10.0.1.1`;
    expect(route({}, [own, router])).toBe(via('10.0.1.1'));
    expect(route({}, [own])).toBeUndefined();
    expect(route({ enable_isolated_metadata: true }, [own])).toBe(via('10.0.1.2'));
    expect(route({ enable_isolated_metadata: true }, [own, router])).toBe(via('10.0.1.1'));
    expect(route({ force_metadata: true }, [own, router])).toBe(via('10.0.1.2'));
  });

  it('routes that make a line dnsmasq would cut are left out, with a warning', () => {
    const host_routes = Array.from({ length: 40 }, (_, i) => ({
      destination: `10.77.${i}.0/24`,
      nexthop: '10.0.1.7',
    }));
    const result = compiled(withSubnet({ host_routes }));
    expect(linesOf(fileOf(result, 'opts'))).toHaveLength(1);
    expect(result.warnings[0]).toContain(subnetId(1));
  });
});

describe('options of a port', () => {
  const option = (opt_name: string, opt_value: string | null, ip_version = 4) => ({
    opt_name,
    opt_value,
    ip_version,
  });
  const tag = `tag:port-${portId(5)}`;
  const portOptions = (extra_dhcp_opts: unknown[]) => {
    const result = compiled(withPort({ extra_dhcp_opts }));
    return {
      ...result,
      opts: linesOf(fileOf(result, 'opts')).slice(1),
      host: linesOf(fileOf(result, 'host')),
    };
  };

  it('by name, by number and with a tag', () => {
    const { opts, host } = portOptions([
      option('bootfile-name', 'pxe.0'),
      option('67', 'by-number'),
      option('tag:ipxe,67', 'http://boot/x'),
      option('router', ''),
      option('59', 'http://v6', 6),
    ]);
    expect(opts).toEqual([
      `${tag},option:bootfile-name,pxe.0`,
      `${tag},67,by-number`,
      `${tag},tag:ipxe,67,http://boot/x`,
      `${tag},option:router`,
    ]);
    expect(host).toEqual([`${macOf(5)},host-10-0-1-5.openstacklocal,10.0.1.5,set:port-${portId(5)}`]);
  });

  it('a client id is in the host line, and alone needs no tag', () => {
    expect(portOptions([option('client-id', '*')]).host).toEqual([
      `${macOf(5)},id:*,host-10-0-1-5.openstacklocal,10.0.1.5`,
    ]);
    const both = portOptions([option('61', '01:02:03'), option('67', 'x')]);
    expect(both.host).toEqual([
      `${macOf(5)},id:01:02:03,host-10-0-1-5.openstacklocal,10.0.1.5,set:port-${portId(5)}`,
    ]);
    expect(both.opts).toEqual([`${tag},67,x`]);
  });

  it.each([
    ['name', 'x,option:router', 'y'],
    ['name', 'bad\u0007name', 'y'],
    ['name', '67 ', 'y'],
    ['value', '67', 'a"b'],
    ['value', '67', 'a #b'],
    ['value', '67', 'tab\there'],
    ['value', '67', 'x'.repeat(10_000)],
    ['value', '67', ''],
  ])('a hostile %s is left out with a warning, the rest is kept', (_what, name, value) => {
    const { opts, warnings } = portOptions([option(name, value), option('66', 'tftp')]);
    expect(opts).toEqual([`${tag},66,tftp`]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(portId(5));
  });

  it('only the first line of a value counts', () => {
    expect(portOptions([option('67', 'a\ntag:other,option:router,6.6.6.6')]).opts).toEqual([`${tag},67,a`]);
  });

  it.each(['a,b', 'a#b', 'a b', '"a"', '[::1]', 'tag:x'])(
    'client id %j is left out with a warning',
    (value) => {
      const { host, warnings } = portOptions([option('client-id', value)]);
      expect(host).toEqual([`${macOf(5)},host-10-0-1-5.openstacklocal,10.0.1.5`]);
      expect(warnings).toHaveLength(1);
    },
  );
});

describe('names', () => {
  const assigned = (hostname: string, fqdn = `${hostname}.example.`) =>
    compiled(withPort({ dns_assignment: [{ ip_address: '10.0.1.5', hostname, fqdn }] }));

  it('assigned ones are used as they are', () => {
    expect(fileOf(assigned('web'), 'host')).toBe(`${macOf(5)},web.example.,10.0.1.5\n`);
    expect(fileOf(assigned('web'), 'addn_hosts')).toBe('10.0.1.5\tweb.example. web\n');
  });

  it.each(['a b', 'a,10.0.1.9', 'a\n10.0.1.1\tb', '#a', '-a', 'ä', 'x'.repeat(64), ''])(
    '%j is replaced by the usual name, with a warning',
    (hostname) => {
      const result = assigned(hostname);
      expect(fileOf(result, 'addn_hosts')).toBe('10.0.1.5\thost-10-0-1-5.openstacklocal host-10-0-1-5\n');
      expect(result.warnings).toHaveLength(1);
    },
  );

  it.each(['10.0.1.9', '10.0.1.9.', 'ignore', 'infinite', '45m'])('%j is no name in a host line', (fqdn) => {
    expect(fileOf(assigned('web', fqdn), 'host')).toBe(`${macOf(5)},host-10-0-1-5.openstacklocal,10.0.1.5\n`);
  });

  it('addresses on DHCP-disabled subnets are names only; agents and HA ports are neither', () => {
    const subnets = [subnetPayload(1), subnetPayload(2, { enable_dhcp: false })];
    const ports = [
      own,
      portPayload(5, [[2, '10.0.2.5']]),
      portPayload(6, [[1, '10.0.1.6']], { device_owner: 'network:router_ha_interface' }),
      portPayload(7, [[1, '10.0.1.7']], { device_owner: '' }),
    ];
    const result = compiled(network(subnets, ports));
    expect(linesOf(fileOf(result, 'host'))).toEqual([`${macOf(7)},host-10-0-1-7.openstacklocal,10.0.1.7`]);
    expect(linesOf(fileOf(result, 'addn_hosts'))).toEqual([
      '10.0.2.5\thost-10-0-2-5.openstacklocal host-10-0-2-5',
      '10.0.1.7\thost-10-0-1-7.openstacklocal host-10-0-1-7',
    ]);
  });
});

describe('IPv6', () => {
  const v6 = (number: number, mode: string | null, ra: string | null = mode, wish: Wish = {}) =>
    subnetPayload(number, {
      ip_version: 6,
      cidr: `fd00:${number}::/64`,
      gateway_ip: `fd00:${number}::1`,
      ipv6_ra_mode: ra,
      ipv6_address_mode: mode,
      ...wish,
    });
  const ipv6Own = dhcpPort(99, [[1, 'fd00:1::2']]);
  const port = (wish: Wish = {}) => portPayload(5, [[1, 'fd00:1::5']], wish);
  const one = (subnet: unknown, wish: Wish = {}) => compiled(network([subnet], [ipv6Own, port(wish)]));
  const rangesOf = (subnet: unknown): string[] =>
    argumentsOf(one(subnet)).filter((arg) => arg.startsWith('--dhcp-range'));

  it.each([
    [null, null, 1],
    ['slaac', null, 0],
    ['dhcpv6-stateless', null, 1],
    ['dhcpv6-stateful', null, 1],
    [null, 'slaac', 0],
    [null, 'dhcpv6-stateless', 0],
    [null, 'dhcpv6-stateful', 0],
    ['slaac', 'slaac', 0],
    ['dhcpv6-stateless', 'dhcpv6-stateless', 1],
    ['dhcpv6-stateful', 'dhcpv6-stateful', 1],
  ])('address mode %s and RA mode %s: %i ranges', (mode, ra, count) => {
    expect(rangesOf(v6(1, mode, ra))).toHaveLength(count);
  });

  it('a range has the prefix length; shorter prefixes than 64 have none', () => {
    expect(rangesOf(v6(1, null))).toEqual([
      `--dhcp-range=set:subnet-${subnetId(1)},fd00:1::,static,64,86400s`,
    ]);
    expect(rangesOf(v6(1, null, null, { cidr: 'fd00:1::/48' }))).toEqual([]);
  });

  it('stateful addresses are in the host file, SLAAC ones are not, stateless ones only by their options', () => {
    const extra = { extra_dhcp_opts: [{ opt_name: '59', opt_value: 'http://b', ip_version: 6 }] };
    const set = `set:port-${portId(5)}`;
    expect(fileOf(one(v6(1, null)), 'host')).toBe(
      `${macOf(5)},tag:dhcpv6,host-fd00-1--5.openstacklocal,[fd00:1::5]\n`,
    );
    expect(fileOf(one(v6(1, 'slaac')), 'host')).toBe('');
    expect(fileOf(one(v6(1, 'dhcpv6-stateless')), 'host')).toBe('');
    const stateless = one(v6(1, 'dhcpv6-stateless'), extra);
    expect(fileOf(stateless, 'host')).toBe(`${macOf(5)},tag:dhcpv6,${set}\n`);
    expect(linesOf(fileOf(stateless, 'opts')).at(-1)).toBe(`tag:port-${portId(5)},option6:59,http://b`);
  });

  it('a stateless address comes before the others of its port', () => {
    const extra_dhcp_opts = [{ opt_name: '67', opt_value: 'x', ip_version: 4 }];
    const both = portPayload(
      5,
      [
        [1, '10.0.1.5'],
        [2, 'fd00:2::5'],
      ],
      { extra_dhcp_opts },
    );
    const result = compiled(network([subnetPayload(1), v6(2, 'dhcpv6-stateless')], [own, both]));
    expect(linesOf(fileOf(result, 'host')).map((line) => line.includes('tag:dhcpv6'))).toEqual([true, false]);
  });

  it('several addresses of a port share a line with dnsmasq_enable_addr6_list', () => {
    const two = portPayload(5, [
      [1, 'fd00:1::5'],
      [1, 'fd00:1::6'],
    ]);
    const given = network([v6(1, null)], [ipv6Own, two]);
    expect(fileOf(compiled(given, { dnsmasq_enable_addr6_list: true }), 'host')).toBe(
      `${macOf(5)},tag:dhcpv6,host-fd00-1--5.openstacklocal,[fd00:1::5],[fd00:1::6]\n`,
    );
    expect(linesOf(fileOf(compiled(given), 'host'))).toHaveLength(2);
  });

  it('a list of addresses too long for a line goes on in another one', () => {
    const addresses = Array.from({ length: 60 }, (_, i) => `fd00:1::aaaa:bbbb:cccc:${i + 10}`);
    const many = portPayload(
      5,
      addresses.map((ip) => [1, ip] as const),
      { extra_dhcp_opts: [{ opt_name: '59', opt_value: 'x', ip_version: 6 }] },
    );
    const given = compiled(network([v6(1, null)], [ipv6Own, many]), { dnsmasq_enable_addr6_list: true });
    const lines = linesOf(fileOf(given, 'host'));
    expect(lines).toHaveLength(2);
    expect(lines.flatMap((line) => line.match(/(?<=\[)[^\]]+/g))).toEqual(addresses);
    for (const line of lines) expect(line).toMatch(new RegExp(`,set:port-${portId(5)}$`));
    expect(given.warnings).toEqual([]);
  });

  it('what is of the other IP version is left out, one by one, and named', () => {
    const subnet = subnetPayload(1, {
      dns_nameservers: ['fd00::53', '192.0.2.53'],
      host_routes: [{ destination: 'fd00:9::/64', nexthop: 'fd00::9' }],
    });
    const result = compiled(
      network(
        [subnet],
        [
          own,
          portPayload(5, [
            [1, 'fd00::5'],
            [1, '10.0.1.5'],
          ]),
        ],
      ),
    );
    expect(linesOf(fileOf(result, 'host'))).toEqual([`${macOf(5)},host-10-0-1-5.openstacklocal,10.0.1.5`]);
    expect(linesOf(fileOf(result, 'opts'))).toEqual([
      `tag:subnet-${subnetId(1)},option:dns-server,192.0.2.53`,
      `tag:subnet-${subnetId(1)},option:router,10.0.1.1`,
    ]);
    expect(result.warnings).toHaveLength(3);
    for (const warning of result.warnings) expect(warning).toContain(`network ${NETWORK}: `);
  });

  it('name servers are literal addresses, the domain is announced', () => {
    const result = one(v6(1, null, null, { dns_nameservers: ['fd00::53', 'fd00::54'] }));
    const tag = `tag:subnet-${subnetId(1)}`;
    expect(linesOf(fileOf(result, 'opts'))).toEqual([
      `${tag},option6:dns-server,[fd00::53],[fd00::54]`,
      `${tag},option6:domain-search,openstacklocal`,
    ]);
  });
});

describe('the device', () => {
  const keysOf = (...given: Parameters<typeof compiled>): string[] =>
    compiled(...given)
      .groups.flat()
      .filter(({ kind }) => kind === 'address' || kind === 'route')
      .map(({ key }) => key.split('|').slice(1).join(' '));
  const device = `ns-${portId(99).slice(0, 11)}`;

  it('has its addresses, the metadata address if that is served here, and a default route', () => {
    expect(keysOf(withSubnet({}))).toEqual([`address ${device} 10.0.1.2/24`, 'route 254 0.0.0.0/0 0']);
    expect(keysOf(withSubnet({}), { enable_isolated_metadata: true })).toEqual([
      `address ${device} 10.0.1.2/24`,
      `address ${device} 169.254.169.254/32`,
      'route 254 0.0.0.0/0 0',
    ]);
  });

  it('a gateway outside the subnet is reached by a link route', () => {
    expect(keysOf(withSubnet({ gateway_ip: '192.0.2.1' })).slice(1)).toEqual([
      'route 254 192.0.2.1/32 0',
      'route 254 0.0.0.0/0 0',
    ]);
  });

  it('a network without MTU has the usual one and does not announce it', () => {
    const result = compiled(network([subnetPayload(1)], [own], { mtu: 0 }));
    const link = result.groups.flat().find((row) => row.kind === 'link' && row.name === device);
    expect(link).toMatchObject({ mtu: 1500 });
    expect(argumentsOf(result).join(' ')).not.toContain('option:mtu');
  });
});
