/** Instances of a topology file, for the built-in metadata service. */
import type { Topology, TopologyPort } from '../../../lib/standalone/topology.ts';
import type { Instance, InstancePort, Instances } from './instance.ts';

/** Only what is read of a topology. */
type Source = Pick<Topology, 'instances' | 'ports' | 'networks' | 'floating_ips'>;

/** @param topology the one in force at the time of the request; undefined: none yet */
export function topologyInstances(topology: () => Source | undefined): Instances {
  const known = new WeakMap<Source, ReadonlyMap<string, Instance>>();
  return (instanceId) => {
    const current = topology();
    if (!current) return undefined;
    let instances = known.get(current);
    if (!instances) {
      instances = instancesOf(current);
      known.set(current, instances);
    }
    return instances.get(instanceId);
  };
}

function instancesOf(topology: Source): ReadonlyMap<string, Instance> {
  const ports = new Map(topology.ports.map((port) => [port.id, port]));
  const mtus = new Map(topology.networks.map((network) => [network.id, network.mtu]));
  const floating = new Map(topology.floating_ips.map((ip) => [ip.port_id, ip.floating_ip_address]));
  const portOf = (port: TopologyPort): InstancePort => ({
    id: port.id,
    network_id: port.network_id,
    mac_address: port.mac_address,
    mtu: mtus.get(port.network_id) ?? null,
    fixed_ips: port.fixed_ips,
    floating_ip_address: floating.get(port.id),
  });
  return new Map(
    topology.instances.map(({ id, name, project_id, port_ids, user_data, metadata }) => {
      const own = port_ids.flatMap((portId) => ports.get(portId) ?? []).map(portOf);
      return [id, { id, name, project_id, ports: own, metadata, user_data: user_data ?? undefined }];
    }),
  );
}
