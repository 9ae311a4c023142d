import { z } from 'zod';
import { freeText, id, ipv4, orNull } from './payload.ts';

/** A floating IP in a router payload; IPv6 ones do not exist. */
export const floatingIp = z.looseObject({
  id,
  floating_ip_address: ipv4,
  floating_network_id: id,
  fixed_ip_address: orNull(ipv4),
  port_id: orNull(id),
  router_id: orNull(id),
  status: freeText,
  fixed_ip_address_scope: orNull(z.string()),
  /** distributed routers: host of the VM's port, or one of two words that say it has none */
  host: orNull(z.string()),
  dest_host: orNull(z.string()),
  /** distributed routers: to be centralized on the SNAT host */
  dvr_snat_bound: z
    .boolean()
    .nullish()
    .transform((bound) => bound ?? false),
});
export type FloatingIp = z.output<typeof floatingIp>;
