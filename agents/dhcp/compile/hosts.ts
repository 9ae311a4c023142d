/** The files `host` and `addn_hosts`: who gets which address and name (`neutron/agent/linux/dhcp.py`). */
import type { Network } from '../../../lib/model/network.ts';
import type { Port } from '../../../lib/model/port.ts';
import type { Subnet } from '../../../lib/model/subnet.ts';
import type { DhcpOptions } from '../options.ts';
import { portTag } from './identity.ts';
import { allSubnets, configuredPorts } from './subnets.ts';
import { fitsLine, isClientId, isFqdn, isHostName, shown, type Warn } from './text.ts';

export interface HostsInput {
  readonly network: Network;
  readonly options: Pick<DhcpOptions, 'dns_domain' | 'dnsmasq_enable_addr6_list'>;
  /** dnsmasq knows `tag:` in host lines, so that IPv6 ones can be kept from IPv4 clients */
  readonly hostTags: boolean;
  readonly warn: Warn;
}

export interface HostLines {
  readonly host: readonly string[];
  readonly names: readonly string[];
}

type FixedIp = Port['fixed_ips'][number];
interface Names {
  readonly hostname: string;
  readonly fqdn: string;
}

const isClientIdOption = ({ opt_name }: Port['extra_dhcp_opts'][number]): boolean =>
  opt_name === 'client-id' || opt_name === '61';

/** Options of a port that go to the opts file. */
export const optionsOfPort = (port: Port): Port['extra_dhcp_opts'] =>
  port.extra_dhcp_opts.filter((option) => !isClientIdOption(option));

function clientIdOf(port: Port, warn: Warn): string | undefined {
  const option = port.extra_dhcp_opts.find(isClientIdOption);
  const value = option?.opt_value.split('\n')[0];
  if (!option || !value) return undefined;
  if (isClientId(value)) return value;
  const field = `extra_dhcp_opts ${shown(option.opt_name)}: opt_value ${shown(value)}`;
  warn(`port ${port.id}: ${field} is no client id dnsmasq can be told: it is left out`);
  return undefined;
}

function namesOf(port: Port, address: string, input: HostsInput): Names {
  const { options, warn } = input;
  const assigned = port.dns_assignment.find(({ ip_address }) => ip_address === address);
  if (assigned && isHostName(assigned.hostname) && isFqdn(assigned.fqdn)) return assigned;
  if (assigned) {
    const field = isHostName(assigned.hostname) ? 'fqdn' : 'hostname';
    const value = `dns_assignment: ${field} ${shown(assigned[field])}`;
    warn(`port ${port.id}: ${value} is no host name: ${address} gets the usual one`);
  }
  const hostname = `host-${address.replace(/[.:]/g, '-')}`;
  return { hostname, fqdn: options.dns_domain ? `${hostname}.${options.dns_domain}` : hostname };
}

/** dnsmasq reads from the end: an entry without address must not be the one that answers DHCPv4. */
const statelessFirst = (fixedIps: readonly FixedIp[], subnets: ReadonlyMap<string, Subnet>): FixedIp[] => {
  const stateless = (fixed: FixedIp): boolean => {
    const subnet = subnets.get(fixed.subnet_id);
    return subnet?.ip_version === 6 && subnet.ipv6_address_mode === 'dhcpv6-stateless';
  };
  return [...fixedIps.filter(stateless), ...fixedIps.filter((fixed) => !stateless(fixed))];
};

