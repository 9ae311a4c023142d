/** IP addresses of devices by rtnetlink. Source: rtnetlink(7), include/uapi/linux/if_addr.h. */
import { AF_INET, AF_INET6, broadcastBytes, ipBytes, ipText } from './ip-bytes.ts';
import { attributes, MessageWriter, type NetlinkSocket, NLM_F_CREATE, NLM_F_REPLACE } from './netlink.ts';

export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_PERMANENT = 0x80;

const SCOPES = { global: 0, link: 253, host: 254 } as const;

export interface Address {
  readonly index: number;
  readonly ip: string;
  readonly prefix: number;
  readonly scope: 'global' | 'link' | 'host';
  readonly broadcast: boolean;
  readonly nodad: boolean;
  /** false: learned from router advertisements, with a lifetime */
  readonly permanent: boolean;
  readonly tentative: boolean;
  readonly dadFailed: boolean;
}

interface NewAddress {
  readonly ip: string;
  readonly prefix: number;
  readonly scope: 'global' | 'link' | 'host';
  readonly broadcast: boolean;
  readonly nodad: boolean;
}

function message(type: number, flags: number, index: number, address: NewAddress): MessageWriter {
  const ip = ipBytes(address.ip);
  const header = Buffer.alloc(8);
  header[0] = ip.length === 4 ? AF_INET : AF_INET6;
  header[1] = address.prefix;
  header[3] = SCOPES[address.scope];
  header.writeUInt32LE(index, 4);
  return new MessageWriter(type, flags).fixed(header).bytes(IFA_LOCAL, ip).bytes(IFA_ADDRESS, ip);
}

/** Add an address; one that is there gets the new attributes. */
export function addAddress(index: number, address: NewAddress): Buffer {
  const writer = message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, address);
  if (address.broadcast && !address.ip.includes(':'))
    writer.bytes(IFA_BROADCAST, broadcastBytes(ipBytes(address.ip), address.prefix));
  if (address.nodad) writer.u32(IFA_FLAGS, IFA_F_NODAD);
  return writer.finish();
}

export const deleteAddress = (index: number, address: NewAddress): Buffer =>
  message(RTM_DELADDR, 0, index, address).finish();

export function decodeAddress(payload: Buffer): Address {
  const found = attributes(payload, 8);
  const flags = found.get(IFA_FLAGS)?.readUInt32LE(0) ?? payload[2]!;
  const scope = payload[3]!;
  return {
    index: payload.readUInt32LE(4),
    ip: ipText(found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS)!),
    prefix: payload[1]!,
    scope: scope === SCOPES.host ? 'host' : scope === SCOPES.link ? 'link' : 'global',
    broadcast: found.has(IFA_BROADCAST),
    nodad: (flags & IFA_F_NODAD) !== 0,
    permanent: (flags & IFA_F_PERMANENT) !== 0,
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    dadFailed: (flags & IFA_F_DADFAILED) !== 0,
  };
}

/** All addresses, both families, of the socket's namespace. */
export function readAddresses(socket: NetlinkSocket): Address[] {
  const found: Address[] = [];
  socket.dump(
    new MessageWriter(RTM_GETADDR, 0).fixed(Buffer.alloc(8)).finish(),
    (m) => found.push(decodeAddress(m.payload)),
    () => {
      found.length = 0;
    },
    'read addresses',
  );
  return found;
}
