/** Names by which Neutron, its tools and a later agent know what belongs to a network. */
import { dhcpHostId } from '../../../lib/model/dhcp-host.ts';
import type { Network } from '../../../lib/model/network.ts';
import type { Port } from '../../../lib/model/port.ts';

/** device_id of a host's DHCP port. */
export const dhcpDeviceId = (host: string, networkId: string): string =>
  `dhcp${dhcpHostId(host)}-${networkId}`;

export const dhcpNamespace = (networkId: string, suffix = ''): string => `qdhcp-${networkId}${suffix}`;

/** The DHCP port of this host, if the controller made one. */
export function ownPort(network: Network, host: string): Port | undefined {
  const deviceId = dhcpDeviceId(host, network.id);
  return network.ports.find((port) => port.device_id === deviceId);
}

/** Where a network's files are. */
export const networkDirectory = (dhcpConfs: string, networkId: string): string =>
  `${dhcpConfs.replace(/\/+$/, '')}/${networkId}`;

export const subnetTag = (subnetId: string): string => `subnet-${subnetId}`;
export const portTag = (portId: string): string => `port-${portId}`;
