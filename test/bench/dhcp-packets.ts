/** DHCPv4 as a client speaks it (RFC 2131), as far as the load needs it. */

const MAGIC = 0x63825363;
const AT = { xid: 4, flags: 10, ciaddr: 12, yiaddr: 16, chaddr: 28, magic: 236, options: 240 };
const OPTION = { requestedAddress: 50, messageType: 53, serverId: 54, end: 255 };
export const MESSAGE = { discover: 1, offer: 2, request: 3, ack: 5, nak: 6 } as const;
/** The answer is to be broadcast, for the client has no address yet. */
const BROADCAST = 0x8000;

export interface Question {
  readonly type: number;
  readonly xid: number;
  readonly mac: string;
  /** of the client that renews */
  readonly ciaddr?: string;
  readonly requested?: string;
  readonly server?: string;
}

export interface Answer {
  readonly type: number;
  readonly xid: number;
  readonly address: string;
  readonly server: string;
}

const ipBytes = (ip: string): Buffer => Buffer.from(ip.split('.').map(Number));
const option = (code: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([code, value.length]), value]);

export function question({ type, xid, mac, ciaddr, requested, server }: Question): Buffer {
  const fixed = Buffer.alloc(AT.options);
  fixed.set([1, 1, 6]);
  fixed.writeUInt32BE(xid, AT.xid);
  if (ciaddr) fixed.set(ipBytes(ciaddr), AT.ciaddr);
  else fixed.writeUInt16BE(BROADCAST, AT.flags);
  fixed.set(Buffer.from(mac.replaceAll(':', ''), 'hex'), AT.chaddr);
  fixed.writeUInt32BE(MAGIC, AT.magic);
  const options = [
    option(OPTION.messageType, Buffer.from([type])),
    ...(requested ? [option(OPTION.requestedAddress, ipBytes(requested))] : []),
    ...(server ? [option(OPTION.serverId, ipBytes(server))] : []),
    Buffer.from([OPTION.end]),
  ];
  return Buffer.concat([fixed, ...options, Buffer.alloc(60)]);
}

/** undefined: not an answer of DHCP */
export function answerOf(packet: Buffer): Answer | undefined {
  if (packet.length < AT.options || packet[0] !== 2 || packet.readUInt32BE(AT.magic) !== MAGIC)
    return undefined;
  const options = new Map<number, Buffer>();
  for (let at = AT.options; at + 1 < packet.length && packet[at] !== OPTION.end; ) {
    const length = packet[at + 1]!;
    options.set(packet[at]!, packet.subarray(at + 2, at + 2 + length));
    at += packet[at] === 0 ? 1 : 2 + length;
  }
  const type = options.get(OPTION.messageType)?.[0];
  if (type === undefined) return undefined;
  return {
    type,
    xid: packet.readUInt32BE(AT.xid),
    address: [...packet.subarray(AT.yiaddr, AT.yiaddr + 4)].join('.'),
    server: [...(options.get(OPTION.serverId) ?? [])].join('.'),
  };
}