/** The host lines of one port. */
function portLines(port: Port, subnets: ReadonlyMap<string, Subnet>, input: HostsInput): string[] {
  const clientId = clientIdOf(port, input.warn);
  const tagged = optionsOfPort(port).length > 0 ? `,set:${portTag(port.id)}` : '';
  const id = clientId ? `id:${clientId},` : '';
  const v6 = input.hostTags ? 'tag:dhcpv6,' : '';
  /** by subnet: where the line is that takes further addresses */
  const lists = new Map<string, number>();
  const lines: string[] = [];
  for (const fixed of statelessFirst(port.fixed_ips, subnets)) {
    const subnet = subnets.get(fixed.subnet_id);
    if (!subnet?.enable_dhcp) continue;
    const address = fixed.ip_address;
    if (address.includes(':') !== (subnet.ip_version === 6)) {
      const where = `subnet ${subnet.id} is IPv${subnet.ip_version}`;
      input.warn(`port ${port.id}: fixed_ips: ip_address ${shown(address)}: its ${where}: it is left out`);
      continue;
    }
    if (subnet.ip_version === 4) {
      lines.push(`${port.mac_address},${id}${namesOf(port, address, input).fqdn},${address}${tagged}`);
      continue;
    }
    if (subnet.ipv6_address_mode === 'slaac') continue;
    if (subnet.ipv6_address_mode === 'dhcpv6-stateless') {
      if (tagged) lines.push(`${port.mac_address},${v6}set:${portTag(port.id)}`);
      continue;
    }
    const at = input.options.dnsmasq_enable_addr6_list ? lists.get(subnet.id) : undefined;
    const longer =
      at === undefined ? '' : `${lines[at]!.slice(0, -tagged.length || undefined)},[${address}]${tagged}`;
    if (at !== undefined && fitsLine(longer)) lines[at] = longer;
    else {
      lists.set(subnet.id, lines.length);
      const start = `${port.mac_address},${v6}${id}${namesOf(port, address, input).fqdn}`;
      lines.push(`${start},[${address}]${tagged}`);
    }
  }
  return lines;
}

/** What a port's lines are made of beside the port. */
interface Surroundings extends Omit<HostsInput, 'network' | 'warn'> {
  readonly list: readonly Subnet[];
  readonly subnets: ReadonlyMap<string, Subnet>;
}

interface MadeLines extends HostLines {
  readonly surroundings: Surroundings;
  readonly warnings: readonly string[];
}

/** By the first subnet: the surroundings are the same object as long as they are the same. */
const known = new WeakMap<Subnet, Surroundings>();
const made = new WeakMap<Port, MadeLines>();

function surroundingsOf({ network, options, hostTags }: HostsInput): Surroundings {
  const list = allSubnets(network);
  const before = list[0] && known.get(list[0]);
  const same =
    before?.options === options &&
    before.hostTags === hostTags &&
    before.list.length === list.length &&
    list.every((subnet, i) => subnet === before.list[i]);
  if (before && same) return before;
  const subnets = new Map(list.map((subnet) => [subnet.id, subnet]));
  const surroundings: Surroundings = { list, subnets, options, hostTags };
  if (list[0]) known.set(list[0], surroundings);
  return surroundings;
}

/** All lines of a port. A port that is the same object in the same surroundings costs nothing again. */
function linesOfPort(port: Port, surroundings: Surroundings, network: Network): MadeLines {
  const before = made.get(port);
  if (before?.surroundings === surroundings) return before;
  const warnings: string[] = [];
  const input: HostsInput = { ...surroundings, network, warn: (message) => void warnings.push(message) };
  const host = portLines(port, surroundings.subnets, input).filter((line) => {
    const fits = fitsLine(line);
    if (!fits) warnings.push(`port ${port.id}: its entry is too long for dnsmasq and is left out`);
    return fits;
  });
  const names = port.fixed_ips.map(({ ip_address }) => {
    const { hostname, fqdn } = namesOf(port, ip_address, input);
    return `${ip_address}\t${fqdn} ${hostname}`;
  });
  const lines: MadeLines = { host, names, surroundings, warnings: [...new Set(warnings)] };
  made.set(port, lines);
  return lines;
}

/** Lines of both files, ports in the controller's order. */
export function hostLines(input: HostsInput): HostLines {
  const surroundings = surroundingsOf(input);
  const host: string[] = [];
  const names: string[] = [];
  for (const port of configuredPorts(input.network)) {
    const lines = linesOfPort(port, surroundings, input.network);
    for (const line of lines.host) host.push(line);
    for (const line of lines.names) names.push(line);
    for (const message of lines.warnings) input.warn(message);
  }
  return { host, names };
}
