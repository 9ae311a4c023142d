/**
 * A topology as a neutron-server would tell agents of it: the results of sync_routers and
 * get_active_networks_info, key for key (Neutron: db/l3_db.py, api/rpc/handlers/dhcp_rpc.py). What only a
 * database knows (times, revisions) has constant values, so that equal topologies give equal payloads.
 */
import { parseCidr } from '../model/ip.ts';
import { DEVICE_OWNER } from '../model/port.ts';
import type {
  Topology,
  TopologyFloatingIp,
  TopologyNetwork,
  TopologyPort,
  TopologyRouter,
  TopologySubnet,
} from './topology.ts';

const TIME = '1970-01-01T00:00:00Z';

/** Keys that every API object has. */
const standard = {
  created_at: TIME,
  updated_at: TIME,
  description: '',
  revision_number: 1,
  tags: [],
};

/** The database's row number of the object, which routers do not show. */
const rowNumber = (id: string) => ({ standard_attr_id: Number.parseInt(id.slice(0, 7), 16) });

const owner = (project: string) => ({ project_id: project, tenant_id: project });

const byId = <T extends { readonly id: string }>(items: readonly T[]): T[] =>
  items.toSorted((a, b) => (a.id < b.id ? -1 : 1));

/** The topology with what its payloads look up. */
class Lookup {
  readonly topology: Topology;
  readonly networks: ReadonlyMap<string, TopologyNetwork>;
  readonly subnets: ReadonlyMap<string, TopologySubnet>;
  readonly ports: ReadonlyMap<string, TopologyPort>;

  constructor(topology: Topology) {
    this.topology = topology;
    this.networks = new Map(topology.networks.map((network) => [network.id, network]));
    this.subnets = new Map(topology.networks.flatMap(({ subnets }) => subnets.map((one) => [one.id, one])));
    this.ports = new Map(topology.ports.map((port) => [port.id, port]));
  }
}

/** Neutron's names of an address: dns_name (else made of the address) in the network's domain. */
function dnsAssignment(lookup: Lookup, port: TopologyPort) {
  const own = lookup.networks.get(port.network_id)?.dns_domain ?? '';
  const domain = (own || lookup.topology.dhcp.dns_domain).replace(/\.$/, '');
  return port.fixed_ips.map(({ ip_address }) => {
    const hostname = port.dns_name || `host-${ip_address.replace(/[.:]/g, '-')}`;
    return { ip_address, hostname, fqdn: domain ? `${hostname}.${domain}.` : hostname };
  });
}

const unbound = { 'binding:host_id': '', 'binding:vif_type': 'unbound', 'binding:vif_details': {} };

function binding(host: string) {
  return {
    'binding:host_id': host,
    'binding:vif_type': 'bridge',
    'binding:vif_details': { bound_drivers: { '0': 'viaduct' }, connectivity: 'l2', port_filter: false },
  };
}

/** A port as the API shows it. Floating IPs' ports are never bound. */
function portPayload(lookup: Lookup, port: TopologyPort) {
  const floating = port.device_owner === DEVICE_OWNER.floatingIp;
  return {
    id: port.id,
    name: port.name,
    network_id: port.network_id,
    mac_address: port.mac_address,
    admin_state_up: port.admin_state_up,
    device_id: port.device_id,
    device_owner: port.device_owner,
    status: floating ? 'N/A' : 'ACTIVE',
    fixed_ips: port.fixed_ips,
    dns_name: port.dns_name,
    dns_assignment: dnsAssignment(lookup, port),
    extra_dhcp_opts: port.extra_dhcp_opts,
    allowed_address_pairs: port.allowed_address_pairs,
    ...(floating ? unbound : binding(lookup.topology.host)),
    'binding:profile': {},
    'binding:vnic_type': 'normal',
    port_security_enabled: false,
    qos_network_policy_id: null,
    qos_policy_id: null,
    resource_request: null,
    security_groups: [],
    ...standard,
    ...rowNumber(port.id),
    ...owner(port.project_id),
  };
}

function subnetPayload(subnet: TopologySubnet) {
  const { project_id, ...own } = subnet;
  return {
    ...own,
    service_types: [],
    shared: false,
    ...standard,
    ...rowNumber(subnet.id),
    ...owner(project_id),
  };
}

function networkPayload(lookup: Lookup, network: TopologyNetwork, ports: readonly TopologyPort[]) {
  return {
    id: network.id,
    name: network.name,
    admin_state_up: network.admin_state_up,
    mtu: network.mtu,
    dns_domain: network.dns_domain,
    subnets: byId(network.subnets).map(subnetPayload),
    non_local_subnets: [],
    ports: ports.map((port) => portPayload(lookup, port)),
    ...owner(network.project_id),
  };
}
export type NetworkPayload = ReturnType<typeof networkPayload>;

