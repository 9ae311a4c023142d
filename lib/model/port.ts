import {
  family,
  flag,
  freeText,
  id,
  ip,
  ipOrCidr,
  listOf,
  mac,
  numberOr,
  object,
  optional,
  orElse,
  type Read,
  text,
} from './reader.ts';

/** device_owner of ports that the agents treat specially (neutron-lib constants.py). */
export const DEVICE_OWNER = {
  dhcp: 'network:dhcp',
  floatingIp: 'network:floatingip',
  routerInterface: 'network:router_interface',
  distributedInterface: 'network:router_interface_distributed',
  haInterface: 'network:ha_router_replicated_interface',
  routerGateway: 'network:router_gateway',
  haPort: 'network:router_ha_interface',
  centralizedSnat: 'network:router_centralized_snat',
  agentGateway: 'network:floatingip_agent_gateway',
} as const;

/** device_owner of the internal interfaces of every kind of router. */
export const ROUTER_INTERFACE_OWNERS: ReadonlySet<string> = new Set([
  DEVICE_OWNER.routerInterface,
  DEVICE_OWNER.distributedInterface,
  DEVICE_OWNER.haInterface,
]);

const fixedIp = object({ subnet_id: id, ip_address: ip });
const dhcpOption = object({
  opt_name: text,
  opt_value: freeText,
  ip_version: orElse(family, 4),
});
const addressPair = object({ ip_address: ipOrCidr, mac_address: optional(mac) });
const dnsName = object({ ip_address: ip, hostname: text, fqdn: text });

/** A port in a network payload. Names, options and domains are tenants' free text: quote them. */
export const port = object({
  id,
  name: freeText,
  network_id: id,
  mac_address: mac,
  admin_state_up: flag(true),
  device_id: freeText,
  device_owner: freeText,
  fixed_ips: listOf(fixedIp),
  extra_dhcp_opts: listOf(dhcpOption),
  allowed_address_pairs: listOf(addressPair),
  dns_assignment: listOf(dnsName),
  'binding:host_id': freeText,
  revision_number: numberOr(0),
});
export type Port = Read<typeof port>;
/** Lists within a port of which each entry stands by itself. */
export const portLists = {
  extra_dhcp_opts: dhcpOption,
  allowed_address_pairs: addressPair,
  dns_assignment: dnsName,
};
