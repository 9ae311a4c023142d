/**
 * An imprint of all that a namespace holds: the bytes of the kernel's own tables, as far as they say how things are set.
 * Equal imprints mean that nothing was changed in between. They tell nothing about what is in there; that is for the
 * readers of the single tables, which cost several times as much. What changes by itself is left out: counters,
 * carriers, ages and lifetimes, what is learned from others, addresses on their way through duplicate address
 * detection, and the kernel's own link-local addresses, which come when a carrier does.
 *
 * The packet rules are known by their generation, which counts every change in the namespace, and by the namespace's
 * cookie, which no other one has had since the host was started.
 * Sources: rtnetlink(7), include/uapi/linux/{if_link,netlink}.h, netfilter/nf_tables.h (NFT_MSG_GETGEN), socket(7).
 */
import fs from 'node:fs';
import { align, attributeAt, NLA_TYPE_MASK, u16, u32 } from './attributes.ts';
import * as libc from './libc.ts';
import { inNamespace } from './netns.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const NETLINK_NETFILTER = 12;
const SOL_SOCKET = 1;
const SO_NETNS_COOKIE = 71;
const HEADER = 16;
const NLM_F_REQUEST = 1;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

const RTM_GETLINK = 18;
const RTM_GETADDR = 22;
const RTM_GETROUTE = 26;
const RTM_GETNEIGH = 30;
const RTM_GETRULE = 34;
const NFT_MSG_GETGEN = (10 << 8) | 16;
const IFLA_EXT_MASK = 29;
const RTEXT_FILTER_SKIP_STATS = 8;

const IFF_UP = 1;
const NUD_PERMANENT = 0x80;
const NTF_PROXY = 0x08;
const IFA_FLAGS = 8;
const IFA_F_PERMANENT = 0x80;
/** node-made, permanent, refused as a duplicate: what an address is, not where it stands on its way */
const IFA_F_LASTING = 0x80 | 0x08 | 0x02;
const RT_TABLE_LOCAL = 255;
const RTN_UNICAST = 1;
const RTM_F_CLONED = 0x200;
const RTNH_F_ONLINK = 4;
const RTPROT_KERNEL = 2;
const RTPROT_RA = 9;
const IFA_PROTO = 11;
/** the link-local address that the kernel makes itself once a carrier is there */
const IFAPROT_KERNEL_LL = 3;
const IFLA_AF_SPEC = 26;

/** Attributes that say how things are set, by table. */
const LINK_ATTRIBUTES = new Set([1, 3, 4, 5, 10, 18]);
const ADDRESS_ATTRIBUTES = new Set([1, 2, 4]);
const ROUTE_ATTRIBUTES = new Set([1, 2, 4, 5, 6, 7, 9, 15]);
const NEIGHBOUR_ATTRIBUTES = new Set([1, 2]);
/** of IFLA_AF_SPEC → AF_INET6: the device's parameters and how it makes addresses */
const INET6_ATTRIBUTES = new Set([2, 7, 8]);
const AF_INET6 = 10;

const RECEIVE = Buffer.alloc(256 * 1024);

function dumpRequest(
  type: number,
  fixed: number,
  attribute?: readonly [type: number, value: number],
): Buffer {
  const request = Buffer.alloc(HEADER + fixed + (attribute ? 8 : 0));
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(type, 4);
  request.writeUInt16LE(NLM_F_REQUEST | (type === NFT_MSG_GETGEN ? 0 : NLM_F_DUMP), 6);
  if (attribute) {
    request.writeUInt16LE(8, HEADER + fixed);
    request.writeUInt16LE(attribute[0], HEADER + fixed + 2);
    request.writeUInt32LE(attribute[1], HEADER + fixed + 4);
  }
  return request;
}

/** An imprint as it is collected. */
class Collected {
  private bytes = Buffer.alloc(32 * 1024);
  private length = 0;

  private room(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    const larger = Buffer.alloc(this.bytes.length * 2 + size);
    this.bytes.copy(larger);
    this.bytes = larger;
  }

  clear(): void {
    this.length = 0;
  }

