/**
 * DHCPv6 Release (RFC 8415, §18.2.7) in a client's name, so that dnsmasq forgets a lease at once. Pure.
 *
 * It is sent as a relay would (§9, with the client's MAC by RFC 6939): for a message that comes straight from a host,
 * dnsmasq 2.90 first looks for that host's MAC, and stands still for half a second when the host is not there any
 * more. Send it through the DHCP device to all servers, from the client's link-local address: the answer goes there,
 * and not to dnsmasq's own port.
 */
import { linkLocal, parseIp } from '../../lib/model/ip.ts';

export interface Release6 {
  /** of the client; only its look matters: any will do */
  readonly mac: string;
  /** the leased address */
  readonly ip: string;
  /** address of this server on the same subnet: by it dnsmasq finds the subnet */
  readonly server: string;
  /** as in the lease file: a number, with T before it for a temporary address */
  readonly iaid: string;
  /** DUIDs, hexadecimal with colons */
  readonly clientId: string;
  readonly serverId: string;
}

export const DHCP6_SERVER_PORT = 547;
/** All_DHCP_Relay_Agents_and_Servers */
export const DHCP6_SERVERS = 'ff02::1:2';

const MESSAGE = { release: 8, relayForward: 12 };
const OPTION = { clientId: 1, serverId: 2, iaNa: 3, iaTa: 4, iaAddress: 5, relayMessage: 9, linkLayer: 79 };
const ETHERNET = 1;

const ipv6Bytes = (ip: string): Buffer =>
  Buffer.from(parseIp(ip).value.toString(16).padStart(32, '0'), 'hex');
const hexBytes = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');

function option(code: number, ...values: Buffer[]): Buffer {
  const value = Buffer.concat(values);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(code, 0);
  head.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, value]);
}

/** Identity association with one address and lifetimes of 0. */
function association(iaid: string, ip: string): Buffer {
  const temporary = iaid.startsWith('T');
  const number = Buffer.alloc(4);
  number.writeUInt32BE(Number(temporary ? iaid.slice(1) : iaid), 0);
  const address = option(OPTION.iaAddress, ipv6Bytes(ip), Buffer.alloc(8));
  if (temporary) return option(OPTION.iaTa, number, address);
  return option(OPTION.iaNa, number, Buffer.alloc(8), address);
}

/** The packet; its transaction id is 0, for the answer interests nobody. */
export function release6Packet({ mac, ip, server, iaid, clientId, serverId }: Release6): Buffer {
  const release = Buffer.concat([
    Buffer.from([MESSAGE.release, 0, 0, 0]),
    option(OPTION.clientId, hexBytes(clientId)),
    option(OPTION.serverId, hexBytes(serverId)),
    association(iaid, ip),
  ]);
  return Buffer.concat([
    Buffer.from([MESSAGE.relayForward, 0]),
    ipv6Bytes(server),
    ipv6Bytes(linkLocal(mac)),
    option(OPTION.linkLayer, Buffer.from([0, ETHERNET]), hexBytes(mac)),
    option(OPTION.relayMessage, release),
  ]);
}
