/**
 * What the hosts of one link are told by router advertisements, as plain values (RFC 4861, RFC 4191 for routes,
 * RFC 8106 for name servers), and how that follows from subnets (`neutron/agent/linux/ra.py`). Pure.
 */
import { ipFamily, parseCidr } from '../model/ip.ts';
import { UNDELEGATED } from '../model/subnet.ts';

export interface AdvertisedPrefix {
  /** canonical CIDR */
  readonly prefix: string;
  /** hosts make themselves an address in it (SLAAC) */
  readonly autonomous: boolean;
}

/** The advertisements of one device. */
export interface Advertisement {
  readonly device: string;
  /** bytes; undefined: hosts are told none */
  readonly mtu: number | undefined;
  /** M: addresses are to be had by DHCPv6 */
  readonly managed: boolean;
  /** O: other things, such as name servers, are to be had by DHCPv6 */
  readonly otherConfig: boolean;
  readonly prefixes: readonly AdvertisedPrefix[];
  /** addresses, at most MOST_NAME_SERVERS */
  readonly nameServers: readonly string[];
  /** more specific routes through the sender */
  readonly routes: readonly string[];
  /** false: the sender leads nowhere, and says so by a router lifetime of 0 */
  readonly defaultRouter: boolean;
  /** link-local address it comes from; undefined: the device's first */
  readonly source?: string | undefined;
}

/** What of a subnet matters here. */
export interface AnnouncedSubnet {
  readonly cidr: string;
  readonly ipv6_ra_mode: 'slaac' | 'dhcpv6-stateless' | 'dhcpv6-stateful' | null;
  readonly dns_nameservers: readonly string[];
}

export interface Link {
  readonly device: string;
  /** of the network; null or undefined: not known */
  readonly mtu: number | null | undefined;
  readonly routes: readonly string[];
  readonly defaultRouter: boolean;
  readonly source?: string;
}

/** Neutron's MAX_RDNSS_ENTRIES. */
const MOST_NAME_SERVERS = 3;
/** RFC 8200 §5: a link with less carries no IPv6. */
const LEAST_MTU = 1280;
/** As the only name server of a subnet: hosts are to be told none. */
const NO_NAME_SERVER = '::';

const nameServersOf = (subnets: readonly AnnouncedSubnet[]): string[] => {
  const all = subnets
    .filter(({ ipv6_ra_mode }) => ipv6_ra_mode === 'slaac')
    .flatMap(({ dns_nameservers }) => dns_nameservers)
    .filter((ip) => ipFamily(ip) === 6 && ip !== NO_NAME_SERVER);
  return [...new Set(all)].slice(0, MOST_NAME_SERVERS);
};

/** `subnets`: the IPv6 subnets of the link, in the controller's order. One without ipv6_ra_mode adds no prefix. */
export function advertisementOf(link: Link, subnets: readonly AnnouncedSubnet[]): Advertisement {
  // To radvd that prefix would mean every prefix of the device.
  const announced = subnets.filter(({ cidr }) => parseCidr(cidr).text !== UNDELEGATED);
  return {
    device: link.device,
    mtu: link.mtu && link.mtu >= LEAST_MTU ? link.mtu : undefined,
    managed: announced.some(({ ipv6_ra_mode }) => ipv6_ra_mode === 'dhcpv6-stateful'),
    otherConfig: announced.some(({ ipv6_ra_mode }) => ipv6_ra_mode === 'dhcpv6-stateless'),
    prefixes: announced
      .filter(({ ipv6_ra_mode }) => ipv6_ra_mode !== null)
      .map(({ cidr, ipv6_ra_mode }) => ({
        prefix: parseCidr(cidr).text,
        autonomous: ipv6_ra_mode !== 'dhcpv6-stateful',
      })),
    nameServers: nameServersOf(announced),
    routes: link.routes,
    defaultRouter: link.defaultRouter,
    source: link.source,
  };
}
