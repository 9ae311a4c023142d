/** Pure: which metadata listeners a host must have, from its routers and networks. Contract §1, dhcp.md §11. */
import { cidrsOverlap, parseCidr } from '../../../lib/model/ip.ts';
import type { Network } from '../../../lib/model/network.ts';
import { DEVICE_OWNER, type Port, ROUTER_INTERFACE_OWNERS } from '../../../lib/model/port.ts';
import type { Router } from '../../../lib/model/router.ts';
import type { MetadataIdentity } from '../../../lib/model/source.ts';
import { deviceName } from '../../../lib/wiring/bridge.ts';

export interface DesiredListener {
  /** stable: namespace, address, port and device */
  readonly key: string;
  readonly ns: string;
  readonly address: string;
  readonly port: number;
  /** bind to this device only (link-local addresses need it) */
  readonly device?: string;
  /**
   * That its address can't be bound to is no problem: another DHCP agent of the network has it (duplicate address
   * detection), and serves it.
   */
  readonly optional?: true;
  /** what connections to this listener are attributed to */
  readonly identity: MetadataIdentity;
}

export interface ListenerOptions {
  readonly enable_metadata_proxy: boolean;
  readonly metadata_port: number;
  readonly enable_isolated_metadata: boolean;
  readonly force_metadata: boolean;
  readonly enable_metadata_network: boolean;
  /** end of the names of namespaces */
  readonly namespace_suffix?: string;
  /** the host has IPv6: routers listen on `::`, which takes IPv4 too */
  readonly ipv6: boolean;
  /** prefix of the DHCP port's device: 'ns-' for a veth pair (default), 'tap' else */
  readonly dhcpDevicePrefix?: string;
  /** UUIDv5 of this host's name in DHCP ports' device_id; absent: every DHCP port of the payload is ours */
  readonly dhcpHostId?: string;
}

export const METADATA_IPV4 = '169.254.169.254';
export const METADATA_IPV6 = 'fe80::a9fe:a9fe';
const METADATA_CIDR = '169.254.0.0/16';
const HTTP_PORT = 80;

const listener = (value: Omit<DesiredListener, 'key'>): DesiredListener => ({
  key: [value.ns, value.address, value.port, value.device ?? ''].join('|'),
  ...value,
});

/** The listener in a router's namespace; none with `enable_metadata_proxy` off or for a router that is down. */
export function routerListeners(router: Router, options: ListenerOptions): readonly DesiredListener[] {
  if (!options.enable_metadata_proxy || router.admin_state_up === false) return [];
  return [
    listener({
      ns: `qrouter-${router.id}${options.namespace_suffix ?? ''}`,
      address: options.ipv6 ? '::' : '0.0.0.0',
      port: options.metadata_port,
      identity: { router: router.id },
    }),
  ];
}

/** The listeners in a network's DHCP namespace, if the DHCP port is to serve metadata there. */
export function networkListeners(network: Network, options: ListenerOptions): readonly DesiredListener[] {
  if (network.admin_state_up === false || !servedByDhcp(network, options)) return [];
  const ns = `qdhcp-${network.id}${options.namespace_suffix ?? ''}`;
  const identity = networkIdentity(network, options);
  const listeners = [listener({ ns, address: METADATA_IPV4, port: HTTP_PORT, identity })];
  const own = network.ports.filter((port) => isOwnDhcpPort(port, network, options));
  const [port] = own;
  if (options.ipv6 && port && own.length === 1 && network.subnets.some((s) => s.ip_version === 6)) {
    const device = deviceName(options.dhcpDevicePrefix ?? 'ns-', port.id);
    listeners.push(
      listener({ ns, address: METADATA_IPV6, port: HTTP_PORT, device, optional: true, identity }),
    );
  }
  return listeners;
}

function servedByDhcp(network: Network, options: ListenerOptions): boolean {
  const subnets = network.subnets.filter((subnet) => subnet.enable_dhcp);
  if (subnets.length === 0 || network.ports.some(isOvnMetadataPort)) return false;
  if (options.force_metadata) return true;
  if (!options.enable_isolated_metadata) return false;
  const gateways = routerAddresses(network);
  const isolated = subnets.some((s) => !s.gateway_ip || !gateways.has(s.gateway_ip));
  return isolated || (options.enable_metadata_network && network.subnets.some(isMetadataSubnet));
}

/**
 * A metadata network (`enable_metadata_network`) serves a router's other networks: there the peer is
 * looked up behind that router.
 */
function networkIdentity(network: Network, options: ListenerOptions): MetadataIdentity {
  if (options.enable_metadata_network && network.subnets.some(isMetadataSubnet)) {
    const router = network.ports.find(isRouterPort)?.device_id;
    if (router) return { router };
  }
  return { network: network.id };
}

const isRouterPort = (port: Port): boolean => ROUTER_INTERFACE_OWNERS.has(port.device_owner);

const isOvnMetadataPort = (port: Port): boolean =>
  port.device_owner === 'network:distributed' && port.device_id.startsWith('ovnmeta-');

const isOwnDhcpPort = (port: Port, network: Network, { dhcpHostId }: ListenerOptions): boolean =>
  port.device_owner === DEVICE_OWNER.dhcp &&
  (dhcpHostId === undefined || port.device_id === `dhcp${dhcpHostId}-${network.id}`);

const routerAddresses = (network: Network): ReadonlySet<string> =>
  new Set(network.ports.filter(isRouterPort).flatMap((port) => port.fixed_ips.map((ip) => ip.ip_address)));

const isMetadataSubnet = ({ cidr }: { readonly cidr: string }): boolean =>
  parseCidr(cidr).prefix >= 16 && cidrsOverlap(METADATA_CIDR, cidr);
