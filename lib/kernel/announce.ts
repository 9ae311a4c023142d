/**
 * Gratuitous ARP and unsolicited neighbour advertisements: "this address is at this MAC now".
 * Sources: RFC 5227 (ARP announcements), RFC 4861 §4.4 (neighbour advertisement), packet(7).
 */
import { ipBytes, macBytes } from './ip-bytes.ts';
import * as libc from './libc.ts';
import { inNamespace } from './netns.ts';

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const ETH_P_ARP = 0x0806;
const ETH_P_IPV6 = 0x86dd;
const BROADCAST = 'ff:ff:ff:ff:ff:ff';
const ALL_NODES_MAC = '33:33:00:00:00:01';
const ARP_REQUEST = 1;
const ARP_REPLY = 2;

/** struct sockaddr_ll */
function sockaddrLl(index: number, protocol: number, mac: string): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(protocol, 2);
  address.writeInt32LE(index, 4);
  address[11] = 6;
  macBytes(mac).copy(address, 12);
  return address;
}

/** The ARP packet `arping -U` (request) or `-A` (reply) sends. */
export function gratuitousArp(
  operation: typeof ARP_REQUEST | typeof ARP_REPLY,
  ip: string,
  mac: string,
): Buffer {
  const address = ipBytes(ip);
  const sender = macBytes(mac);
  const target = operation === ARP_REQUEST ? macBytes(BROADCAST) : sender;
  return Buffer.concat([Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]), sender, address, target, address]);
}

/** The Internet checksum of an even number of bytes (RFC 1071). */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** IPv6 packet with an unsolicited, overriding neighbour advertisement to all nodes. */
export function unsolicitedAdvertisement(ip: string, mac: string): Buffer {
  const source = ipBytes(ip);
  const target = ipBytes('ff02::1');
  const body = Buffer.alloc(32);
  body[0] = 136;
  body[4] = 0xa0; // router and override flags
  source.copy(body, 8);
  body[24] = 2; // target link-layer address option, 8 bytes
  body[25] = 1;
  macBytes(mac).copy(body, 26);
  const pseudo = Buffer.concat([source, target, Buffer.from([0, 0, 0, body.length, 0, 0, 0, 58]), body]);
  body.writeUInt16BE(checksum(pseudo), 2);
  const header = Buffer.from([0x60, 0, 0, 0, 0, body.length, 58, 255]);
  return Buffer.concat([header, source, target, body]);
}

/** Send one packet to a MAC address, from inside the namespace. @throws KernelError */
export function sendFrame(
  ns: string,
  frame: { index: number; protocol: number; mac: string; packet: Buffer },
): void {
  const { index, protocol, mac, packet } = frame;
  const fd = inNamespace(ns, () => libc.socket(AF_PACKET, SOCK_DGRAM, 0));
  try {
    libc.sendto(fd, packet, sockaddrLl(index, protocol, mac), `send to ${mac} in ${ns}`);
  } finally {
    libc.close(fd);
  }
}

export interface Announcement {
  readonly index: number;
  readonly mac: string;
  readonly ip: string;
}

/** Send one round for each address: ARP request and reply, or one advertisement. Errors are the caller's. */
export function announce(ns: string, announcements: readonly Announcement[]): void {
  const fd = inNamespace(ns, () => libc.socket(AF_PACKET, SOCK_DGRAM, 0));
  try {
    for (const { index, mac, ip } of announcements) {
      if (ip.includes(':')) {
        const to = sockaddrLl(index, ETH_P_IPV6, ALL_NODES_MAC);
        libc.sendto(fd, unsolicitedAdvertisement(ip, mac), to, `announce ${ip}`);
        continue;
      }
      const to = sockaddrLl(index, ETH_P_ARP, BROADCAST);
      for (const operation of [ARP_REQUEST, ARP_REPLY] as const)
        libc.sendto(fd, gratuitousArp(operation, ip, mac), to, `announce ${ip}`);
    }
  } finally {
    libc.close(fd);
  }
}