  add(data: Buffer, from: number, to: number): void {
    this.room(to - from);
    data.copy(this.bytes, this.length, from, to);
    this.length += to - from;
  }

  number(value: number): void {
    this.room(4);
    this.bytes.writeUInt32LE(value >>> 0, this.length);
    this.length += 4;
  }

  text(value: string): void {
    this.room(value.length * 3 + 1);
    this.length += this.bytes.write(value, this.length);
    this.bytes[this.length++] = 0;
  }

  /** Valid until something else is collected. */
  view(): Buffer {
    return this.bytes.subarray(0, this.length);
  }
}

/** Add the attributes of these types with their headers, in the kernel's order. */
function addAttributes(
  into: Collected,
  data: Buffer,
  from: number,
  to: number,
  types: ReadonlySet<number>,
): void {
  for (let at = from; at + 4 <= to; ) {
    const length = u16(data, at);
    if (length < 4) return;
    if (types.has(u16(data, at + 2) & NLA_TYPE_MASK)) into.add(data, at, at + length);
    at += align(length);
  }
}

type Take = (into: Collected, data: Buffer, from: number, to: number) => void;

/** IPv4 parameters come whole; of IPv6 also ages and counters are told. */
const takeLink: Take = (into, data, from, to) => {
  into.number(u32(data, from + 4));
  into.number(data[from + 8]! & IFF_UP);
  addAttributes(into, data, from + 16, to, LINK_ATTRIBUTES);
  const spec = attributeAt(data, from + 16, to, IFLA_AF_SPEC);
  if (spec < 0) return;
  const end = spec + u16(data, spec);
  for (let at = spec + 4; at + 4 <= end; at += align(u16(data, at))) {
    const [length, family] = [u16(data, at), u16(data, at + 2) & NLA_TYPE_MASK];
    if (length < 4) return;
    if (family === AF_INET6) addAttributes(into, data, at + 4, at + length, INET6_ATTRIBUTES);
    else into.add(data, at, at + length);
  }
};

const takeAddress: Take = (into, data, from, to) => {
  const at = attributeAt(data, from + 8, to, IFA_FLAGS);
  const flags = at < 0 ? data[from + 2]! : u32(data, at + 4);
  if (!(flags & IFA_F_PERMANENT)) return;
  const origin = attributeAt(data, from + 8, to, IFA_PROTO);
  if (origin >= 0 && data[origin + 4] === IFAPROT_KERNEL_LL) return;
  into.add(data, from, from + 2);
  into.add(data, from + 3, from + 8);
  into.number(flags & IFA_F_LASTING);
  addAttributes(into, data, from + 8, to, ADDRESS_ATTRIBUTES);
};

const takeRoute: Take = (into, data, from, to) => {
  const flags = u32(data, from + 8);
  const ordinary = data[from + 4] !== RT_TABLE_LOCAL && data[from + 7] === RTN_UNICAST;
  const protocol = data[from + 5];
  // The kernel's own follow from the addresses.
  const ofOthers = protocol === RTPROT_KERNEL || protocol === RTPROT_RA;
  if (!ordinary || ofOthers || flags & RTM_F_CLONED) return;
  into.add(data, from, from + 8);
  into.number(flags & RTNH_F_ONLINK);
  addAttributes(into, data, from + 12, to, ROUTE_ATTRIBUTES);
};

const takeRule: Take = (into, data, from, to) => into.add(data, from, to);

const takeNeighbour: Take = (into, data, from, to) => {
  const [state, flags] = [u16(data, from + 8), data[from + 10]!];
  // A device's multicast groups are permanent entries, too; those are no neighbours of ours.
  if (!(flags & NTF_PROXY) && !(state & NUD_PERMANENT)) return;
  into.add(data, from, from + 8);
  into.number(flags & NTF_PROXY);
  addAttributes(into, data, from + 12, to, NEIGHBOUR_ATTRIBUTES);
};

