/** Permanent and proxy neighbour entries by rtnetlink. Source: rtnetlink(7), ip-neighbour(8). */
import { AF_INET, AF_INET6, familyOf, ipBytes, ipText, macBytes, macText } from './ip-bytes.ts';
import { attributes, MessageWriter, type NetlinkSocket, NLM_F_CREATE, NLM_F_REPLACE } from './netlink.ts';

export const RTM_NEWNEIGH = 28;
export const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NUD_PERMANENT = 0x80;
const NTF_PROXY = 0x08;

export interface Neighbour {
  readonly index: number;
  readonly ip: string;
  readonly mac?: string;
  readonly proxy: boolean;
}

function ndmsg(family: number, index: number, proxy: boolean, state: number): Buffer {
  const header = Buffer.alloc(12);
  header[0] = family;
  header.writeInt32LE(index, 4);
  header.writeUInt16LE(state, 8);
  header[10] = proxy ? NTF_PROXY : 0;
  return header;
}

function message(type: number, flags: number, entry: Neighbour): Buffer {
  const state = entry.proxy ? 0 : NUD_PERMANENT;
  const writer = new MessageWriter(type, flags)
    .fixed(ndmsg(familyOf(entry.ip), entry.index, entry.proxy, state))
    .bytes(NDA_DST, ipBytes(entry.ip));
  if (entry.mac) writer.bytes(NDA_LLADDR, macBytes(entry.mac));
  return writer.finish();
}

export const replaceNeighbour = (entry: Neighbour): Buffer =>
  message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry);
export const deleteNeighbour = (entry: Neighbour): Buffer => message(RTM_DELNEIGH, 0, entry);

/** Permanent entries and proxy entries; what the kernel learned by itself is left out. */
export function readNeighbours(socket: NetlinkSocket): Neighbour[] {
  return [false, true].flatMap((proxy) => {
    const found: Neighbour[] = [];
    socket.dump(
      new MessageWriter(RTM_GETNEIGH, 0).fixed(ndmsg(0, 0, proxy, 0)).finish(),
      ({ payload }) => {
        if (payload[0] !== AF_INET && payload[0] !== AF_INET6) return;
        if (!proxy && !(payload.readUInt16LE(8) & NUD_PERMANENT)) return;
        const values = attributes(payload, 12);
        const ip = values.get(NDA_DST);
        const mac = values.get(NDA_LLADDR);
        if (ip)
          found.push({ index: payload.readInt32LE(4), ip: ipText(ip), mac: mac && macText(mac), proxy });
      },
      () => {
        found.length = 0;
      },
      'read neighbours',
    );
    return found;
  });
}
