import {
  cidr,
  family,
  flag,
  freeText,
  Invalid,
  id,
  ip,
  ipv6Mode,
  listOf,
  object,
  orNull,
  type Read,
  type Reader,
  route,
} from './reader.ts';

/** Stands in a subnet whose prefix is not delegated yet. */
export const UNDELEGATED = '::/64';
/** subnetpool_id of a subnet whose prefix is delegated to its router (`neutron_lib/constants.py`). */
export const DELEGATED_POOL = 'prefix_delegation';

const allocationPool = object({ start: ip, end: ip });

const fields = object({
  id,
  name: freeText,
  network_id: id,
  ip_version: family,
  cidr,
  gateway_ip: orNull(ip),
  enable_dhcp: flag(true),
  dns_nameservers: listOf(ip),
  host_routes: listOf(route),
  allocation_pools: listOf(allocationPool),
  ipv6_ra_mode: ipv6Mode,
  ipv6_address_mode: ipv6Mode,
});
export type Subnet = Read<typeof fields>;

/** A subnet in a network payload (Neutron: api/rpc/handlers/dhcp_rpc.py). */
export const subnet: Reader<Subnet> = (value) => {
  const read = fields(value);
  for (const name of ['cidr', 'gateway_ip'] as const) {
    const text = read[name];
    if (text === null || text.includes(':') === (read.ip_version === 6)) continue;
    const wrong = new Invalid(text, `is not IPv${read.ip_version}`);
    wrong.path.push(name);
    throw wrong;
  }
  return read;
};

/** Lists within a subnet of which each entry stands by itself. */
export const subnetLists = { dns_nameservers: ip, host_routes: route, allocation_pools: allocationPool };
