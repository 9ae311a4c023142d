/** Ids and MACs derived from names, so that the same file always gives the same network. */
import { createHash } from 'node:crypto';

const DNS_NAMESPACE = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';

/** UUID version 5 (RFC 9562): SHA-1 of a namespace and a name. */
export function uuid5(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  hash[6] = (hash[6]! & 0x0f) | 0x50;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}

/** UUIDv5 of a host: what Neutron's DHCP agent puts into device_id (up to the first dot of the name). */
export const hostUuid = (host: string): string => uuid5(DNS_NAMESPACE, host.split('.')[0] ?? host);

/** device_id of the DHCP port of a host on a network (Neutron: common/utils.py get_dhcp_agent_device_id). */
export const dhcpDeviceId = (host: string, networkId: string): string => `dhcp${hostUuid(host)}-${networkId}`;

/** Makes ids of a deployment: the same path of names gives the same id, in no other deployment. */
export function idMaker(deployment: string): (...path: string[]) => string {
  const namespace = uuid5(DNS_NAMESPACE, `${deployment}.viaduct`);
  return (...path) => uuid5(namespace, JSON.stringify(path));
}

/** fa:16:3e:… from an id; `attempt` counts up while the result is taken. */
export function macOf(id: string, attempt = 0): string {
  const hash = createHash('sha1').update(`${id}/${attempt}`).digest('hex');
  return `fa:16:3e:${hash.slice(0, 2)}:${hash.slice(2, 4)}:${hash.slice(4, 6)}`;
}
