/** The namespace and the DHCP port's device in it (`neutron/agent/linux/dhcp.py`, DeviceManager). */
import { cidrContains, parseCidr } from '../../../lib/model/ip.ts';
import type { Network } from '../../../lib/model/network.ts';
import type { Port } from '../../../lib/model/port.ts';
import type { Subnet } from '../../../lib/model/subnet.ts';
import { address, link, netns, type Row, route, sysctl } from '../../../lib/namespace/rows.ts';
import type { DhcpOptions } from '../options.ts';
import { isStateless } from './subnets.ts';

export const namespaceRows = (ns: string): Row[] => [
  netns(ns),
  link({ ns, name: 'lo', type: 'loopback' }),
  sysctl({ ns, name: 'net/ipv4/conf/all/promote_secondaries', value: '1' }),
  sysctl({ ns, name: 'net/ipv4/ip_nonlocal_bind', value: '1' }),
  sysctl({ ns, name: 'net/ipv6/conf/default/accept_ra', value: '0', optional: true }),
];

export interface DeviceInput {
  readonly ns: string;
  readonly device: string;
  readonly port: Port;
  readonly network: Network;
  readonly options: Pick<DhcpOptions, 'force_metadata' | 'enable_isolated_metadata'>;
  /** the host has IPv6 */
  readonly ipv6: boolean;
}

const METADATA_IPV4 = '169.254.169.254';
const METADATA_IPV6 = 'fe80::a9fe:a9fe';

/** Addresses of the DHCP port on served subnets, and those where metadata requests go. */
export function addressRows({ ns, device, port, network, options, ipv6 }: DeviceInput): Row[] {
  const served = new Map(
    network.subnets.filter(({ enable_dhcp }) => enable_dhcp).map((subnet) => [subnet.id, subnet]),
  );
  const own = port.fixed_ips.flatMap(({ subnet_id, ip_address: ip }) => {
    const subnet = served.get(subnet_id);
    if (!subnet || (subnet.ip_version === 6 && !ipv6)) return [];
    const { prefix, family } = parseCidr(subnet.cidr);
    return [address({ ns, dev: device, ip, prefix, family, broadcast: family === 4 })];
  });
  const metadata: Row[] = [];
  if (options.force_metadata || options.enable_isolated_metadata) {
    metadata.push(address({ ns, dev: device, ip: METADATA_IPV4, prefix: 32, family: 4 }));
    if (ipv6 && network.subnets.some(({ ip_version }) => ip_version === 6))
      metadata.push(address({ ns, dev: device, ip: METADATA_IPV6, prefix: 128, family: 6, scope: 'link' }));
  }
  return [...own, ...metadata];
}

/** A subnet whose gateway may be the namespace's: dnsmasq's own queries leave by it. */
function mayLeadOut(subnet: Subnet, family: 4 | 6): boolean {
  if (subnet.ip_version !== family || !subnet.enable_dhcp || subnet.gateway_ip === null) return false;
  if (family === 4) return true;
  const { prefix } = parseCidr(subnet.cidr);
  return isStateless(subnet) ? prefix === 64 : prefix >= 1 && prefix <= 126;
}

/**
 * Default route of each family: the first subnet with a gateway. Subnets the port has no address on (yet) are
 * passed over: nothing could be reached through them.
 */
export function routeRows({ ns, device, port, network, ipv6 }: DeviceInput): Row[] {
  const reached = new Set(port.fixed_ips.map(({ subnet_id }) => subnet_id));
  const families: (4 | 6)[] = ipv6 ? [4, 6] : [4];
  return families.flatMap((family) => {
    const subnet = [...network.subnets]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .find((candidate) => reached.has(candidate.id) && mayLeadOut(candidate, family));
    if (!subnet?.gateway_ip) return [];
    const via = subnet.gateway_ip;
    const everywhere = family === 4 ? '0.0.0.0/0' : '::/0';
    const rows: Row[] = [
      route({ ns, family, destination: everywhere, nexthops: [{ via, dev: device, weight: 1 }] }),
    ];
    if (cidrContains(subnet.cidr, via) || (family === 6 && cidrContains('fe80::/10', via))) return rows;
    const host = parseCidr(`${via}/${family === 4 ? 32 : 128}`).text;
    const onLink = route({
      ns,
      family,
      destination: host,
      nexthops: [{ dev: device, weight: 1 }],
      scope: family === 4 ? 'link' : 'global',
    });
    return [onLink, ...rows];
  });
}
