/**
 * DHCPRELEASE (RFC 2131, §4.4.4) in a client's name: how dnsmasq is told to forget a lease at once. Pure. dnsmasq
 * finds the network by the interface, so send it through the DHCP device to the device's own address.
 */

export interface Release {
  readonly mac: string;
  /** the leased address */
  readonly ip: string;
  /** address of this server on the same subnet */
  readonly server: string;
  /** hexadecimal with colons, as in the lease file */
  readonly clientId?: string;
}

export const DHCP_SERVER_PORT = 67;

const BOOTREQUEST = 1;
const ETHERNET = 1;
const RELEASE = 7;
const OPTION = { messageType: 53, serverId: 54, clientId: 61, end: 255 };
const MAGIC = Buffer.from([0x63, 0x82, 0x53, 0x63]);
/** Fixed part of 236 bytes, magic cookie, 308 bytes of options. */
const LENGTH = 548;
const AT = { ciaddr: 12, chaddr: 28, magic: 236 };

const ipv4Bytes = (ip: string): Buffer => Buffer.from(ip.split('.').map(Number));
const hexBytes = (text: string): Buffer => Buffer.from(text.replaceAll(':', ''), 'hex');

const option = (code: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([code, value.length]), value]);

/** The packet; its transaction id is 0, for there is no answer to it. */
export function releasePacket({ mac, ip, server, clientId }: Release): Buffer {
  const hardware = hexBytes(mac);
  const fixed = Buffer.alloc(AT.magic);
  fixed.set([BOOTREQUEST, ETHERNET, hardware.length]);
  fixed.set(ipv4Bytes(ip), AT.ciaddr);
  fixed.set(hardware, AT.chaddr);
  const identity = clientId === undefined ? Buffer.alloc(0) : hexBytes(clientId);
  const packet = Buffer.concat([
    fixed,
    MAGIC,
    option(OPTION.messageType, Buffer.from([RELEASE])),
    option(OPTION.serverId, ipv4Bytes(server)),
    ...(identity.length > 0 && identity.length < 256 ? [option(OPTION.clientId, identity)] : []),
    Buffer.from([OPTION.end]),
  ]);
  return packet.length >= LENGTH ? packet : Buffer.concat([packet, Buffer.alloc(LENGTH - packet.length)]);
}
