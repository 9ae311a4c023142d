/** The demo's topology by the names that the checks use. */

import type { Topology, TopologyPort } from '../../../lib/standalone/topology.ts';
import { CommandFailure } from '../exit-codes.ts';

/** An instance of the demo. */
export interface Actor {
  readonly name: string;
  readonly id: string;
  readonly namespace: string;
  /** its first fixed IPv4 address; '' if it has none */
  readonly ip: string;
  /** its first fixed IPv6 address; '' if it has none */
  readonly ipv6: string;
  /** its floating IP; undefined if it has none */
  readonly floatingIp: string | undefined;
  readonly dhcp: boolean;
}

export interface Scene {
  readonly actors: readonly Actor[];
  /** @throws CommandFailure if the topology has no such instance */
  actor(name: string): Actor;
  /** External IPv4 address of a router. */
  gatewayIp(router: string): string;
}

const addressOf = (port: TopologyPort | undefined, ipv6: boolean): string =>
  port?.fixed_ips.find(({ ip_address }) => ip_address.includes(':') === ipv6)?.ip_address ?? '';

export function sceneOf(topology: Topology): Scene {
  const ports = new Map(topology.ports.map((port) => [port.id, port]));
  const actors = topology.instances.map((instance): Actor => {
    const { id, name, namespace, port_ids } = instance;
    const port = port_ids.map((one) => ports.get(one)!)[0];
    return {
      id,
      name,
      namespace,
      ip: addressOf(port, false),
      ipv6: addressOf(port, true),
      floatingIp: topology.floating_ips.find(({ port_id }) => port_id === port?.id)?.floating_ip_address,
      dhcp: instance.configure === 'dhcp' && addressOf(port, false) !== '',
    };
  });
  const missing = (what: string): CommandFailure =>
    new CommandFailure(`deploy/demo.yaml has no ${what} any more, which the checks need`);
  return {
    actors,
    actor(name) {
      const found = actors.find((one) => one.name === name);
      if (!found) throw missing(`instance ${name}`);
      return found;
    },
    gatewayIp(name) {
      const router = topology.routers.find((one) => one.name === name);
      const address = addressOf(ports.get(router?.gateway_port_id ?? ''), false);
      if (!address) throw missing(`router ${name} with a gateway`);
      return address;
    },
  };
}
