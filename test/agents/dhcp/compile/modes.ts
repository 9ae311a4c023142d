/** A network for each combination of modes the Networking API allows, and two with several subnets. */
import { eui64 } from '../../../../lib/model/ip.ts';
import type { Network } from '../../../../lib/model/network.ts';
import { dhcpPort, macOf, network, portPayload, subnetPayload, type Wish } from './payload.ts';

export type Mode = 'slaac' | 'dhcpv6-stateless' | 'dhcpv6-stateful' | null;

/** Both equal, or one of them null (contract §12). */
export const COMBINATIONS: readonly (readonly [ra: Mode, address: Mode])[] = [
  [null, null],
  [null, 'slaac'],
  [null, 'dhcpv6-stateless'],
  [null, 'dhcpv6-stateful'],
  ['slaac', null],
  ['dhcpv6-stateless', null],
  ['dhcpv6-stateful', null],
  ['slaac', 'slaac'],
  ['dhcpv6-stateless', 'dhcpv6-stateless'],
  ['dhcpv6-stateful', 'dhcpv6-stateful'],
];

const isAuto = (...modes: Mode[]): boolean =>
  modes.some((mode) => mode === 'slaac' || mode === 'dhcpv6-stateless');

const cidrOf = (number: number): string => `fd00:${number}::/64`;

const v6 = (number: number, ra: Mode, address: Mode, wish: Wish = {}) =>
  subnetPayload(number, {
    ip_version: 6,
    cidr: cidrOf(number),
    gateway_ip: `fd00:${number}::1`,
    ipv6_ra_mode: ra,
    ipv6_address_mode: address,
    dns_nameservers: [`fd00:${number}::53`],
    ...wish,
  });

const addressOn = (number: number, port: number, ...modes: Mode[]): string =>
  isAuto(...modes) ? eui64(cidrOf(number), macOf(port)) : `fd00:${number}::${port}`;

const extra_dhcp_opts = [
  { opt_name: 'bootfile-url', opt_value: 'http://boot.example/x', ip_version: 6 },
  { opt_name: '31', opt_value: '[fd00::7b]', ip_version: 6 },
  { opt_name: 'tag:ipxe,67', opt_value: 'http://boot.example/y', ip_version: 4 },
];

function single(ra: Mode, address: Mode): Network {
  const ports = [5, 6].map((port) =>
    portPayload(port, [[1, addressOn(1, port, ra, address)]], port === 6 ? { extra_dhcp_opts } : {}),
  );
  const own = dhcpPort(99, [[1, addressOn(1, 99, ra, address)]]);
  return network([v6(1, ra, address)], [own, ...ports]);
}

function several(): Network {
  const modes: readonly Mode[] = ['slaac', 'dhcpv6-stateless', 'dhcpv6-stateful'];
  const subnets = [
    subnetPayload(1, {
      dns_nameservers: ['192.0.2.53'],
      host_routes: [{ destination: '10.77.0.0/16', nexthop: '10.0.1.7' }],
    }),
    ...modes.map((mode, i) => v6(i + 2, mode, mode)),
    subnetPayload(5, { enable_dhcp: false }),
  ];
  const addresses = (port: number) => [
    [1, `10.0.1.${port}`] as const,
    ...modes.map((mode, i) => [i + 2, addressOn(i + 2, port, mode)] as const),
  ];
  const dns_assignment = [{ ip_address: '10.0.1.6', hostname: 'web', fqdn: 'web.a.example.' }];
  return network(subnets, [
    dhcpPort(99, addresses(99)),
    portPayload(5, [...addresses(5), [4, 'fd00:4::15'], [5, '10.0.5.5']]),
    portPayload(6, addresses(6), { extra_dhcp_opts, dns_assignment }),
    portPayload(7, addresses(7), { extra_dhcp_opts: [{ opt_name: '61', opt_value: '*', ip_version: 4 }] }),
  ]);
}

/** By name of its golden file. */
export const MODES: readonly (readonly [name: string, network: Network])[] = [
  ...COMBINATIONS.map(
    ([ra, address]) => [`mode-${ra ?? 'none'}-${address ?? 'none'}`, single(ra, address)] as const,
  ),
  ['mode-several', several()] as const,
];
