/**
 * Connection tracking entries by ctnetlink. Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h;
 * what is deleted when: conntrack(8) -D -d and -D -q as neutron's ip_conntrack uses them.
 */
import { AF_INET, AF_INET6, ipBytes, ipText } from './ip-bytes.ts';
import { ENOENT, KernelError } from './libc.ts';
import { attributes, MessageWriter, NETLINK_NETFILTER, NetlinkSocket } from './netlink.ts';

const SUBSYSTEM = 1 << 8;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const IPCTNL_MSG_CT_GET_STATS = 5;
const CTA_STATS_GLOBAL_ENTRIES = 1;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_TUPLE_IP = 1;
const CTA_ZONE = 18;
const CTA_FILTER = 25;
/** Within CTA_FILTER: which parts of the two tuples count. */
const FLAGS_OF = { [CTA_TUPLE_ORIG]: 1, [CTA_TUPLE_REPLY]: 2 } as const;
const BY_TARGET = 1 << 1;
const ADDRESSES = { 4: { source: 1, target: 2 }, 6: { source: 3, target: 4 } } as const;

const nfgenmsg = (family: number): Buffer => Buffer.from([family, 0, 0, 0]);

interface Entry {
  readonly original: Buffer;
  readonly reply: Buffer;
  readonly zone?: Buffer;
}

function targets(tuple: Buffer, family: 4 | 6): string | undefined {
  const ip = attributes(tuple).get(CTA_TUPLE_IP);
  const bytes = ip && attributes(ip).get(ADDRESSES[family].target);
  return bytes && ipText(bytes);
}

/** Entries that were opened to one of the addresses, or whose replies go to one (it was their SNAT). */
function entriesOf(socket: NetlinkSocket, family: 4 | 6, addresses: ReadonlySet<string>): Entry[] {
  const found: Entry[] = [];
  socket.dump(
    new MessageWriter(SUBSYSTEM | IPCTNL_MSG_CT_GET, 0).fixed(header(family)).finish(),
    ({ payload }) => {
      const values = attributes(payload, 4);
      const original = values.get(CTA_TUPLE_ORIG);
      const reply = values.get(CTA_TUPLE_REPLY);
      if (!original || !reply) return;
      const hit = [original, reply].some((tuple) => {
        const target = targets(tuple, family);
        return target !== undefined && addresses.has(target);
      });
      if (hit) {
        const zone = values.get(CTA_ZONE);
        found.push({ original: Buffer.from(original), reply, zone: zone && Buffer.from(zone) });
      }
    },
    () => {
      found.length = 0;
    },
    'read conntrack',
  );
  return found;
}

/**
 * The namespace tracks no connection at all: known without a dump, for which the kernel walks the hash table
 * of the whole host (10 ms).
 */
function tracksNothing(socket: NetlinkSocket): boolean {
  let entries: number | undefined;
  const asked = new MessageWriter(SUBSYSTEM | IPCTNL_MSG_CT_GET_STATS, 0).fixed(nfgenmsg(0)).finish();
  socket.ask(asked, ({ payload }) => {
    entries = attributes(payload, 4).get(CTA_STATS_GLOBAL_ENTRIES)?.readUInt32BE(0);
  });
  return entries === 0;
}

const familyOf = (ip: string): 4 | 6 => (ip.includes(':') ? 6 : 4);
const header = (family: 4 | 6): Buffer => nfgenmsg(family === 4 ? AF_INET : AF_INET6);

/** Has the kernel drop all entries of which one tuple has this IPv4 target. */
const dropByTarget = (ip: string, tuple: keyof typeof FLAGS_OF): Buffer =>
  new MessageWriter(SUBSYSTEM | IPCTNL_MSG_CT_DELETE, 0)
    .fixed(header(4))
    .nested(tuple, (whole) =>
      whole.nested(CTA_TUPLE_IP, (addresses) => addresses.bytes(ADDRESSES[4].target, ipBytes(ip))),
    )
    .nested(CTA_FILTER, (filter) => filter.u32(FLAGS_OF[tuple], BY_TARGET))
    .finish();

/** Kernels delete by filter since 6.3; an older one takes the request for an incomplete tuple and refuses. */
let filters = true;

/**
 * A tenth of the time of reading all entries. IPv4 only: of IPv6 the kernel (6.18 still) drops all but those asked for.
 * @returns those whose connections are still to be dropped
 */
function withoutDropped(socket: NetlinkSocket, addresses: readonly string[]): readonly string[] {
  const v4 = filters ? addresses.filter((ip) => familyOf(ip) === 4) : [];
  const requests = v4.flatMap((ip) => [dropByTarget(ip, CTA_TUPLE_ORIG), dropByTarget(ip, CTA_TUPLE_REPLY)]);
  if (socket.transact(requests).some((refusal) => refusal !== undefined)) filters = false;
  return filters ? addresses.filter((ip) => familyOf(ip) === 6) : addresses;
}

/** Reads all there is, and deletes what matches entry by entry. */
function dropOneByOne(socket: NetlinkSocket, addresses: readonly string[]): void {
  const wanted = new Set(addresses);
  for (const family of [4, 6] as const) {
    if (!addresses.some((ip) => familyOf(ip) === family)) continue;
    const requests = entriesOf(socket, family, wanted).map((entry) => {
      const writer = new MessageWriter(SUBSYSTEM | IPCTNL_MSG_CT_DELETE, 0)
        .fixed(header(family))
        .bytes(CTA_TUPLE_ORIG | 0x8000, entry.original);
      if (entry.zone) writer.bytes(CTA_ZONE, entry.zone);
      return writer.finish();
    });
    // One that ended meanwhile is fine.
    for (const refusal of socket.transact(requests))
      if (refusal && refusal.errno !== ENOENT)
        throw new KernelError('delete conntrack', refusal.errno, refusal.words);
  }
}

/**
 * Drop every tracked connection to and from the addresses: those with an original destination and those with a reply
 * destination among them.
 */
export function flushConntrack(ns: string, addresses: readonly string[]): void {
  if (addresses.length === 0) return;
  using socket = new NetlinkSocket(NETLINK_NETFILTER, ns);
  if (!tracksNothing(socket)) dropOneByOne(socket, withoutDropped(socket, addresses));
}
