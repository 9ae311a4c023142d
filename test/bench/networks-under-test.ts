/** The networks every DHCP variant serves, in the server's shape: dual stack, a router, instances. */

import { dhcpDeviceId } from '../../agents/dhcp/compile/identity.ts';
import { compileNetwork, type DhcpHost } from '../../agents/dhcp/compile/network.ts';
import { type DhcpOptions, dhcpOptions } from '../../agents/dhcp/options.ts';
import { parseNetwork } from '../../lib/model/network.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { testId } from '../kernel/routers.ts';

export const host: DhcpHost = { name: 'bench', ipv6: true, hostTags: true, inotify: true };

export const optionsIn = (directory: string, given: Readonly<Record<string, unknown>> = {}): DhcpOptions =>
  dhcpOptions({ dhcp_confs: `${directory}/dhcp`, ...given });

const byte = (value: number): string => (value & 255).toString(16).padStart(2, '0');

const networkId = (n: number): string => testId(0xa0, n);
const subnetId = (n: number, family: 4 | 6): string => testId(0x50 + family, n);

/** Port k of network n; both its addresses count up with k. */
function port(n: number, k: number, owner: string, deviceId: string) {
  const ip4 = `10.${k >> 16}.${(k >> 8) & 255}.${k & 255}`;
  return {
    id: testId(0xd0, n, k),
    name: '',
    network_id: networkId(n),
    mac_address: `fa:16:${byte(n >> 8)}:${byte(n)}:${byte(k >> 8)}:${byte(k)}`,
    admin_state_up: true,
    device_id: deviceId,
    device_owner: owner,
    fixed_ips: [
      { subnet_id: subnetId(n, 4), ip_address: ip4 },
      { subnet_id: subnetId(n, 6), ip_address: `fd00:${n.toString(16)}::${k.toString(16)}` },
    ],
    extra_dhcp_opts: [],
    dns_assignment: [],
    revision_number: 3,
  };
}

export type Port = ReturnType<typeof port>;
const FIRST_INSTANCE = 16;

export const instancePort = (n: number, i: number): Port =>
  port(n, FIRST_INSTANCE + i, 'compute:nova', testId(0xc0, n, i));

/** Network n with that many ports of instances, a router's and the agent's own. */
export const networkOf = (n: number, instances: number) => ({
  id: networkId(n),
  name: `network-${n}`,
  project_id: testId(0x70, n),
  admin_state_up: true,
  mtu: 1450,
  subnets: [
    {
      id: subnetId(n, 4),
      name: '',
      network_id: networkId(n),
      ip_version: 4,
      cidr: '10.0.0.0/8',
      gateway_ip: '10.0.0.1',
      enable_dhcp: true,
      dns_nameservers: ['192.0.2.53'],
      host_routes: [{ destination: '192.0.2.0/24', nexthop: '10.0.0.9' }],
      ipv6_ra_mode: null,
      ipv6_address_mode: null,
    },
    {
      id: subnetId(n, 6),
      name: '',
      network_id: networkId(n),
      ip_version: 6,
      cidr: `fd00:${n.toString(16)}::/64`,
      gateway_ip: `fd00:${n.toString(16)}::1`,
      enable_dhcp: true,
      dns_nameservers: [],
      host_routes: [],
      ipv6_ra_mode: 'dhcpv6-stateful',
      ipv6_address_mode: 'dhcpv6-stateful',
    },
  ],
  non_local_subnets: [],
  ports: [
    port(n, 1, 'network:router_interface', testId(0x40, n)),
    port(n, 2, 'network:dhcp', dhcpDeviceId(host.name, networkId(n))),
    ...Array.from({ length: instances }, (_, i) => instancePort(n, i)),
  ],
});

export type Payload = ReturnType<typeof networkOf>;

/** Instances on each of many networks. */
const INSTANCES = 10;

export const networks = (count: number): Payload[] =>
  Array.from({ length: count }, (_, i) => networkOf(i + 1, INSTANCES));

export const groupsOf = (payload: unknown, options: DhcpOptions): RowGroup[] =>
  compileNetwork({ network: parseNetwork(payload), host, options }).groups;
