/**
 * Router advertisements from the DHCP namespace of a network whose IPv6 no router has: hosts make themselves addresses (or
 * ask DHCPv6) as the subnet says, and learn no default route. Neutron has no such thing.
 */
import { type Advertisement, advertisementOf } from '../../../lib/announcement/advertisement.ts';
import { type RadvdPlace, radvdConf, radvdRows } from '../../../lib/announcement/radvd.ts';
import type { Template } from '../../../lib/daemon/template.ts';
import { linkLocal, parseCidr } from '../../../lib/model/ip.ts';
import type { Network } from '../../../lib/model/network.ts';
import { ROUTER_INTERFACE_OWNERS } from '../../../lib/model/port.ts';
import { DELEGATED_POOL, type Subnet } from '../../../lib/model/subnet.ts';
import type { RowGroup } from '../../../lib/namespace/rows.ts';
import type { DhcpOptions } from '../options.ts';
import { dhcpNamespace, networkDirectory } from './identity.ts';
import { servesNetwork } from './subnets.ts';

export function radvdPlace(networkId: string, options: DhcpOptions): RadvdPlace {
  const directory = networkDirectory(options.dhcp_confs, networkId);
  return {
    ns: dhcpNamespace(networkId, options.namespace_suffix),
    id: networkId,
    confPath: `${directory}/radvd.conf`,
    pidFile: `${directory}/radvd.pid`,
  };
}

/**
 * Subnets whose hosts are to be told by OpenStack, by a router's radvd or by ours. A prefix that is delegated to a router
 * leads nowhere without it, and may be another's by now.
 */
const announcedSubnets = (network: Network): Subnet[] =>
  servesNetwork(network)
    ? network.subnets.filter(
        ({ ip_version, enable_dhcp, ipv6_ra_mode, subnetpool_id }) =>
          ip_version === 6 && enable_dhcp && ipv6_ra_mode !== null && subnetpool_id !== DELEGATED_POOL,
      )
    : [];

/** Ids of subnets on which a router has an address. */
const routedSubnets = ({ ports }: Network): ReadonlySet<string> =>
  new Set(
    ports
      .filter(({ device_owner }) => ROUTER_INTERFACE_OWNERS.has(device_owner))
      .flatMap(({ fixed_ips }) => fixed_ips.map(({ subnet_id }) => subnet_id)),
  );

/** Prefixes that a router announces: who heard of one from us must not forget it. */
export function routedPrefixes(network: Network): string[] {
  const subnets = announcedSubnets(network);
  if (subnets.length === 0) return [];
  const routed = routedSubnets(network);
  return subnets.filter(({ id }) => routed.has(id)).map(({ cidr }) => parseCidr(cidr).text);
}

/**
 * Empty if the option is off, or a router has an IPv6 subnet of the network: hosts would take addresses of the others as
 * source of what they send through it, and no answer would come back.
 */
export function isolatedAdvertisements(
  network: Network,
  { device, mac }: { readonly device: string; readonly mac: string },
  options: DhcpOptions,
): Advertisement[] {
  if (!options.enable_isolated_ra || options.wiring === 'null') return [];
  const subnets = announcedSubnets(network);
  if (subnets.length === 0) return [];
  const routed = routedSubnets(network);
  if (network.subnets.some(({ id, ip_version }) => ip_version === 6 && routed.has(id))) return [];
  // The device may have fe80::a9fe:a9fe as well, and so have those of other agents.
  const link = { device, mtu: network.mtu, routes: [], defaultRouter: false, source: linkLocal(mac) };
  return [advertisementOf(link, subnets)];
}

/** radvd's file and process; undefined: nothing is to be announced. */
export function announcement(
  network: Network,
  advertisements: readonly Advertisement[],
  options: DhcpOptions,
  template: Template,
): RowGroup | undefined {
  if (advertisements.length === 0) return undefined;
  const conf = radvdConf(template, `network ${network.id}`, advertisements, options);
  return radvdRows(radvdPlace(network.id, options), conf, options.radvd_user);
}
