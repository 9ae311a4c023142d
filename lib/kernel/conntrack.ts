/**
 * Connection tracking entries by ctnetlink. Source: include/uapi/linux/netfilter/nfnetlink_conntrack.h;
 * what is deleted when: conntrack(8) -D -d and -D -q as neutron's ip_conntrack uses them.
 */
import { AF_INET, AF_INET6, ipText } from './ip-bytes.ts';
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
    new MessageWriter(SUBSYSTEM | IPCTNL_MSG_CT_GET, 0)
      .fixed(nfgenmsg(family === 4 ? AF_INET : AF_INET6))
      .finish(),
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

/**
 * Drop every tracked connection to and from the addresses: those with an original destination and those
 * with a reply destination among them. Returns how many went. An entry that ended meanwhile is fine.
 */
export function flushConntrack(ns: string, addresses: readonly string[]): number {
  if (addresses.length === 0) return 0;
  using socket = new NetlinkSocket(NETLINK_NETFILTER, ns);
  if (tracksNothing(socket)) return 0;
  const wanted = new Set(addresses);
  let deleted = 0;
  for (const family of [4, 6] as const) {
    if (!addresses.some((ip) => ip.includes(':') === (family === 6))) continue;
    const requests = entriesOf(socket, family, wanted).map((entry) => {
      const writer = new MessageWriter(SUBSYSTEM | IPCTNL_MSG_CT_DELETE, 0)
        .fixed(nfgenmsg(family === 4 ? AF_INET : AF_INET6))
        .bytes(CTA_TUPLE_ORIG | 0x8000, entry.original);
      if (entry.zone) writer.bytes(CTA_ZONE, entry.zone);
      return writer.finish();
    });
    for (const refusal of socket.transact(requests)) {
      if (!refusal) deleted += 1;
      else if (refusal.errno !== ENOENT)
        throw new KernelError('delete conntrack', refusal.errno, refusal.words);
    }
  }
  return deleted;
}
