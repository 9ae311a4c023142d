/**
 * One router advertisement, sent once: for what must be said before a device or a prefix goes.
 * Sources: RFC 4861 §4.2 and §4.6.2, RFC 4191 §2.2 (preference), packet(7).
 */
import { readAddresses } from './address.ts';
import { checksum, sendFrame } from './announce.ts';
import { cidrBytes, ipBytes, macBytes } from './ip-bytes.ts';
import { readLink } from './link.ts';
import { NETLINK_ROUTE, NetlinkSocket } from './netlink.ts';

const ROUTER_ADVERTISEMENT = 134;
const ICMPV6 = 58;
const ALL_NODES = 'ff02::1';
const ALL_NODES_MAC = '33:33:00:00:00:01';
const ETH_P_IPV6 = 0x86dd;
const AUTONOMOUS = 0x40;
const PREFERENCE = { low: 0x18, medium: 0, high: 0x08 } as const;

export interface RouterAdvertisement {
  readonly managed: boolean;
  readonly otherConfig: boolean;
  readonly preference: keyof typeof PREFERENCE;
  /** seconds; 0: no default router (any more) */
  readonly routerLifetime: number;
  /** CIDRs in which addresses end: lifetimes 0, nothing said about who is on the link */
  readonly endingPrefixes: readonly string[];
}

function prefixOption(cidr: string): Buffer {
  const { bytes, length } = cidrBytes(cidr);
  const option = Buffer.alloc(32);
  option.set([3, 4, length, AUTONOMOUS]);
  bytes.copy(option, 16);
  return option;
}

/** The IPv6 packet, from a link-local address to all nodes. */
export function advertisementPacket(from: { ip: string; mac: string }, what: RouterAdvertisement): Buffer {
  const head = Buffer.alloc(16);
  head[0] = ROUTER_ADVERTISEMENT;
  // 0: hop limit, reachable time and retransmission timer are left as they are
  head[5] = (what.managed ? 0x80 : 0) | (what.otherConfig ? 0x40 : 0) | PREFERENCE[what.preference];
  head.writeUInt16BE(what.routerLifetime, 6);
  const linkAddress = Buffer.concat([Buffer.from([1, 1]), macBytes(from.mac)]);
  const body = Buffer.concat([head, linkAddress, ...what.endingPrefixes.map(prefixOption)]);
  const addresses = Buffer.concat([ipBytes(from.ip), ipBytes(ALL_NODES)]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  body.writeUInt16BE(checksum(Buffer.concat([addresses, length, Buffer.from([0, 0, 0, ICMPV6]), body])), 2);
  const header = Buffer.from([0x60, 0, 0, 0, body.length >> 8, body.length & 0xff, ICMPV6, 255]);
  return Buffer.concat([header, addresses, body]);
}

/** false: the device is not there, or has no link-local address yet, from which nothing was said before either */
export function sendAdvertisement(ns: string, device: string, what: RouterAdvertisement): boolean {
  using socket = new NetlinkSocket(NETLINK_ROUTE, ns);
  const link = readLink(socket, { name: device });
  const own = readAddresses(socket).find(
    ({ index, ip, scope, tentative }) =>
      index === link?.index && scope === 'link' && ip.startsWith('fe80:') && !tentative,
  );
  if (!link?.mac || !own) return false;
  const packet = advertisementPacket({ ip: own.ip, mac: link.mac }, what);
  sendFrame(ns, { index: link.index, protocol: ETH_P_IPV6, mac: ALL_NODES_MAC, packet });
  return true;
}
