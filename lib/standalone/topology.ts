/**
 * The topology file: YAML in the vocabulary of the Networking API, read into a validated Topology.
 * The same text, file name and host always give the same ids, MACs and addresses.
 */
import type { DELEGATED_POOL } from '../model/subnet.ts';
import { newContext } from './context.ts';
import { type DhcpSettings, readDhcp } from './dhcp-settings.ts';
import { type Section, Source } from './document.ts';
import {
  type CONFIGURE,
  type Ipv6Mode,
  type MetadataSettings,
  readFloatingIp,
  readInstance,
  readMetadata,
  readNetwork,
  readPort,
  readRouter,
  readSubnet,
} from './entries.ts';
import { planFloatingIp, resolveFloatingIps } from './floating-ips.ts';
import { planInstance } from './instances.ts';
import { type L3Settings, readL3 } from './l3-settings.ts';
import { resolveNetworks } from './networks.ts';
import { assign, planDhcpPorts, planPortEntry, portOf } from './ports.ts';
import { TopologyError } from './problem.ts';
import { planRouter, routerOf } from './routers.ts';

export { TopologyError, type TopologyProblem } from './problem.ts';

export interface AllocationPool {
  readonly start: string;
  readonly end: string;
}

export interface TopologySubnet {
  readonly id: string;
  /** '' if it has none */
  readonly name: string;
  readonly network_id: string;
  readonly project_id: string;
  readonly cidr: string;
  readonly ip_version: 4 | 6;
  readonly gateway_ip: string | null;
  readonly allocation_pools: readonly AllocationPool[];
  readonly dns_nameservers: readonly string[];
  readonly host_routes: readonly { destination: string; nexthop: string }[];
  readonly enable_dhcp: boolean;
  readonly ipv6_ra_mode: Ipv6Mode | null;
  readonly ipv6_address_mode: Ipv6Mode | null;
  /** not null: the prefix is delegated to its router, and `cidr` is UNDELEGATED until then */
  readonly subnetpool_id: typeof DELEGATED_POOL | null;
}

export interface TopologyNetwork {
  readonly id: string;
  readonly name: string;
  readonly external: boolean;
  /** bytes */
  readonly mtu: number;
  /** without the dot at the end; '' = the deployment's */
  readonly dns_domain: string;
  /** device of the host that becomes a port of the network's bridge */
  readonly physical_interface: string | undefined;
  readonly project_id: string;
  readonly admin_state_up: boolean;
  readonly subnets: TopologySubnet[];
}

/** Every port: of the file, and of routers, DHCP and floating IPs. */
export interface TopologyPort {
  readonly id: string;
  readonly name: string;
  readonly network_id: string;
  readonly mac_address: string;
  readonly admin_state_up: boolean;
  readonly device_owner: string;
  readonly device_id: string;
  readonly project_id: string;
  readonly dns_name: string;
  readonly fixed_ips: readonly { subnet_id: string; ip_address: string }[];
  readonly extra_dhcp_opts: readonly { opt_name: string; opt_value: string; ip_version: 4 | 6 }[];
  readonly allowed_address_pairs: readonly { ip_address: string; mac_address: string }[];
}

export interface TopologyRouter {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly admin_state_up: boolean;
  readonly enable_snat: boolean;
  readonly gateway_port_id: string | null;
  readonly interface_port_ids: readonly string[];
  readonly routes: readonly { destination: string; nexthop: string }[];
}

export interface TopologyInstance {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  /** network namespace that stands for the virtual machine */
  readonly namespace: string;
  /** who configures its addresses: a DHCP client in it, Viaduct, or nobody */
  readonly configure: (typeof CONFIGURE)[number];
  readonly port_ids: readonly string[];
  readonly user_data: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface TopologyFloatingIp {
  readonly id: string;
  readonly floating_ip_address: string;
  readonly floating_network_id: string;
  readonly fixed_ip_address: string | null;
  /** port it leads to */
  readonly port_id: string | null;
  readonly router_id: string | null;
  /** port that holds its address on the external network */
  readonly own_port_id: string;
  readonly project_id: string;
}

export interface Topology {
  /** of the deployment: [a-z0-9-] */
  readonly name: string;
  readonly host: string;
  readonly networks: readonly TopologyNetwork[];
  readonly ports: readonly TopologyPort[];
  readonly routers: readonly TopologyRouter[];
  readonly instances: readonly TopologyInstance[];
  readonly floating_ips: readonly TopologyFloatingIp[];
  readonly l3: L3Settings;
  readonly dhcp: DhcpSettings;
  readonly metadata: MetadataSettings;
}

export interface TopologyOptions {
  /** path, for errors; its base name is the default name of the deployment */
  readonly file: string;
  /** the machine's name, unless the file says another one */
  readonly host: string;
  /** prefixes delegated so far: CIDR by subnet id */
  readonly delegated?: ReadonlyMap<string, string>;
}

const baseName = (file: string): string =>
  file
    .replace(/^.*\//, '')
    .replace(/\.[^.]*$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '') || 'topology';

/** What the file says, single values checked. Every section is read before any reference is followed. */
function readSections(root: Section) {
  const entries = {
    name: root.word(
      'name',
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
      'a deployment name',
      'use a-z, 0-9 and "-"',
    ),
    host: root.word(
      'host',
      /^[a-z0-9]([\w.-]{0,252})$/i,
      'a host name',
      'write it like net-1 or net-1.example',
    ),
    networks: root.sections('networks').map(readNetwork),
    subnets: root.sections('subnets').map((section) => readSubnet(section)),
    routers: root.sections('routers').map(readRouter),
    ports: root.sections('ports').map(readPort),
    instances: root.sections('instances').map(readInstance),
    floatingIps: root.sections('floating_ips').map(readFloatingIp),
    l3: readL3(root.section('l3')),
    dhcp: readDhcp(root.section('dhcp')),
    metadata: readMetadata(root.section('metadata')),
  };
  root.done();
  return entries;
}

function resolve(source: Source, root: Section, options: TopologyOptions): Topology {
  const entries = readSections(root);
  const name = entries.name?.value ?? baseName(options.file);
  const host = entries.host?.value ?? options.host;
  const context = newContext(source, name, host, options.delegated);
  resolveNetworks(context, entries.networks, entries.subnets);
  planDhcpPorts(context);
  for (const entry of entries.ports) planPortEntry(context, entry);
  const routers = entries.routers.flatMap((entry) => planRouter(context, entry) ?? []);
  const namespaces = new Map<string, string>();
  const instances = entries.instances.flatMap((entry) => planInstance(context, entry, namespaces) ?? []);
  const counts = new Map<string, number>();
  const floatingIps = entries.floatingIps.flatMap((entry) => planFloatingIp(context, entry, counts) ?? []);
  assign(context);
  return {
    name,
    host,
    networks: context.all.networks,
    ports: context.all.ports.map(portOf),
    routers: routers.map((plan) => routerOf(context, plan)),
    instances,
    floating_ips: resolveFloatingIps(context, floatingIps, routers),
    l3: entries.l3,
    dhcp: entries.dhcp,
    metadata: entries.metadata,
  };
}

/**
 * Reads the text of a topology file.
 * @throws TopologyError with everything that is wrong with it
 */
export function parseTopology(text: string, options: TopologyOptions): Topology {
  const source = new Source(text, options.file);
  // What follows a syntax error is guesswork, so nothing else is said about such a file.
  if (source.problems.length > 0) throw new TopologyError(source.problems);
  const root = source.root();
  const topology = root && resolve(source, root, options);
  if (!topology || source.problems.length > 0) throw new TopologyError(source.problems);
  return topology;
}
