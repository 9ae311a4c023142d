/**
 * IP addresses and CIDRs as comparable values.
 *
 * The address of a port is looked at thousands of times per reconcile and there are few different ones,
 * so parse results are remembered (bounded). Plain addresses are parsed here, because a start has thousands of
 * them; what else may be IPv6 is parsed by ip-cidr. Text is canonical: RFC 5952 for IPv6, so equal addresses have equal text.
 */
import IPCIDR from 'ip-cidr';

export type IpFamily = 4 | 6;

export interface Ip {
  readonly family: IpFamily;
  readonly value: bigint;
  /** canonical text */
  readonly text: string;
}

export interface Cidr {
  readonly family: IpFamily;
  /** value of the first address */
  readonly network: bigint;
  readonly prefix: number;
  /** canonical 'network/prefix', host bits cleared */
  readonly text: string;
}

const GENERATION = 16_384;

/** A map that forgets what was not asked for lately: two generations of at most GENERATION entries. */
class Recent<V> {
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  get(key: string): V | undefined {
    const value = this.#young.get(key);
    if (value !== undefined) return value;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }
}

const ips = new Recent<Ip>();
const cidrs = new Recent<Cidr>();
const BITS = { 4: 32, 6: 128 } as const;

/** 32-bit value of dotted decimal, or -1. Leading zeros are refused: some programs read them as octal. */
function ipv4Value(text: string): number {
  let value = 0;
  let octet = -1;
  let leadingZero = false;
  let dots = 0;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (c === 46) {
      if (octet < 0) return -1;
      value = value * 256 + octet;
      octet = -1;
      dots += 1;
    } else if (c >= 48 && c <= 57) {
      if (octet === 0 && leadingZero) return -1;
      leadingZero = octet < 0 && c === 48;
      octet = (octet < 0 ? 0 : octet * 10) + c - 48;
      if (octet > 255) return -1;
    } else {
      return -1;
    }
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

const GROUP = /^[0-9a-fA-F]{1,4}$/;
const GROUPS = 8;

/** The groups of one side of '::', an embedded IPv4 address as two; undefined: there is something else among them. */
function ipv6Groups(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (GROUP.test(part)) groups.push(Number.parseInt(part, 16));
    else {
      const v4 = last && i === parts.length - 1 ? ipv4Value(part) : -1;
      if (v4 < 0) return undefined;
      groups.push(Math.floor(v4 / 65_536), v4 % 65_536);
    }
  }
  return groups;
}

