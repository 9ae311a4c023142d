/**
 * Who is on the other end of a metadata connection, from the address the socket gives. Nothing a client
 * writes into a request has a say here (contract §9.1).
 */
import { ipFromValue, parseIp } from '../../lib/model/ip.ts';

export interface Peer {
  /** X-Forwarded-For: the peer as the socket shows it, less the zone (a mapped IPv4 address stays mapped) */
  readonly forwardedFor: string;
  /** canonical; a mapped IPv4 address is plain IPv4 here: the address to look the port up by */
  readonly address: string;
  /** of a link-local IPv6 address made from a MAC (EUI-64): the port's MAC, lower case with colons */
  readonly mac?: string;
}

const MAPPED = 0xffffn;
const LINK_LOCAL = 0xfe80n << 48n;

/**
 * @param remoteAddress `socket.remoteAddress`, with or without a zone (`fe80::1%qr-…`)
 * @throws TypeError if it is no IP address
 */
export function parsePeer(remoteAddress: string): Peer {
  const percent = remoteAddress.indexOf('%');
  const forwardedFor = percent < 0 ? remoteAddress : remoteAddress.slice(0, percent);
  const ip = parseIp(forwardedFor);
  if (ip.family === 4) return { forwardedFor, address: ip.text };
  if (ip.value >> 32n === MAPPED) return { forwardedFor, address: ipFromValue(4, ip.value & 0xffff_ffffn) };
  const mac =
    ip.value >> 64n === LINK_LOCAL ? macOfInterfaceId(ip.value & 0xffff_ffff_ffff_ffffn) : undefined;
  return mac === undefined ? { forwardedFor, address: ip.text } : { forwardedFor, address: ip.text, mac };
}

/** RFC 4291 appendix A backwards; undefined if the identifier was not made from a MAC. */
function macOfInterfaceId(id: bigint): string | undefined {
  if (((id >> 24n) & 0xffffn) !== 0xfffen) return undefined;
  const flipped = id ^ (1n << 57n);
  const digits = ((flipped >> 40n) << 24n) | (flipped & 0xff_ffffn);
  return digits
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:');
}
