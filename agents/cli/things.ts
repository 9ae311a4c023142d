/**
 * What a deployment is made of, by every name it may be asked for: routers, networks, instances, their ports
 * and floating IPs. From records alone, so that it works with no agent and without the topology file.
 * Pure.
 */
import { type Network, parseNetwork } from '../../lib/model/network.ts';
import { DEVICE_OWNER } from '../../lib/model/port.ts';
import { parseRouter, type Router } from '../../lib/model/router.ts';
import type { Instance } from '../../lib/standalone/instance-view.ts';
import { bridgeName, deviceName, tapName } from '../../lib/wiring/bridge.ts';
import type { Recorded } from './deployment.ts';
import { subjectOf } from './subject.ts';

export type ThingKind = 'network' | 'router' | 'instance' | 'port' | 'floating-ip';

export interface Thing {
  readonly kind: ThingKind;
  readonly id: string;
  readonly name?: string;
  /** router, network or instance it belongs to (itself, if it is one), as 'router <id>' */
  readonly holder: string;
  /** name of the holder */
  readonly holderName: string;
  /** namespace it lives in; '' is the host */
  readonly namespace: string;
  /** addresses it has; a floating IP's first, then the fixed one it leads to */
  readonly addresses: readonly string[];
  readonly mac?: string;
  /** device in the namespace */
  readonly device?: string;
  /** of a port */
  readonly networkId?: string;
  /** of a floating IP: the port it leads to */
  readonly portId?: string;
  /** all it may be asked for by, exactly: names, ids, addresses, MAC, devices, namespace */
  readonly identifiers: readonly string[];
}

type Draft = Omit<Thing, 'identifiers'> & { also?: readonly string[] };

function thing({ also = [], ...draft }: Draft): Thing {
  const { kind, id, name, addresses, mac, device } = draft;
  // A floating IP is asked for by its own address; the fixed one is its port's.
  const own = kind === 'floating-ip' ? addresses.slice(0, 1) : addresses;
  const all = [id, name, mac, device, ...own, ...also].filter((one) => one !== undefined && one !== '');
  return { ...draft, identifiers: [...new Set(all as string[])] };
}

interface PortFields {
  readonly id: string;
  readonly name?: string;
  readonly network_id: string;
  readonly mac_address: string;
  readonly fixed_ips: readonly { ip_address: string }[];
}

type Holder = Pick<Thing, 'holder' | 'holderName' | 'namespace'>;

function portThing(port: PortFields, device: string | undefined, holder: Holder): Thing {
  return thing({
    kind: 'port',
    id: port.id,
    ...(port.name ? { name: port.name } : {}),
    ...holder,
    addresses: port.fixed_ips.map(({ ip_address }) => ip_address),
    mac: port.mac_address.toLowerCase(),
    ...(device === undefined ? {} : { device }),
    networkId: port.network_id,
    also: device === undefined ? [] : [tapName(port.id)],
  });
}

function routerThings(router: Router, holder: Holder): Thing[] {
  const gateway = router.gw_port
    ? [portThing(router.gw_port, deviceName('qg-', router.gw_port.id), holder)]
    : [];
  return [
    ...gateway,
    ...router._interfaces.map((port) => portThing(port, deviceName('qr-', port.id), holder)),
    ...router._floatingips.map((fip) =>
      thing({
        kind: 'floating-ip',
        id: fip.id,
        ...holder,
        addresses: [fip.floating_ip_address, ...(fip.fixed_ip_address ? [fip.fixed_ip_address] : [])],
        ...(fip.port_id ? { portId: fip.port_id } : {}),
      }),
    ),
  ];
}

const instanceThings = (instance: Instance, holder: Holder): Thing[] =>
  instance.ports.map((port, position) => portThing(port, `eth${position}`, holder));

/** Of a network's ports only the DHCP agent's own is in its namespace; those of others are known to DHCP. */
const networkThings = (network: Network, holder: Holder): Thing[] =>
  network.ports
    .filter(({ device_owner }) => device_owner !== DEVICE_OWNER.floatingIp)
    .map((port) => {
      const own = port.device_owner === DEVICE_OWNER.dhcp;
      return portThing(port, own ? deviceName('ns-', port.id) : undefined, holder);
    });

/** Everything the records tell of; what a damaged record is about stays unknown. */
export function thingsOf(recorded: readonly Recorded[]): Thing[] {
  const things = new Map<string, Thing>();
  // A port is its router's or instance's first, and only known to the network.
  const networksLast = recorded.toSorted((a, b) => Number(isNetwork(a)) - Number(isNetwork(b)));
  for (const one of networksLast)
    for (const found of thingsOfRecord(one)) {
      const key = `${found.kind} ${found.id}`;
      const known = things.get(key);
      things.set(key, known ? merged(known, found) : found);
    }
  return [...things.values()];
}

const isNetwork = ({ record }: Recorded): boolean => record?.kind === 'network';

function thingsOfRecord(recorded: Recorded): Thing[] {
  const { record, damage } = recorded;
  const { kind, id, name, namespace } = subjectOf(recorded);
  if (damage !== undefined || !record || kind === 'record') return [];
  const holder: Holder = { holder: `${kind} ${id}`, holderName: name ?? id, namespace };
  const also = [namespace, ...(kind === 'network' ? [bridgeName(id)] : [])];
  const self = thing({ kind, id, ...(name ? { name } : {}), ...holder, addresses: [], also });
  if (record.kind === 'router') return [self, ...routerThings(parseRouter(record.payload), holder)];
  if (record.kind === 'network') return [self, ...networkThings(parseNetwork(record.payload), holder)];
  if (record.kind === 'instance') return [self, ...instanceThings(record.payload as Instance, holder)];
  return [self];
}

/** A network is told of by its bridge's record and by its DHCP agent's, a port by its holder and its network. */
const merged = (one: Thing, two: Thing): Thing => ({
  ...two,
  ...one,
  namespace: one.namespace || two.namespace,
  identifiers: [...new Set([...one.identifiers, ...two.identifiers])],
});
