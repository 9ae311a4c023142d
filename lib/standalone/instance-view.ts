/** Instances with all that the L2 fabric and the built-in metadata service need to know of them. */
import { parseCidr } from '../model/ip.ts';
import { isAutoAddress } from './networks.ts';
import type { Topology, TopologyInstance } from './topology.ts';

export interface InstanceAddress {
  readonly subnet_id: string;
  readonly ip_address: string;
  readonly prefixlen: number;
  readonly ip_version: 4 | 6;
  /** of the subnet; null if it has none or this is it */
  readonly gateway_ip: string | null;
  /** of the subnet, but those by way of this address; absent in a record of an older version */
  readonly host_routes?: readonly { readonly destination: string; readonly nexthop: string }[];
  /** made by the host itself from router advertisements */
  readonly auto: boolean;
}

export interface InstancePort {
  readonly id: string;
  readonly name: string;
  readonly network_id: string;
  readonly mac_address: string;
  /** bytes, of the network */
  readonly mtu: number;
  readonly admin_state_up: boolean;
  readonly fixed_ips: readonly InstanceAddress[];
  readonly allowed_address_pairs: readonly { ip_address: string; mac_address: string }[];
}

export interface Instance extends Omit<TopologyInstance, 'port_ids'> {
  readonly ports: readonly InstancePort[];
}

export function instancesOf(topology: Topology): Instance[] {
  const networks = new Map(topology.networks.map((network) => [network.id, network]));
  const ports = new Map(topology.ports.map((port) => [port.id, port]));
  const portOf = (id: string): InstancePort => {
    const port = ports.get(id)!;
    const network = networks.get(port.network_id)!;
    const subnets = new Map(network.subnets.map((subnet) => [subnet.id, subnet]));
    return {
      id: port.id,
      name: port.name,
      network_id: port.network_id,
      mac_address: port.mac_address,
      mtu: network.mtu,
      admin_state_up: port.admin_state_up,
      fixed_ips: port.fixed_ips.map(({ subnet_id, ip_address }) => {
        const subnet = subnets.get(subnet_id)!;
        const { cidr, ip_version, gateway_ip, host_routes } = subnet;
        return {
          subnet_id,
          ip_address,
          prefixlen: parseCidr(cidr).prefix,
          ip_version,
          gateway_ip: gateway_ip === ip_address ? null : gateway_ip,
          host_routes: host_routes.filter(({ nexthop }) => nexthop !== ip_address),
          auto: isAutoAddress(subnet),
        };
      }),
      allowed_address_pairs: port.allowed_address_pairs,
    };
  };
  return topology.instances.map(({ port_ids, ...own }) => ({ ...own, ports: port_ids.map(portOf) }));
}
