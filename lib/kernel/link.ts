/** Network devices by rtnetlink. Source: rtnetlink(7), include/uapi/linux/if_link.h. */
import { macBytes, macText } from './ip-bytes.ts';
import {
  attributes,
  MessageWriter,
  type NetlinkSocket,
  NLM_F_CREATE,
  NLM_F_EXCL,
  textOf,
} from './netlink.ts';

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

const WANTED: ReadonlySet<number> = new Set([
  IFLA_ADDRESS,
  IFLA_IFNAME,
  IFLA_MTU,
  IFLA_LINK,
  IFLA_MASTER,
  IFLA_LINKINFO,
  IFLA_AF_SPEC,
  IFLA_CARRIER,
  IFLA_LINK_NETNSID,
]);
const MODE: ReadonlySet<number> = new Set([IFLA_INET6_ADDR_GEN_MODE]);
const NOTHING = Buffer.alloc(0);

/** One link message (ifinfomsg and attributes) as a value. */
export function decodeLink(payload: Buffer): Link {
  const found = attributes(payload, 16, payload.length, WANTED);
  const info = found.get(IFLA_LINKINFO);
  const flags = payload.readUInt32LE(8);
  const kind = info && textOf(attributes(info).get(IFLA_INFO_KIND));
  const inet6 = attributes(found.get(IFLA_AF_SPEC) ?? NOTHING).get(AF_INET6);
  const mode = inet6 && attributes(inet6, 0, inet6.length, MODE).get(IFLA_INET6_ADDR_GEN_MODE)?.[0];
  const mac = found.get(IFLA_ADDRESS);
  return {
    index: payload.readInt32LE(4),
    name: textOf(found.get(IFLA_IFNAME)) ?? '',
    type: kind ?? (flags & IFF_LOOPBACK ? 'loopback' : 'physical'),
    mac: mac && macText(mac),
    mtu: found.get(IFLA_MTU)?.readUInt32LE(0) ?? 0,
    up: (flags & IFF_UP) !== 0,
    carrier: found.get(IFLA_CARRIER)?.[0] !== 0,
    master: found.get(IFLA_MASTER)?.readUInt32LE(0),
    peerIndex: found.get(IFLA_LINK)?.readUInt32LE(0),
    peerNamespaceId: found.get(IFLA_LINK_NETNSID)?.readInt32LE(0),
    addrGenMode: mode === undefined ? undefined : mode === ADDR_GEN_MODE_NONE ? 'none' : 'eui64',
  };
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