const routerSubnet = ({
  id,
  cidr,
  gateway_ip,
  dns_nameservers,
  ipv6_ra_mode,
  subnetpool_id,
}: TopologySubnet) => ({
  id,
  cidr,
  gateway_ip,
  dns_nameservers,
  ipv6_ra_mode,
  subnetpool_id,
});

/** A port with what the server adds for the L3 agent. */
function routerPortPayload(lookup: Lookup, port: TopologyPort) {
  const network = lookup.networks.get(port.network_id)!;
  const has = new Set(port.fixed_ips.map(({ subnet_id }) => subnet_id));
  const subnets = byId(network.subnets);
  return {
    ...portPayload(lookup, port),
    fixed_ips: port.fixed_ips.map((fixed) => ({
      ...fixed,
      prefixlen: parseCidr(lookup.subnets.get(fixed.subnet_id)!.cidr).prefix,
    })),
    subnets: subnets.filter(({ id }) => has.has(id)).map(routerSubnet),
    extra_subnets: subnets.filter(({ id }) => !has.has(id)).map(routerSubnet),
    address_scopes: { '4': null, '6': null },
    mtu: network.mtu,
  };
}

function floatingIpPayload(lookup: Lookup, fip: TopologyFloatingIp) {
  const port = fip.port_id === null ? undefined : lookup.ports.get(fip.port_id);
  const { own_port_id: _, project_id, ...own } = fip;
  return {
    ...own,
    fixed_ip_address_scope: null,
    status: 'DOWN',
    dns_domain: '',
    dns_name: '',
    port_details: port
      ? {
          admin_state_up: port.admin_state_up,
          device_id: port.device_id,
          device_owner: port.device_owner,
          mac_address: port.mac_address,
          name: port.name,
          network_id: port.network_id,
          status: 'ACTIVE',
        }
      : null,
    port_forwardings: [],
    qos_network_policy_id: null,
    qos_policy_id: null,
    ...standard,
    ...rowNumber(fip.id),
    ...owner(project_id),
  };
}

function gatewayKeys(lookup: Lookup, router: TopologyRouter) {
  const port = router.gateway_port_id === null ? undefined : lookup.ports.get(router.gateway_port_id);
  if (!port) return { external_gateway_info: null, gw_port_id: null, gw_port_host: null };
  return {
    external_gateway_info: {
      network_id: port.network_id,
      enable_snat: router.enable_snat,
      external_fixed_ips: port.fixed_ips,
    },
    enable_snat: router.enable_snat,
    gw_port_id: port.id,
    gw_port_host: lookup.topology.host,
    gw_port: routerPortPayload(lookup, port),
  };
}

function routerPayload(lookup: Lookup, router: TopologyRouter, floatingIps: readonly TopologyFloatingIp[]) {
  const interfaces = router.interface_port_ids.map((id) => routerPortPayload(lookup, lookup.ports.get(id)!));
  return {
    id: router.id,
    name: router.name,
    admin_state_up: router.admin_state_up,
    status: 'ACTIVE',
    routes: router.routes,
    ...gatewayKeys(lookup, router),
    // The server leaves these out when there are none.
    ...(interfaces.length > 0 && { _interfaces: interfaces }),
    ...(floatingIps.length > 0 && { _floatingips: floatingIps.map((fip) => floatingIpPayload(lookup, fip)) }),
    distributed: false,
    ha: false,
    ha_vr_id: 0,
    enable_ndp_proxy: false,
    flavor_id: null,
    availability_zone_hints: [],
    availability_zones: ['nova'],
    conntrack_helpers: [],
    ...standard,
    ...owner(router.project_id),
  };
}
export type RouterPayload = ReturnType<typeof routerPayload>;

export interface Payloads {
  /** result of sync_routers for all routers: those that are admin-down are not listed */
  readonly routers: readonly RouterPayload[];
  /** every network with all subnets; get_active_networks_info lists those that are admin-up */
  readonly networks: readonly NetworkPayload[];
}

const groupBy = <T>(items: readonly T[], key: (item: T) => string | null): Map<string | null, T[]> => {
  const groups = new Map<string | null, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
};

/** What a server would send for this topology. */
export function payloadsOf(topology: Topology): Payloads {
  const lookup = new Lookup(topology);
  const ports = groupBy(topology.ports, ({ network_id }) => network_id);
  const floatingIps = groupBy(topology.floating_ips, ({ router_id }) => router_id);
  return {
    routers: topology.routers
      .filter(({ admin_state_up }) => admin_state_up)
      .map((router) => routerPayload(lookup, router, floatingIps.get(router.id) ?? [])),
    networks: topology.networks.map((network) =>
      networkPayload(lookup, network, ports.get(network.id) ?? []),
    ),
  };
}
