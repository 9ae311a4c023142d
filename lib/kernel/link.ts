/** Network devices by rtnetlink. Source: rtnetlink(7), include/uapi/linux/if_link.h. */

import { align, attributeAt, NLA_TYPE_MASK, u16 } from './attributes.ts';
import { macBytes, macText } from './ip-bytes.ts';
import { MessageWriter, type NetlinkSocket, NLM_F_CREATE, NLM_F_EXCL, textOf } from './netlink.ts';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
const RTM_GETLINK = 18;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_NUM_TX_QUEUES = 31;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_CARRIER = 33;
const IFLA_LINK_NETNSID = 37;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const VETH_INFO_PEER = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const RTEXT_FILTER_SKIP_STATS = 8;
const AF_INET6 = 10;
const IFF_UP = 1;
const IFF_LOOPBACK = 8;
const ADDR_GEN_MODE_NONE = 1;

/** A device as the kernel shows it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** 'veth', 'bridge', 'loopback', … ; 'physical' if the kernel names no kind */
  readonly type: string;
  readonly mac?: string;
  readonly mtu: number;
  readonly up: boolean;
  /** it has a carrier, administratively up or not: a tap has one as long as a process holds it */
  readonly carrier: boolean;
  /** index of the bridge it belongs to */
  readonly master?: number;
  /** index of the other end of a veth pair (in its own namespace), and that namespace's id if another */
  readonly peerIndex?: number;
  readonly peerNamespaceId?: number;
  readonly addrGenMode?: 'eui64' | 'none';
}

/** struct ifinfomsg */
function ifinfomsg(index: number, flags: number, change: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return header;
}

export interface NewLink {
  readonly name: string;
  readonly type: 'veth' | 'bridge';
  readonly mac?: string;
  readonly mtu?: number;
  readonly up: boolean;
  /** veth: the other end's name, and a descriptor of its namespace if that is another one */
  readonly peer?: { readonly name: string; readonly mtu?: number; readonly namespaceFd?: number };
}

function common(writer: MessageWriter, link: { name: string; mac?: string; mtu?: number }): void {
  writer.text(IFLA_IFNAME, link.name);
  if (link.mac) writer.bytes(IFLA_ADDRESS, macBytes(link.mac));
  if (link.mtu) writer.u32(IFLA_MTU, link.mtu);
}

/**
 * One queue each way, as kernels before 5.15 made them: a queue for each processor costs sysfs objects (half of
 * the time it takes to create a pair, with two processors) and serves only XDP; forwarding uses none of them.
 */
const oneQueue = (writer: MessageWriter): void =>
  void writer.u32(IFLA_NUM_TX_QUEUES, 1).u32(IFLA_NUM_RX_QUEUES, 1);

/** Create a device; both ends of a veth pair come from one message. */
export function createLink(link: NewLink): Buffer {
  const up = link.up ? IFF_UP : 0;
  const writer = new MessageWriter(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL).fixed(ifinfomsg(0, up, up));
  common(writer, link);
  if (link.type === 'veth') oneQueue(writer);
  writer.nested(IFLA_LINKINFO, (info) => {
    info.text(IFLA_INFO_KIND, link.type);
    const { peer } = link;
    if (!peer) return;
    info.nested(IFLA_INFO_DATA, (data) =>
      data.nested(VETH_INFO_PEER, (end) => {
        end.raw(ifinfomsg(0, 0, 0));
        common(end, peer);
        oneQueue(end);
        if (peer.namespaceFd !== undefined) end.u32(IFLA_NET_NS_FD, peer.namespaceFd);
      }),
    );
  });
  return writer.finish();
}

export interface LinkChange {
  readonly mac?: string;
  readonly mtu?: number;
  readonly up?: boolean;
  /** index of the bridge; 0 takes it out */
  readonly master?: number;
  readonly addrGenMode?: 'eui64' | 'none';
}

/** Change an existing device, found by name. */
export const changeLink = (name: string, change: LinkChange): Buffer => changed(name, change);

/**
 * Move a device into another namespace, by a descriptor of that. The kernel does the change after the move: where it
 * was, a bridge may bound its MTU.
 */
export const moveLink = (name: string, namespaceFd: number, change: LinkChange): Buffer =>
  changed(name, change, namespaceFd);

