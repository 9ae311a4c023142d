/** Names by which Neutron, its tools and a later agent know what belongs to a network. */
import { createHash } from 'node:crypto';
import type { Network } from '../../../lib/model/network.ts';
import type { Port } from '../../../lib/model/port.ts';

const DNS_NAMESPACE = '6ba7b8109dad11d180b400c04fd430c8';

/** UUID version 5 (RFC 9562) of a name in the DNS namespace. */
function dnsUuid(name: string): string {
  const hash = createHash('sha1').update(Buffer.from(DNS_NAMESPACE, 'hex')).update(name).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** device_id of a host's DHCP port; only the short host name counts (`neutron_lib/utils/helpers`, `common/utils`). */
export const dhcpDeviceId = (host: string, networkId: string): string =>
  `dhcp${dnsUuid(host.split('.')[0]!)}-${networkId}`;

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
