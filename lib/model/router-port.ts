import {
  cidr,
  flag,
  freeText,
  Invalid,
  id,
  integer,
  ip,
  ipv6Mode,
  isObject,
  listOf,
  mac,
  mtu,
  object,
  orNull,
  type Read,
  type Reader,
  text,
} from './reader.ts';

/** A subnet beside a router port: what the L3 agent is told of it (Neutron: db/l3_db.py). */
const routerSubnet = object({
  id,
  cidr,
  gateway_ip: orNull(ip),
  dns_nameservers: listOf(ip),
  ipv6_ra_mode: ipv6Mode,
  subnetpool_id: orNull(text),
});
export type RouterSubnet = Read<typeof routerSubnet>;

/** Address scope id (or null) by IP version; the versions are text. */
const addressScopes: Reader<Readonly<Record<string, string | null>>> = (value) => {
  if (value === undefined || value === null) return {};
  const scopes = isObject(value) ? Object.values(value) : [value];
  if (!scopes.every((scope) => scope === null || typeof scope === 'string'))
    throw new Invalid(value, 'is not address scopes by IP version');
  return value as Readonly<Record<string, string | null>>;
};

/** `prefixlen` null: a server says the length once for each subnet, with the port's first address in it (db/l3_db.py). */
const fixedIp = object({ subnet_id: id, ip_address: ip, prefixlen: orNull(integer(0, 128)) });

/** A port in a router payload: gateway, interface, HA, centralized SNAT or agent gateway port. */
export const routerPort = object({
  id,
  network_id: id,
  mac_address: mac,
  mtu,
  admin_state_up: flag(true),
  device_id: freeText,
  device_owner: freeText,
  fixed_ips: listOf(fixedIp),
  subnets: listOf(routerSubnet),
  extra_subnets: listOf(routerSubnet),
  address_scopes: addressScopes,
  status: freeText,
  'binding:host_id': freeText,
});
export type RouterPort = Read<typeof routerPort>;
