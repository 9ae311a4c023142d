import { z } from 'zod';
import { cidr, flag, freeText, id, ip, ipv6Mode, listOf, orNull, route } from './payload.ts';

/** A subnet in a network payload (Neutron: api/rpc/handlers/dhcp_rpc.py). */
export const subnet = z.looseObject({
  id,
  name: freeText,
  network_id: id,
  ip_version: z.union([z.literal(4), z.literal(6)]),
  cidr,
  gateway_ip: orNull(ip),
  enable_dhcp: flag(true),
  dns_nameservers: listOf(ip),
  host_routes: listOf(route),
  allocation_pools: listOf(z.looseObject({ start: ip, end: ip })),
  ipv6_ra_mode: ipv6Mode,
  ipv6_address_mode: ipv6Mode,
});
export type Subnet = z.output<typeof subnet>;

/** A subnet beside a router port: what the L3 agent is told of it (Neutron: db/l3_db.py). */
export const routerSubnet = z.looseObject({
  id,
  cidr,
  gateway_ip: orNull(ip),
  dns_nameservers: listOf(ip),
  ipv6_ra_mode: ipv6Mode,
});
export type RouterSubnet = z.output<typeof routerSubnet>;
