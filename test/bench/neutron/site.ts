/** What both sides have to build, made over REST, and as it must be on the node afterwards. */
import type { Cloud } from '../../neutron/cloud/cloud.ts';
import type { NetworkNode } from '../../neutron/cloud/node.ts';
import type { NeutronServer, Resource } from '../../neutron/cloud/server.ts';

/** The benchmark range of RFC 2544: room for thousands of floating IPs. */
export const EXTERNAL = { cidr: '198.18.0.0/15', gateway: '198.18.0.1', prefix: 15 };
const FLOATING_IPS = 5;
const SUBNETS = 2;
const PORTS_OF_NETWORK = 3;
const AT_ONCE = 3;

export interface NatPair {
  readonly floating: string;
  readonly fixed: string;
}

/** A router as it must be on the node. */
export interface WantedRouter {
  readonly id: string;
  readonly gateway: { readonly portId: string; readonly address: string; readonly mac: string };
  readonly interfaces: readonly { readonly portId: string; readonly address: string }[];
  readonly floatingIps: readonly NatPair[];
  /** of the first internal subnet */
  readonly networkId: string;
}

/** A network that must give addresses. */
export interface WantedNetwork {
  readonly id: string;
  /** MAC and address of the last port made in it */
  readonly client: { readonly mac: string; readonly address: string };
}

/**
 * An instance's port is bound to a host. With one that is not, the server tries for five seconds to call it ACTIVE
 * whenever a DHCP agent says that it is ready, one port after the other.
 */
export const bound = ({ host }: NetworkNode) => ({ 'binding:host_id': host });

const addressOf = (port: Resource): string =>
  (port.fixed_ips as { ip_address: string }[])[0]?.ip_address ?? '';

export async function createExternalNetwork(server: NeutronServer): Promise<Resource> {
  const network = await server.create('networks', {
    name: 'public',
    'router:external': true,
    'provider:network_type': 'flat',
    'provider:physical_network': 'ext',
  });
  await server.create('subnets', {
    network_id: network.id,
    ip_version: 4,
    cidr: EXTERNAL.cidr,
    gateway_ip: EXTERNAL.gateway,
    enable_dhcp: false,
  });
  return network;
}

const range = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i));

/** Each with two subnets in networks of their own, a gateway, five floating IPs. */
export async function createRouters(
  { server, node }: Cloud,
  external: Resource,
  count: number,
): Promise<WantedRouter[]> {
  const networks = await server.createAll(
    'networks',
    range(count * SUBNETS, (index) => ({ name: `inside-${index}` })),
  );
  const subnets = await server.createAll(
    'subnets',
    networks.map(({ id }, index) => ({
      network_id: id,
      ip_version: 4,
      cidr: `10.${index >> 8}.${index & 255}.0/24`,
      // Routers are measured without the DHCP agent.
      enable_dhcp: false,
    })),
  );
  const ports = await server.createAll(
    'ports',
    range(count * FLOATING_IPS, (index) => ({
      network_id:
        networks[Math.floor(index / FLOATING_IPS) * SUBNETS + ((index % FLOATING_IPS) % SUBNETS)]!.id,
      ...bound(node),
    })),
  );
  return several(count, (index) =>
    createRouter(server, external, {
      name: `router-${index}`,
      subnets: subnets.slice(index * SUBNETS, (index + 1) * SUBNETS),
      ports: ports.slice(index * FLOATING_IPS, (index + 1) * FLOATING_IPS),
    }),
  );
}

async function createRouter(
  server: NeutronServer,
  external: Resource,
  { name, subnets, ports }: { name: string; subnets: readonly Resource[]; ports: readonly Resource[] },
): Promise<WantedRouter> {
  const router = await server.create('routers', {
    name,
    external_gateway_info: { network_id: external.id },
  });
  const interfaces: { portId: string; address: string }[] = [];
  for (const { id, gateway_ip } of subnets) {
    const { port_id } = (await server.request('PUT', `routers/${router.id}/add_router_interface`, {
      subnet_id: id,
    })) as { port_id: string };
    interfaces.push({ portId: port_id, address: String(gateway_ip) });
  }
  const floatingIps: NatPair[] = [];
  for (const port of ports) {
    const { floating_ip_address } = await server.create('floatingips', {
      floating_network_id: external.id,
      port_id: port.id,
    });
    floatingIps.push({ floating: String(floating_ip_address), fixed: addressOf(port) });
  }
  const [gateway] = await server.list('ports', `?device_id=${router.id}&device_owner=network:router_gateway`);
  return {
    id: router.id,
    gateway: { portId: gateway!.id, address: addressOf(gateway!), mac: String(gateway!.mac_address) },
    interfaces,
    floatingIps,
    networkId: String(subnets[0]!.network_id),
  };
}

export async function createServedNetworks({ server, node }: Cloud, count: number): Promise<WantedNetwork[]> {
  const networks = await server.createAll(
    'networks',
    range(count, (index) => ({ name: `served-${index}` })),
  );
  await server.createAll(
    'subnets',
    networks.map(({ id }, index) => ({ network_id: id, ip_version: 4, cidr: `10.100.${index}.0/24` })),
  );
  const ports = await server.createAll(
    'ports',
    range(count * PORTS_OF_NETWORK, (index) => ({ network_id: networks[index % count]!.id, ...bound(node) })),
  );
  return networks.map(({ id }, index) => {
    const port = ports[index]!;
    return { id, client: { mac: String(port.mac_address), address: addressOf(port) } };
  });
}

/** A few at once: neutron-server has one worker for the API. */
async function several<T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next++;
      made[index] = await make(index);
    }
  };
  await Promise.all(range(AT_ONCE, worker));
  return made;
}
