/**
 * The ports of a topology: those in the file and those that follow from it (router interfaces, gateways,
 * DHCP, floating IPs), and what they get: a MAC and addresses. What the file gives explicitly is reserved
 * first; then the rest takes the first free address, DHCP ports first, then in the order of the file, so
 * that an object more at the end changes no other.
 */
import { cidrContains, eui64, ipFromValue, parseCidr, parseIp } from '../model/ip.ts';
import { DEVICE_OWNER, ROUTER_INTERFACE_OWNERS } from '../model/port.ts';
import { UNDELEGATED } from '../model/subnet.ts';
import type { Context } from './context.ts';
import type { Given } from './document.ts';
import type { FixedIpEntry, PortEntry } from './entries.ts';
import { dhcpDeviceId, macOf } from './identity.ts';
import { isAutoAddress, usableRange } from './networks.ts';
import type { TopologyNetwork, TopologyPort, TopologySubnet } from './topology.ts';

interface Wanted {
  readonly subnet?: TopologySubnet;
  readonly address?: Given<string>;
}

/** A port on its way to become a TopologyPort. */
export interface PortPlan extends Omit<TopologyPort, 'mac_address' | 'allowed_address_pairs'> {
  readonly at: number;
  /** what errors call it: 'port "a"' */
  readonly label: string;
  readonly network: TopologyNetwork;
  device_owner: string;
  device_id: string;
  project_id: string;
  /** the file says so: it does not take that of its instance */
  readonly ownProject?: boolean;
  dns_name: string;
  readonly mac?: Given<string>;
  readonly pairs: PortEntry['addressPairs'];
  /** undefined: an address of each IP version */
  wanted?: Wanted[];
  mac_address: string;
  fixed_ips: { subnet: TopologySubnet; subnet_id: string; ip_address: string }[];
}

type PlanInput = Pick<PortPlan, 'id' | 'at' | 'label' | 'network' | 'device_owner'> & Partial<PortPlan>;

/** Adds a port; `names` are what references may call it. */
export function planPort(context: Context, input: PlanInput, names: readonly string[] = []): PortPlan {
  const plan: PortPlan = {
    name: '',
    network_id: input.network.id,
    device_id: '',
    project_id: context.name,
    dns_name: '',
    admin_state_up: true,
    extra_dhcp_opts: [],
    pairs: [],
    mac_address: '',
    fixed_ips: [],
    ...input,
  };
  context.all.ports.push(plan);
  context.ports.add(plan.id, names, plan.at, plan);
  return plan;
}

/** Resolves the subnets of a fixed_ips list; addresses without one get theirs later. */
export function wantedOf(
  context: Context,
  entries: readonly FixedIpEntry[] | undefined,
  network: TopologyNetwork,
  label: string,
): Wanted[] | undefined {
  return entries?.flatMap(({ subnet, address }) => {
    if (!subnet) return [{ address }];
    const found = context.subnets.find(subnet, label, {
      says: `on network ${JSON.stringify(network.name)}`,
      matches: (one) => one.network_id === network.id,
    });
    return found ? [{ subnet: found, address }] : [];
  });
}

export function planPortEntry(context: Context, entry: PortEntry): void {
  const name = entry.name?.value;
  const label = entry.section.subject;
  const network = entry.network && context.networks.find(entry.network, label);
  if (name === undefined) return;
  const id = entry.id?.value ?? context.makeId('port', name);
  // A port without its network is known all the same: references to it are right.
  if (!network) {
    context.ports.add(id, [name], entry.at, undefined);
    return;
  }
  const given = {
    id,
    name,
    label,
    network,
    at: entry.at,
    device_owner: entry.deviceOwner?.value ?? '',
    project_id: entry.project?.value ?? context.name,
    ownProject: entry.project !== undefined,
    admin_state_up: entry.adminStateUp,
    extra_dhcp_opts: entry.extraDhcpOpts,
    pairs: entry.addressPairs,
    dns_name: entry.dnsName?.value ?? '',
    mac: entry.mac,
    wanted: wantedOf(context, entry.fixedIps, network, label),
  };
  planPort(context, given, [name]);
}

