/** Networks and subnets of a topology: rules of the Networking API, defaults, default allocation pools. */
import {
  type Cidr,
  cidrContains,
  cidrLast,
  cidrsOverlap,
  ipFromValue,
  parseCidr,
  parseIp,
} from '../model/ip.ts';
import { UNDELEGATED } from '../model/subnet.ts';
import type { Context } from './context.ts';
import type { NetworkEntry, SubnetEntry } from './entries.ts';
import type { AllocationPool, TopologyNetwork, TopologySubnet } from './topology.ts';

/** Hosts make their own addresses in it (from router advertisements). */
export function isAutoAddress({ cidr, ipv6_ra_mode, ipv6_address_mode }: TopologySubnet): boolean {
  const { family, prefix } = parseCidr(cidr);
  const modes = [ipv6_ra_mode, ipv6_address_mode];
  return family === 6 && prefix === 64 && (modes.includes('slaac') || modes.includes('dhcpv6-stateless'));
}

const bitsOf = (cidr: Cidr): number => (cidr.family === 4 ? 32 : 128);

/** First and last address that a port can have. */
export function usableRange(cidr: Cidr): { first: bigint; last: bigint } {
  const last = parseIp(cidrLast(cidr)).value;
  if (cidr.prefix >= bitsOf(cidr) - 1) return { first: cidr.network, last };
  return { first: cidr.network + 1n, last: cidr.family === 4 ? last - 1n : last };
}

const NOT_FOR_SUBNETS = [
  '127.0.0.0/8',
  '224.0.0.0/4',
  '240.0.0.0/4',
  'ff00::/8',
  'fe80::/10',
  '::/128',
  '::1/128',
];

function checkCidr(entry: SubnetEntry, cidr: Cidr): void {
  const { section } = entry;
  if (cidr.prefix === 0 || NOT_FOR_SUBNETS.some((one) => cidrsOverlap(one, cidr))) {
    section.source.report(
      entry.cidr!.at,
      `${section.subject}: ${cidr.text} can't be a subnet (any, loopback, link-local or multicast)`,
      'choose another range',
    );
  }
  if (entry.ipVersion && entry.ipVersion.value !== cidr.family) {
    section.source.report(
      entry.ipVersion.at,
      `${section.subject}: ip_version ${entry.ipVersion.value} does not fit ${cidr.text}`,
      `write ${cidr.family} or leave it out`,
    );
  }
}

function gatewayOf(entry: SubnetEntry, cidr: Cidr): string | null {
  const { section, gateway } = entry;
  const { first, last } = usableRange(cidr);
  if (entry.noGateway) return null;
  if (!gateway) return ipFromValue(cidr.family, first);
  const { family, value } = parseIp(gateway.value);
  const wrong = (message: string, fix: string) =>
    section.source.report(gateway.at, `${section.subject}: gateway_ip ${gateway.value} ${message}`, fix);
  if (family !== cidr.family) {
    wrong(`is not IPv${cidr.family}`, `write one like ${ipFromValue(cidr.family, first)}`);
  } else if (family === 4 && cidrContains(cidr, gateway.value) && (value < first || value > last)) {
    wrong(`is the network's or broadcast address of ${cidr.text}`, `write ${ipFromValue(4, first)}`);
  }
  return gateway.value;
}

/** All usable addresses but the gateway's, as the Networking API does it. */
function defaultPools(cidr: Cidr, gateway: string | null): AllocationPool[] {
  const { first, last } = usableRange(cidr);
  const hole = gateway !== null && cidrContains(cidr, gateway) ? parseIp(gateway).value : undefined;
  const ranges =
    hole === undefined
      ? [[first, last]]
      : [
          [first, hole - 1n],
          [hole + 1n, last],
        ];
  return ranges.flatMap(([start, end]) =>
    start! > end! ? [] : [{ start: ipFromValue(cidr.family, start!), end: ipFromValue(cidr.family, end!) }],
  );
}