const LINKS = dumpRequest(RTM_GETLINK, 16, [IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS]);
const ADDRESSES = dumpRequest(RTM_GETADDR, 8);
const ROUTES = dumpRequest(RTM_GETROUTE, 12);
const RULES = dumpRequest(RTM_GETRULE, 12);
const NEIGHBOURS = dumpRequest(RTM_GETNEIGH, 12);
const PROXIES = dumpRequest(RTM_GETNEIGH, 12);
PROXIES[HEADER + 10] = NTF_PROXY;
const GENERATION = dumpRequest(NFT_MSG_GETGEN, 4);

type Table = readonly [request: Buffer, take: Take];
const TABLES: readonly Table[] = [
  [LINKS, takeLink],
  [ADDRESSES, takeAddress],
  [ROUTES, takeRoute],
  [RULES, takeRule],
];
/** The kernel keeps one table for all namespaces together, and goes through all of it. */
const NEIGHBOUR_TABLES: readonly Table[] = [
  [NEIGHBOURS, takeNeighbour],
  [PROXIES, takeNeighbour],
];

/** One table; false if the kernel refused it or changed it meanwhile: then there is no imprint. */
function dump(fd: number, request: Buffer, take: Take, into: Collected): boolean {
  libc.send(fd, request);
  let whole = true;
  for (;;) {
    const length = libc.recv(fd, RECEIVE, 0);
    if (length === -libc.EINTR) continue;
    if (length < 0) return false;
    for (let at = 0; at + HEADER <= length; ) {
      const size = u32(RECEIVE, at);
      const type = u16(RECEIVE, at + 4);
      if (u16(RECEIVE, at + 6) & NLM_F_DUMP_INTR) whole = false;
      if (type === NLMSG_DONE) return whole;
      if (type === NLMSG_ERROR || size < HEADER) return false;
      take(into, RECEIVE, at + HEADER, at + size);
      at += align(size);
    }
  }
}

const cookie = Buffer.alloc(8);

/** Generation of the namespace's packet rules, and the namespace's cookie; false if this kernel tells neither. */
function addGeneration(into: Collected): boolean {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
  try {
    if (!libc.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, cookie)) return false;
    into.add(cookie, 0, 8);
    libc.send(fd, GENERATION);
    const length = libc.recv(fd, RECEIVE, 0);
    const at = length < 0 ? -1 : attributeAt(RECEIVE, HEADER + 4, Math.min(length, u32(RECEIVE, 0)), 1);
    if (at < 0 || u16(RECEIVE, 4) === NLMSG_ERROR) return false;
    into.add(RECEIVE, at, at + 8);
    return true;
  } finally {
    libc.close(fd);
  }
}

let boot: string | undefined;
const bootId = (): string => (boot ??= fs.readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim());

const collected = new Collected();

function addParameters(into: Collected, names: readonly string[]): void {
  for (const name of names) {
    const length = libc.readFile(`/proc/sys/${name}`, RECEIVE);
    into.number(length);
    if (length > 0) into.add(RECEIVE, 0, length);
  }
}

export interface ImprintOptions {
  readonly ns: string;
  /** names of parameters below /proc/sys that belong to no device; a device's come with it */
  readonly parameters: readonly string[];
  /** permanent and proxy neighbours count */
  readonly neighbours: boolean;
}

/**
 * Imprint of a namespace; valid until the next one is made. undefined: not to be had (the namespace is gone, its tables
 * were being changed, or the kernel is too old).
 */
export function namespaceImprint({ ns, parameters, neighbours }: ImprintOptions): Buffer | undefined {
  const tables = neighbours ? [...TABLES, ...NEIGHBOUR_TABLES] : TABLES;
  try {
    return inNamespace(ns, () => {
      collected.clear();
      collected.text(bootId());
      if (!addGeneration(collected)) return undefined;
      const fd = libc.socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
      try {
        for (const [request, take] of tables) if (!dump(fd, request, take, collected)) return undefined;
      } finally {
        libc.close(fd);
      }
      addParameters(collected, parameters);
      return collected.view();
    });
  } catch (error) {
    if (error instanceof libc.KernelError) return undefined;
    throw error;
  }
}