/** One DHCP port for this host on every network that has a DHCP-enabled subnet. */
export function planDhcpPorts(context: Context): void {
  for (const network of context.all.networks) {
    const subnets = network.subnets.filter(({ enable_dhcp }) => enable_dhcp);
    if (subnets.length === 0) continue;
    planPort(context, {
      id: context.makeId('network', network.name, 'dhcp', context.host),
      // Before everything else in the file: it comes and goes with the network only.
      at: -1,
      label: `the DHCP port of network ${JSON.stringify(network.name)}`,
      network,
      device_owner: DEVICE_OWNER.dhcp,
      device_id: dhcpDeviceId(context.host, network.id),
      project_id: network.project_id,
      wanted: subnets.map((subnet) => ({ subnet })),
    });
  }
}

function assignMacs(context: Context, ports: readonly PortPlan[]): void {
  const onNetwork = new Map<string, PortPlan>();
  const everywhere = new Set<string>();
  for (const plan of ports) {
    if (!plan.mac) continue;
    const key = `${plan.network_id}|${plan.mac.value}`;
    const other = onNetwork.get(key);
    if (other) {
      context.source.report(
        plan.mac.at,
        `${plan.label}: ${plan.mac.value} is already the mac_address of ${other.label} on network ${JSON.stringify(plan.network.name)}`,
        'choose another one, or leave it out to have it derived',
      );
    }
    onNetwork.set(key, plan);
    everywhere.add(plan.mac.value);
    plan.mac_address = plan.mac.value;
  }
  for (const plan of ports) {
    for (let attempt = 0; !plan.mac_address; attempt += 1) {
      const mac = macOf(plan.id, attempt);
      if (!everywhere.has(mac)) plan.mac_address = mac;
    }
    everywhere.add(plan.mac_address);
  }
}

/** The addresses of all subnets: who has which, and the next free one. */
class AddressBook {
  readonly #context: Context;
  readonly #taken = new Map<string, PortPlan>();
  /** per subnet: pool and address to try next; what is before is taken for good */
  readonly #next = new Map<string, { pool: number; value: bigint | undefined }>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** @returns false (and reports) if the address can't be had */
  reserve(plan: PortPlan, subnet: TopologySubnet, address: Given<string>): boolean {
    const wrong = (message: string, fix: string): boolean => {
      this.#context.source.report(address.at, `${plan.label}: ${address.value} ${message}`, fix);
      return false;
    };
    const cidr = parseCidr(subnet.cidr);
    const { first, last } = usableRange(cidr);
    if (!cidrContains(cidr, address.value))
      return wrong(`is outside its subnet ${cidr.text}`, 'choose one inside');
    const { value } = parseIp(address.value);
    if (cidr.family === 4 && (value < first || value > last)) {
      return wrong(`is the network's or broadcast address of ${cidr.text}`, 'choose another one');
    }
    const key = `${subnet.id}|${address.value}`;
    const other = this.#taken.get(key);
    if (other) {
      const line = other.at >= 0 ? ` (line ${this.#context.source.lineOf(other.at)})` : '';
      return wrong(`is already taken by ${other.label}${line}`, 'choose another one');
    }
    this.#taken.set(key, plan);
    plan.fixed_ips.push({ subnet, subnet_id: subnet.id, ip_address: address.value });
    return true;
  }

