/** Addresses as the kernel wants them: network-order bytes, by the C library's own parser. */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const pton = libc.func('int inet_pton(int family, const char *text, void *into)');
const ntop = libc.func('const char *inet_ntop(int family, const void *bytes, void *into, uint size)');

export const AF_INET = 2;
export const AF_INET6 = 10;

/** 4 or 16 bytes. @throws TypeError if it is no address */
export function ipBytes(text: string): Buffer {
  const v6 = text.includes(':');
  const bytes = Buffer.alloc(v6 ? 16 : 4);
  if (pton(v6 ? AF_INET6 : AF_INET, text, bytes) !== 1) throw new TypeError(`not an IP address: ${text}`);
  return bytes;
}

const SCRATCH = Buffer.alloc(64);

/** Canonical text (RFC 5952) of 4 or 16 bytes. */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  return ntop(AF_INET6, Buffer.from(bytes), SCRATCH, SCRATCH.length) as string;
}

export const familyOf = (text: string): number => (text.includes(':') ? AF_INET6 : AF_INET);

/** '10.0.0.0/24' → bytes and length; a bare address has the full length. */
export function cidrBytes(cidr: string): { bytes: Buffer; length: number } {
  const slash = cidr.indexOf('/');
  const bytes = ipBytes(slash < 0 ? cidr : cidr.slice(0, slash));
  return { bytes, length: slash < 0 ? bytes.length * 8 : Number(cidr.slice(slash + 1)) };
}

/** The broadcast address of an IPv4 address in its subnet. */
export function broadcastBytes(ip: Buffer, prefix: number): Buffer {
  const broadcast = Buffer.from(ip);
  for (let bit = prefix; bit < 32; bit++) broadcast[bit >> 3]! |= 0x80 >> (bit & 7);
  return broadcast;
}

export const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');
export const macText = (bytes: Buffer): string => bytes.toString('hex').replace(/..(?=.)/g, '$&:');
