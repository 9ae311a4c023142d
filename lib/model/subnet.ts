import { z } from 'zod';
import { cidr, flag, freeText, id, ip, ipv6Mode, listOf, orNull, route } from './payload.ts';

const allocationPool = z.looseObject({ start: ip, end: ip });

/** A subnet in a network payload (Neutron: api/rpc/handlers/dhcp_rpc.py). */
export const subnet = z
  .looseObject({
    id,
    name: freeText,
    network_id: id,
    ip_version: z.union([z.literal(4), z.literal(6)]),
    cidr,
    gateway_ip: orNull(ip),
    enable_dhcp: flag(true),
    dns_nameservers: listOf(ip),
    host_routes: listOf(route),
    allocation_pools: listOf(allocationPool),
    ipv6_ra_mode: ipv6Mode,
    ipv6_address_mode: ipv6Mode,
  })
  .superRefine(({ ip_version, cidr: text, gateway_ip }, context) => {
    const fits = (value: string): boolean => value.includes(':') === (ip_version === 6);
    for (const [name, value] of Object.entries({ cidr: text, gateway_ip })) {
      if (value === null || fits(value)) continue;
      const message = `${JSON.stringify(value)} is not IPv${ip_version}`;
      context.addIssue({ code: 'custom', path: [name], message });
    }
  });
/** Lists within a subnet of which each entry stands by itself. */
export const subnetLists = { dns_nameservers: ip, host_routes: route, allocation_pools: allocationPool };
export type Subnet = z.output<typeof subnet>;
