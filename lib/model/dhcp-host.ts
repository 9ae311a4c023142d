import { createHash } from 'node:crypto';

const DNS_NAMESPACE = '6ba7b8109dad11d180b400c04fd430c8';

const known = new Map<string, string>();

/**
 * What stands for a host in the device_id of its DHCP ports: UUID version 5 (RFC 9562) of its name in the DNS
 * namespace; only the short name counts (`neutron/common/utils.py`, get_dhcp_agent_device_id).
 */
export function dhcpHostId(host: string): string {
  const id = known.get(host) ?? hostId(host.split('.')[0]!);
  known.set(host, id);
  return id;
}

function hostId(name: string): string {
  const hash = createHash('sha1').update(Buffer.from(DNS_NAMESPACE, 'hex')).update(name).digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
