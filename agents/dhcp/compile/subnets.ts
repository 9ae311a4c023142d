/** Which subnets are served, and how (`neutron/agent/linux/dhcp.py`). */
import { parseCidr } from '../../../lib/model/ip.ts';
import type { Network } from '../../../lib/model/network.ts';
import { DEVICE_OWNER, type Port, ROUTER_INTERFACE_OWNERS } from '../../../lib/model/port.ts';
import type { Subnet } from '../../../lib/model/subnet.ts';

/** Ports that get no configuration: agents' own, HA networks' and floating IPs. */
const UNCONFIGURED_OWNERS: ReadonlySet<string> = new Set([
  DEVICE_OWNER.haPort,
  DEVICE_OWNER.floatingIp,
  DEVICE_OWNER.dhcp,
  'network:distributed',
]);

/** This host's subnets, then those of other segments; each part as the controller ordered it (by id). */
export const allSubnets = (network: Network): Subnet[] => [...network.subnets, ...network.non_local_subnets];

export const servesNetwork = (network: Network): boolean =>
  network.admin_state_up && network.subnets.some(({ enable_dhcp }) => enable_dhcp);

export const configuredPorts = (network: Network): Port[] =>
  network.ports.filter(({ device_owner }) => !UNCONFIGURED_OWNERS.has(device_owner));

/** Prefixes shorter than /64 are not served: dnsmasq can't. */
const SHORTEST_IPV6_PREFIX = 64;

/** Has a dhcp-range: IPv6 ones only if addresses or options come from DHCPv6 of ours. */
export function hasRange(subnet: Subnet): boolean {
  if (!subnet.enable_dhcp) return false;
  if (subnet.ip_version === 4) return true;
  const { ipv6_address_mode: addressMode, ipv6_ra_mode: raMode } = subnet;
  const serves = addressMode === null ? raMode === null : addressMode !== 'slaac';
  return serves && parseCidr(subnet.cidr).prefix >= SHORTEST_IPV6_PREFIX;
}

const isStatelessMode = (mode: string | null): boolean => mode === 'slaac' || mode === 'dhcpv6-stateless';

/** Addresses come from router advertisements. */
export const isStateless = (subnet: Subnet): boolean =>
  subnet.ip_version === 6 &&
  (isStatelessMode(subnet.ipv6_address_mode) || isStatelessMode(subnet.ipv6_ra_mode));

/** No router of Neutron has the subnet's gateway address: metadata must come another way. */
export const isIsolated = (subnet: Subnet, network: Network): boolean =>
  !network.ports.some(
    (port) =>
      ROUTER_INTERFACE_OWNERS.has(port.device_owner) &&
      port.fixed_ips.some((fixed) => fixed.subnet_id === subnet.id && fixed.ip_address === subnet.gateway_ip),
  );