function poolsOf(entry: SubnetEntry, cidr: Cidr, gateway: string | null): AllocationPool[] {
  if (!entry.pools) return defaultPools(cidr, gateway);
  const { first, last } = usableRange(cidr);
  const { section } = entry;
  const kept: { start: string; end: string; from: bigint; to: bigint }[] = [];
  let wrongs = 0;
  for (const { start, end, at } of entry.pools) {
    const [from, to] = [parseIp(start), parseIp(end)];
    const wrong = (message: string, fix: string) => {
      wrongs += 1;
      section.source.report(at, `${section.subject}: allocation pool ${start} to ${end} ${message}`, fix);
    };
    if (from.family !== cidr.family || to.family !== cidr.family || from.value < first || to.value > last) {
      const range = `${ipFromValue(cidr.family, first)} to ${ipFromValue(cidr.family, last)}`;
      wrong(`is not within ${cidr.text}`, `stay within ${range}`);
    } else if (from.value > to.value) {
      wrong('ends before it starts', 'swap the two');
    } else if (kept.some((one) => from.value <= one.to && one.from <= to.value)) {
      wrong('overlaps another pool of the subnet', 'make them disjoint');
    } else if (gateway !== null && gateway.includes(':') === start.includes(':')) {
      const value = parseIp(gateway).value;
      if (value >= from.value && value <= to.value) wrong(`holds the gateway_ip ${gateway}`, 'leave it out');
    }
    kept.push({ start, end, from: from.value, to: to.value });
  }
  // With wrong pools nothing can be said about the addresses of ports: go on as if there were none.
  return wrongs > 0 ? defaultPools(cidr, gateway) : kept.map(({ start, end }) => ({ start, end }));
}

function checkModes(entry: SubnetEntry, cidr: Cidr, enableDhcp: boolean): void {
  const { section, raMode, addressMode } = entry;
  const given = raMode ?? addressMode;
  if (!given) return;
  const wrong = (message: string, fix: string) =>
    section.source.report(given.at, `${section.subject}: ${message}`, fix);
  if (cidr.family === 4) wrong('IPv6 modes on an IPv4 subnet', 'remove them');
  else if (!enableDhcp) wrong('IPv6 modes need enable_dhcp', 'set enable_dhcp: true or remove them');
  else if (raMode && addressMode && raMode.value !== addressMode.value) {
    wrong(
      `ipv6_ra_mode ${raMode.value} and ipv6_address_mode ${addressMode.value} differ`,
      'make them the same',
    );
  } else if (given.value !== 'dhcpv6-stateful' && cidr.prefix !== 64) {
    wrong(`${given.value} needs a prefix of 64 bits, not ${cidr.prefix}`, 'use a /64');
  }
}

/** What the Networking API asks of a subnet whose prefix is delegated. */
function checkDelegated(entry: SubnetEntry, network: TopologyNetwork): boolean {
  const { section } = entry;
  const before = section.source.problems.length;
  const unfit = { cidr: entry.cidr, gateway_ip: entry.gateway, allocation_pools: entry.pools };
  for (const [key, value] of Object.entries(unfit))
    if (value) section.wrong(`has subnetpool_id and ${key}, which comes with the prefix`, `remove ${key}`);
  if (!entry.name) section.wrong('has subnetpool_id and no name to know it by', "add 'name'");
  if (entry.ipVersion?.value === 4) section.wrong('only IPv6 prefixes are delegated', 'write ip_version: 6');
  for (const mode of [entry.raMode, entry.addressMode])
    if (mode?.value !== 'slaac' && mode?.value !== 'dhcpv6-stateless') {
      section.wrong(
        'has subnetpool_id, and hosts that do not make their own addresses',
        'set ipv6_ra_mode and ipv6_address_mode to slaac or dhcpv6-stateless',
      );
      break;
    }
  if (network.external)
    section.wrong('has subnetpool_id on an external network', 'put it on an internal one');
  return section.source.problems.length === before;
}

function subnetOf(
  entry: SubnetEntry,
  network: TopologyNetwork,
  { id, cidr }: { readonly id: string; readonly cidr: Cidr },
): TopologySubnet {
  const enableDhcp = entry.enableDhcp ?? !network.external;
  checkModes(entry, cidr, enableDhcp);
  if (enableDhcp && cidr.prefix >= bitsOf(cidr) - 1) {
    entry.section.wrong(`${cidr.text} is too small for DHCP`, 'use a shorter prefix or enable_dhcp: false');
  }
  const gateway = gatewayOf(entry, cidr);
  return {
    id,
    name: entry.name?.value ?? '',
    network_id: network.id,
    project_id: network.project_id,
    cidr: cidr.text,
    ip_version: cidr.family,
    gateway_ip: gateway,
    allocation_pools: poolsOf(entry, cidr, gateway),
    dns_nameservers: entry.dnsNameservers,
    host_routes: entry.hostRoutes,
    enable_dhcp: enableDhcp,
    ipv6_ra_mode: entry.raMode?.value ?? null,
    ipv6_address_mode: entry.addressMode?.value ?? null,
    subnetpool_id: entry.pool?.value ?? null,
  };
}