  /** The first free address of the pools; the gateway's is never one. */
  allocate(plan: PortPlan, subnet: TopologySubnet): boolean {
    const cursor = this.#next.get(subnet.id) ?? { pool: 0, value: undefined };
    this.#next.set(subnet.id, cursor);
    for (; cursor.pool < subnet.allocation_pools.length; cursor.pool += 1, cursor.value = undefined) {
      const pool = subnet.allocation_pools[cursor.pool]!;
      const end = parseIp(pool.end).value;
      for (let value = cursor.value ?? parseIp(pool.start).value; value <= end; value += 1n) {
        const ip = ipFromValue(subnet.ip_version, value);
        cursor.value = value + 1n;
        if (ip === subnet.gateway_ip || this.#taken.has(`${subnet.id}|${ip}`)) continue;
        this.#taken.set(`${subnet.id}|${ip}`, plan);
        plan.fixed_ips.push({ subnet, subnet_id: subnet.id, ip_address: ip });
        return true;
      }
    }
    return false;
  }
}

const full = (context: Context, plan: PortPlan, where: string): void =>
  context.source.report(
    Math.max(plan.at, 0),
    `${plan.label}: no free address is left in the allocation pools of ${where}`,
    'widen allocation_pools or give fixed addresses outside of them',
  );

function reserveGiven(context: Context, book: AddressBook, plan: PortPlan): void {
  const routerPort = ROUTER_INTERFACE_OWNERS.has(plan.device_owner);
  for (const { subnet: named, address } of plan.wanted ?? []) {
    if (!address) continue;
    const subnet = named ?? plan.network.subnets.find(({ cidr }) => cidrContains(cidr, address.value));
    if (!subnet) {
      if (context.incomplete.has(plan.network_id)) continue;
      context.source.report(
        address.at,
        `${plan.label}: ${address.value} is outside every subnet of network ${JSON.stringify(plan.network.name)}`,
        `choose one of ${plan.network.subnets.map(({ cidr }) => cidr).join(', ') || 'a subnet yet to be defined'}`,
      );
    } else if (!routerPort && isAutoAddress(subnet)) {
      const own = eui64(subnet.cidr, plan.mac_address);
      if (own === address.value) continue;
      context.source.report(
        address.at,
        `${plan.label}: ${address.value} is not what the host makes of its MAC in the ${subnet.ipv6_ra_mode ?? subnet.ipv6_address_mode} subnet ${subnet.cidr}`,
        `leave it out or write ${own}`,
      );
    } else {
      book.reserve(plan, subnet, address);
    }
  }
}

function allocateRest(context: Context, book: AddressBook, plan: PortPlan): void {
  const routerPort = ROUTER_INTERFACE_OWNERS.has(plan.device_owner);
  const managed = plan.network.subnets.filter((subnet) => routerPort || !isAutoAddress(subnet));
  for (const { subnet, address } of plan.wanted ?? []) {
    if (address || !subnet || !managed.includes(subnet)) continue;
    if (!book.allocate(plan, subnet)) full(context, plan, `subnet ${subnet.cidr}`);
  }
  if (plan.wanted) return;
  for (const version of [4, 6]) {
    const subnets = managed.filter(({ ip_version }) => ip_version === version);
    if (subnets.length > 0 && !subnets.some((subnet) => book.allocate(plan, subnet))) {
      full(context, plan, `the IPv${version} subnets of network ${JSON.stringify(plan.network.name)}`);
    }
  }
}

/** What hosts make themselves of router advertisements; of DHCP ports only on subnets they serve. */
function addAutoAddresses(plan: PortPlan): void {
  if (ROUTER_INTERFACE_OWNERS.has(plan.device_owner)) return;
  for (const subnet of plan.network.subnets) {
    if (!isAutoAddress(subnet) || subnet.cidr === UNDELEGATED) continue;
    if (plan.device_owner === DEVICE_OWNER.dhcp && !subnet.enable_dhcp) continue;
    const ip_address = eui64(subnet.cidr, plan.mac_address);
    plan.fixed_ips.push({ subnet, subnet_id: subnet.id, ip_address });
  }
}

/** Two ports whose ids begin alike would have one device name: 'tap' + 11 characters. */
function checkDeviceNames(context: Context, ids: Iterable<{ id: string; label: string; at: number }>): void {
  const seen = new Map<string, string>();
  for (const { id, label, at } of ids) {
    const short = id.slice(0, 11);
    const other = seen.get(short);
    if (other !== undefined && other !== id) {
      const message = `${label}: the id ${id} begins like ${other}, so their devices would have one name`;
      context.source.report(Math.max(at, 0), message, 'choose ids that differ in the first 11 characters');
    }
    seen.set(short, id);
  }
}

/** Gives every planned port its MAC and addresses. */
export function assign(context: Context): void {
  const ports = context.all.ports.toSorted((a, b) => a.at - b.at);
  assignMacs(context, ports);
  const book = new AddressBook(context);
  for (const plan of ports) reserveGiven(context, book, plan);
  for (const plan of ports) allocateRest(context, book, plan);
  for (const plan of ports) addAutoAddresses(plan);
  checkDeviceNames(context, ports);
  checkDeviceNames(
    context,
    context.all.networks.map(({ id, name }) => ({ id, label: `network ${JSON.stringify(name)}`, at: 0 })),
  );
}

/** The finished port. */
export function portOf(plan: PortPlan): TopologyPort {
  const { id, name, network_id, mac_address, device_owner, device_id, project_id, dns_name } = plan;
  return {
    id,
    name,
    network_id,
    mac_address,
    admin_state_up: plan.admin_state_up,
    device_owner,
    device_id,
    project_id,
    dns_name,
    fixed_ips: plan.fixed_ips.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address })),
    extra_dhcp_opts: plan.extra_dhcp_opts,
    allowed_address_pairs: plan.pairs.map(({ address, mac }) => ({
      ip_address: address,
      mac_address: mac ?? mac_address,
    })),
  };
}
