import { flag, freeText, id, ipv4, object, orNull, type Read, text } from './reader.ts';

/** A floating IP in a router payload; IPv6 ones do not exist. */
export const floatingIp = object({
  id,
  floating_ip_address: ipv4,
  floating_network_id: id,
  fixed_ip_address: orNull(ipv4),
  port_id: orNull(id),
  router_id: orNull(id),
  status: freeText,
  fixed_ip_address_scope: orNull(text),
  /** distributed routers: host of the VM's port, or one of two words that say it has none */
  host: orNull(text),
  dest_host: orNull(text),
  /** distributed routers: to be centralized on the SNAT host */
  dvr_snat_bound: flag(false),
});
export type FloatingIp = Read<typeof floatingIp>;