function resolveSubnet(context: Context, entry: SubnetEntry, network: TopologyNetwork): void {
  const { section } = entry;
  const given = entry.pool ? undefined : entry.cidr?.value;
  const path = entry.name?.value ?? given ?? `at ${entry.at}`;
  const id = entry.id?.value ?? context.makeId('network', network.name, 'subnet', path);
  const names = [entry.name?.value, given];
  if (entry.pool) {
    const cidr = context.delegated.get(id) ?? UNDELEGATED;
    const subnet = checkDelegated(entry, network) && subnetOf(entry, network, { id, cidr: parseCidr(cidr) });
    if (subnet) network.subnets.push(subnet);
    else context.incomplete.add(network.id);
    context.subnets.add(id, names, entry.at, subnet || undefined, network.id);
    return;
  }
  if (given === undefined) {
    context.incomplete.add(network.id);
    context.subnets.add(id, names, entry.at, undefined, network.id);
    return;
  }
  const cidr = parseCidr(given);
  checkCidr(entry, cidr);
  const subnet = subnetOf(entry, network, { id, cidr });
  const overlapping = network.subnets.find((other) => cidrsOverlap(other.cidr, cidr));
  if (overlapping) {
    section.source.report(
      entry.cidr!.at,
      `${section.subject}: ${cidr.text} overlaps subnet ${overlapping.cidr} of the same network`,
      'choose ranges that do not overlap',
    );
  }
  network.subnets.push(subnet);
  context.subnets.add(id, names, entry.at, subnet, network.id);
}

function resolveNetwork(context: Context, entry: NetworkEntry): void {
  const name = entry.name?.value;
  if (name === undefined) return;
  const network: TopologyNetwork = {
    id: entry.id?.value ?? context.makeId('network', name),
    name,
    external: entry.external,
    mtu: entry.mtu?.value ?? 1500,
    dns_domain: entry.dnsDomain?.value.replace(/\.$/, '') ?? '',
    physical_interface: entry.physicalInterface?.value,
    project_id: entry.project?.value ?? context.name,
    admin_state_up: entry.adminStateUp,
    subnets: [],
  };
  const device = entry.physicalInterface;
  const other = device && context.all.networks.find((one) => one.physical_interface === device.value);
  if (other) {
    const message = `${entry.section.subject}: ${device.value} is already the physical_interface of ${other.name}`;
    context.source.report(device.at, message, 'give each network a device of its own');
  }
  context.networks.add(network.id, [name], entry.at, network);
  context.all.networks.push(network);
}

/** `loose` are the subnets of the top-level section, which name their network. */
export function resolveNetworks(
  context: Context,
  entries: readonly NetworkEntry[],
  loose: readonly SubnetEntry[],
): void {
  for (const entry of entries) resolveNetwork(context, entry);
  const owners = new Map(context.all.networks.map((network) => [network.name, network]));
  for (const entry of entries) {
    const network = owners.get(entry.name?.value ?? '');
    for (const subnet of entry.subnets) {
      if (subnet.network && subnet.network.value !== network?.name && subnet.network.value !== network?.id) {
        const message = `${subnet.section.subject}: 'network' names another network than the one it is in`;
        context.source.report(subnet.network.at, message, "remove 'network'");
      }
      if (network) resolveSubnet(context, subnet, network);
    }
  }
  for (const subnet of loose) {
    subnet.section.required('network', subnet.network, 'name the network it is on');
    const network = subnet.network && context.networks.find(subnet.network, subnet.section.subject);
    if (network) resolveSubnet(context, subnet, network);
    else
      context.subnets.add(`at ${subnet.at}`, [subnet.name?.value, subnet.cidr?.value], subnet.at, undefined);
  }
  for (const entry of entries) {
    const network = owners.get(entry.name?.value ?? '');
    const v6 = network?.subnets.find(({ ip_version }) => ip_version === 6);
    if (entry.mtu && v6 && entry.mtu.value < 1280) {
      const message = `${entry.section.subject}: mtu ${entry.mtu.value} is too small for its IPv6 subnet ${v6.cidr}`;
      context.source.report(entry.mtu.at, message, 'write at least 1280');
    }
  }
}