function changed(name: string, change: LinkChange, namespaceFd?: number): Buffer {
  const mask = change.up === undefined ? 0 : IFF_UP;
  const writer = new MessageWriter(RTM_NEWLINK, 0).fixed(ifinfomsg(0, change.up ? IFF_UP : 0, mask));
  if (namespaceFd !== undefined) writer.u32(IFLA_NET_NS_FD, namespaceFd);
  common(writer, { name, mac: change.mac, mtu: change.mtu });
  if (change.master !== undefined) writer.u32(IFLA_MASTER, change.master);
  if (change.addrGenMode !== undefined) {
    const mode = change.addrGenMode === 'none' ? ADDR_GEN_MODE_NONE : 0;
    writer.nested(IFLA_AF_SPEC, (spec) =>
      spec.nested(AF_INET6, (inet6) => inet6.u8(IFLA_INET6_ADDR_GEN_MODE, mode)),
    );
  }
  return writer.finish();
}

export function deleteLink(name: string): Buffer {
  return new MessageWriter(RTM_DELLINK, 0)
    .fixed(ifinfomsg(0, 0, 0))
    .text(IFLA_IFNAME, name)
    .finish();
}

/** The first byte of an attribute within one within another. */
function nestedByte(data: Buffer, at: number, outer: number, inner: number): number | undefined {
  const middle = attributeAt(data, at + 4, at + u16(data, at), outer);
  if (middle < 0) return undefined;
  const found = attributeAt(data, middle + 4, middle + u16(data, middle), inner);
  return found < 0 ? undefined : data[found + 4];
}

function kindOf(data: Buffer, info: number): string | undefined {
  const at = attributeAt(data, info + 4, info + u16(data, info), IFLA_INFO_KIND);
  return at < 0 ? undefined : textOf(data.subarray(at + 4, at + u16(data, at)));
}

/**
 * One link message (ifinfomsg and attributes) as a value. A device has sixty attributes and a host thousands of devices:
 * one walk, and no view of what is not wanted.
 */
export function decodeLink(payload: Buffer): Link {
  const flags = payload.readUInt32LE(8);
  const loopback = (flags & IFF_LOOPBACK) !== 0;
  const link: { -readonly [K in keyof Link]: Link[K] } = {
    index: payload.readInt32LE(4),
    name: '',
    type: loopback ? 'loopback' : 'physical',
    mac: undefined,
    mtu: 0,
    up: (flags & IFF_UP) !== 0,
    carrier: true,
    master: undefined,
    peerIndex: undefined,
    peerNamespaceId: undefined,
    addrGenMode: undefined,
  };
  for (let at = 16; at + 4 <= payload.length; at += align(u16(payload, at))) {
    const length = u16(payload, at);
    if (length < 4 || at + length > payload.length) break;
    takeAttribute(link, payload, at, length);
  }
  return link;
}

function takeAttribute(
  link: { -readonly [K in keyof Link]: Link[K] },
  data: Buffer,
  at: number,
  length: number,
): void {
  switch (u16(data, at + 2) & NLA_TYPE_MASK) {
    case IFLA_IFNAME:
      link.name = data.toString('latin1', at + 4, at + length - 1);
      return;
    case IFLA_ADDRESS:
      link.mac = macText(data.subarray(at + 4, at + length));
      return;
    case IFLA_MTU:
      link.mtu = data.readUInt32LE(at + 4);
      return;
    case IFLA_MASTER:
      link.master = data.readUInt32LE(at + 4);
      return;
    case IFLA_LINK:
      link.peerIndex = data.readUInt32LE(at + 4);
      return;
    case IFLA_LINK_NETNSID:
      link.peerNamespaceId = data.readInt32LE(at + 4);
      return;
    case IFLA_CARRIER:
      link.carrier = data[at + 4] !== 0;
      return;
    case IFLA_LINKINFO:
      link.type = kindOf(data, at) ?? link.type;
      return;
    case IFLA_AF_SPEC: {
      const mode = nestedByte(data, at, AF_INET6, IFLA_INET6_ADDR_GEN_MODE);
      if (mode !== undefined) link.addrGenMode = mode === ADDR_GEN_MODE_NONE ? 'none' : 'eui64';
    }
  }
}

/** All devices of the socket's namespace. */
export function readLinks(socket: NetlinkSocket): Link[] {
  const links: Link[] = [];
  socket.dump(
    new MessageWriter(RTM_GETLINK, 0)
      .fixed(ifinfomsg(0, 0, 0))
      .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
      .finish(),
    (message) => links.push(decodeLink(message.payload)),
    () => {
      links.length = 0;
    },
    'read links',
  );
  return links;
}

/** One device, by name or index; undefined if there is none. */
export function readLink(
  socket: NetlinkSocket,
  which: { readonly name: string } | { readonly index: number },
): Link | undefined {
  const writer = new MessageWriter(RTM_GETLINK, 0).fixed(ifinfomsg('index' in which ? which.index : 0, 0, 0));
  if ('name' in which) writer.text(IFLA_IFNAME, which.name);
  let link: Link | undefined;
  socket.ask(writer.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS).finish(), (message) => {
    link = decodeLink(message.payload);
  });
  return link;
}
