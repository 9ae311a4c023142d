import { z } from 'zod';
import { flag, freeText, id, ip, ipOrCidr, listOf, mac } from './payload.ts';

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

const fixedIp = z.looseObject({ subnet_id: id, ip_address: ip });
const dhcpOption = z.looseObject({
  opt_name: z.string(),
  opt_value: freeText,
  ip_version: z
    .union([z.literal(4), z.literal(6)])
    .nullish()
    .transform((version) => version ?? 4),
});
const addressPair = z.looseObject({ ip_address: ipOrCidr, mac_address: mac.optional() });
const dnsName = z.looseObject({ ip_address: ip, hostname: z.string(), fqdn: z.string() });

/** A port in a network payload. Names, options and domains are tenants' free text: quote them. */
export const port = z.looseObject({
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
  revision_number: z
    .number()
    .nullish()
    .transform((revision) => revision ?? 0),
});
export type Port = z.output<typeof port>;
/** Lists within a port of which each entry stands by itself. */
export const portLists = {
  extra_dhcp_opts: dhcpOption,
  allowed_address_pairs: addressPair,
  dns_assignment: dnsName,
};
