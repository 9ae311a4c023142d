/** The command line of a network's dnsmasq (`neutron/agent/linux/dhcp.py`); the order is Neutron's. */
import { cidrSize, netmask, parseCidr } from '../../../lib/model/ip.ts';
import type { Network } from '../../../lib/model/network.ts';
import type { Subnet } from '../../../lib/model/subnet.ts';
import type { DhcpOptions } from '../options.ts';
import { subnetTag } from './identity.ts';
import { allSubnets, hasRange } from './subnets.ts';

/**
 * Directories that dnsmasq watches: lines added there are served without a signal (see ../reload.ts). They are
 * one inside the other, so that making the innermost makes all: dnsmasq doesn't start if one is missing.
 */
export const addedHosts = (directory: string): string => `${directory}/added`;
export const addedNames = (directory: string): string => `${directory}/added/names`;
export const addedOpts = (directory: string): string => `${directory}/added/names/opts`;

/** Neutron's command line has none of these: they stand after it, and only a dnsmasq we started has them. */
const watching = (directory: string): string[] => [
  `--dhcp-hostsdir=${addedHosts(directory)}`,
  `--hostsdir=${addedNames(directory)}`,
  `--dhcp-optsdir=${addedOpts(directory)}`,
];

function rangeArgument(subnet: Subnet, options: DhcpOptions): string {
  const { network, prefix } = parseCidrText(subnet.cidr);
  const mask = subnet.ip_version === 4 ? netmask(prefix) : String(prefix);
  const lease = options.dhcp_lease_duration === -1 ? 'infinite' : `${options.dhcp_lease_duration}s`;
  return `--dhcp-range=set:${subnetTag(subnet.id)},${network},static,${mask},${lease}`;
}

function parseCidrText(cidr: string): { network: string; prefix: number } {
  const { text, prefix } = parseCidr(cidr);
  return { network: text.slice(0, text.indexOf('/')), prefix };
}

const when = (condition: unknown, ...args: string[]): string[] => (condition ? args : []);

/** As many leases as there are addresses, but no more than the operator wants. */
export function mostLeases(
  network: Network,
  { dnsmasq_lease_max }: Pick<DhcpOptions, 'dnsmasq_lease_max'>,
): number {
  const addresses = allSubnets(network)
    .filter(hasRange)
    .reduce((sum, { cidr }) => sum + cidrSize(cidr), 0n);
  return addresses < BigInt(dnsmasq_lease_max) ? Number(addresses) : dnsmasq_lease_max;
}

export interface DnsmasqInput {
  readonly network: Network;
  readonly options: DhcpOptions;
  /** the network's configuration directory */
  readonly directory: string;
  /** with the watched directories; without: exactly Neutron's command line */
  readonly watch: boolean;
}

export function dnsmasqArguments({ network, options, directory, watch }: DnsmasqInput): string[] {
  const served = allSubnets(network).filter(hasRange);
  const servers = options.dnsmasq_dns_servers;
  const logs = options.dnsmasq_base_log_dir;
  return [
    'dnsmasq',
    '--no-hosts',
    ...when(servers.length > 0 || !options.dnsmasq_local_resolv, '--no-resolv'),
    `--pid-file=${directory}/pid`,
    `--dhcp-hostsfile=${directory}/host`,
    `--addn-hosts=${directory}/addn_hosts`,
    `--dhcp-optsfile=${directory}/opts`,
    `--dhcp-leasefile=${directory}/leases`,
    '--dhcp-match=set:ipxe,175',
    '--dhcp-userclass=set:ipxe6,iPXE',
    '--local-service',
    '--bind-dynamic',
    ...served.map((subnet) => rangeArgument(subnet, options)),
    ...when(network.mtu, `--dhcp-option-force=option:mtu,${network.mtu}`),
    `--dhcp-lease-max=${mostLeases(network, options)}`,
    ...when(options.dhcp_renewal_time, `--dhcp-option-force=option:T1,${options.dhcp_renewal_time}s`),
    ...when(options.dhcp_rebinding_time, `--dhcp-option-force=option:T2,${options.dhcp_rebinding_time}s`),
    ...when(options.dnsmasq_txt_record, `--txt-record=${options.dnsmasq_txt_record}`),
    `--conf-file=${options.dnsmasq_config_file || '/dev/null'}`,
    ...servers.map((server) => `--server=${server}`),
    ...when(options.dns_domain, `--domain=${options.dns_domain}`),
    ...when(options.dhcp_broadcast_reply, '--dhcp-broadcast'),
    ...when(logs, '--log-queries', '--log-dhcp', `--log-facility=${logs}/${network.id}/dhcp_dns_log`),
    ...when(watch, ...watching(directory)),
  ];
}