/** RFC 4291, section 2.2; no zone, prefix or brackets. */
function ipv6Value(text: string): bigint | undefined {
  if (text.length > 45 || !text.includes(':')) return undefined;
  const gap = text.indexOf('::');
  const head = ipv6Groups(gap < 0 ? text : text.slice(0, gap), gap < 0);
  const tail = gap < 0 ? [] : ipv6Groups(text.slice(gap + 2), true);
  if (!head || !tail) return undefined;
  const missing = GROUPS - head.length - tail.length;
  // '::' stands for one group at least.
  if (gap < 0 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return BigInt(`0x${groups.map((group) => group.toString(16).padStart(4, '0')).join('')}`);
}

/** What is not plainly groups is for the library to understand, or not. */
function ipv6ByLibrary(text: string): bigint | undefined {
  // Zones, prefixes and brackets are accepted by the library but are not addresses.
  if (text.length > 45 || !text.includes(':') || !/^[0-9a-fA-F:.]+$/.test(text)) return undefined;
  let plain = text;
  if (text.includes('.')) {
    // The library drops what stands before an embedded IPv4 address: write that as two groups.
    const colon = text.lastIndexOf(':') + 1;
    const v4 = ipv4Value(text.slice(colon));
    if (v4 < 0) return undefined;
    plain = `${text.slice(0, colon)}${(v4 >>> 16).toString(16)}:${(v4 & 0xffff).toString(16)}`;
  }
  try {
    return IPCIDR.formatIP<bigint>(IPCIDR.createAddress(plain), { type: 'bigInteger' });
  } catch {
    return undefined;
  }
}

function ipv4Text(value: bigint): string {
  const n = Number(value);
  return `${Math.floor(n / 16_777_216)}.${(n >>> 16) & 255}.${(n >>> 8) & 255}.${n & 255}`;
}

/** RFC 5952: lower case, the longest run of two or more zero groups (the first of equals) becomes '::'. */
function ipv6Text(value: bigint): string {
  if (value >> 32n === 0xffffn) return `::ffff:${ipv4Text(value & 0xffff_ffffn)}`;
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i += 1) {
    let j = i;
    while (j < 8 && groups[j] === 0) j += 1;
    if (j - i > length) {
      start = i;
      length = j - i;
    }
    if (j > i) i = j;
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

function tryParseIp(text: unknown): Ip | undefined {
  if (typeof text !== 'string') return undefined;
  const known = ips.get(text);
  if (known) return known;
  const v4 = ipv4Value(text);
  let ip: Ip;
  if (v4 >= 0) {
    ip = { family: 4, value: BigInt(v4), text };
  } else {
    const v6 = ipv6Value(text) ?? ipv6ByLibrary(text);
    if (v6 === undefined) return undefined;
    ip = { family: 6, value: v6, text: ipv6Text(v6) };
  }
  ips.set(text, ip);
  return ip;
}

function tryParseCidr(text: unknown): Cidr | undefined {
  if (typeof text !== 'string') return undefined;
  const known = cidrs.get(text);
  if (known) return known;
  const slash = text.indexOf('/');
  if (slash < 0) return undefined;
  const ip = tryParseIp(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (!ip || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  const prefix = Number(length);
  if (prefix > BITS[ip.family]) return undefined;
  const host = BigInt(BITS[ip.family] - prefix);
  const network = (ip.value >> host) << host;
  const cidr = {
    family: ip.family,
    network,
    prefix,
    text: `${ipFromValue(ip.family, network)}/${prefix}`,
  };
  cidrs.set(text, cidr);
  return cidr;
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 80);

/** @throws TypeError if it is not an IPv4 or IPv6 address (no prefix, no zone). */
export function parseIp(text: string): Ip {
  const ip = tryParseIp(text);
  if (!ip) throw new TypeError(`${shown(text)} is not an IP address`);
  return ip;
}

export const isIp = (text: unknown): text is string => tryParseIp(text) !== undefined;

/** @throws TypeError as parseIp */
export const ipFamily = (text: string): IpFamily => parseIp(text).family;

/** Canonical text of an address value. @throws TypeError if the value does not fit the family. */
export function ipFromValue(family: IpFamily, value: bigint): string {
  if (value < 0n || value >> BigInt(BITS[family]) !== 0n) {
    throw new TypeError(`${value} is outside the IPv${family} address space`);
  }
  return family === 4 ? ipv4Text(value) : ipv6Text(value);
}

/** Host bits may be set; they are cleared. @throws TypeError if it is not 'address/prefix length'. */
export function parseCidr(text: string): Cidr {
  const cidr = tryParseCidr(text);
  if (!cidr) throw new TypeError(`${shown(text)} is not a CIDR (address/prefix length)`);
  return cidr;
}

export const isCidr = (text: unknown): text is string => tryParseCidr(text) !== undefined;

const toCidr = (cidr: Cidr | string): Cidr => (typeof cidr === 'string' ? parseCidr(cidr) : cidr);

/** False too if the families differ. */
export function cidrContains(cidr: Cidr | string, ip: string): boolean {
  const c = toCidr(cidr);
  const { family, value } = parseIp(ip);
  if (family !== c.family) return false;
  const host = BigInt(BITS[family] - c.prefix);
  return value >> host === c.network >> host;
}

export function cidrsOverlap(a: Cidr | string, b: Cidr | string): boolean {
  const [x, y] = [toCidr(a), toCidr(b)];
  if (x.family !== y.family) return false;
  const host = BigInt(BITS[x.family] - Math.min(x.prefix, y.prefix));
  return x.network >> host === y.network >> host;
}

/** Number of addresses, the network's own and the broadcast included. */
export function cidrSize(cidr: Cidr | string): bigint {
  const { family, prefix } = toCidr(cidr);
  return 1n << BigInt(BITS[family] - prefix);
}

/** The last address; of an IPv4 subnet that is the broadcast address. */
export function cidrLast(cidr: Cidr | string): string {
  const c = toCidr(cidr);
  return ipFromValue(c.family, c.network + cidrSize(c) - 1n);
}

/** Dotted IPv4 netmask of a prefix length. @throws TypeError outside 0..32 */
export function netmask(prefix: number): string {
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > 32) {
    throw new TypeError(`${prefix} is not an IPv4 prefix length (0 to 32)`);
  }
  return ipv4Text(((1n << BigInt(prefix)) - 1n) << BigInt(32 - prefix));
}

/** Six pairs of hexadecimal digits, with colons. */
export const isMac = (text: unknown): text is string =>
  typeof text === 'string' && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text);

/** Modified EUI-64 interface identifier (RFC 4291, appendix A). */
function interfaceId(mac: string): bigint {
  if (!isMac(mac)) throw new TypeError(`${shown(mac)} is not a MAC address`);
  const digits = mac.replaceAll(':', '');
  return BigInt(`0x${digits.slice(0, 6)}fffe${digits.slice(6)}`) ^ (1n << 57n);
}

/** The SLAAC address of a MAC in an IPv6 prefix of at most 64 bits. @throws TypeError for other prefixes */
export function eui64(prefixCidr: string, mac: string): string {
  const { family, network, prefix } = parseCidr(prefixCidr);
  if (family !== 6 || prefix > 64) {
    throw new TypeError(`${shown(prefixCidr)} is no IPv6 prefix of at most 64 bits`);
  }
  return ipv6Text(network | interfaceId(mac));
}

/** The IPv6 link-local address that the kernel makes from a MAC. */
export const linkLocal = (mac: string): string => eui64('fe80::/64', mac);
