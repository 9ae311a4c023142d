/**
 * DHCPv6 messages as far as prefix delegation needs them (RFC 8415 §8, §21): what a requesting router sends, and what it
 * is answered. Pure.
 */
import { ipFromValue, parseCidr } from '../model/ip.ts';

export const REQUEST_TYPES = { solicit: 1, request: 3, renew: 5, rebind: 6, release: 8 } as const;
export type RequestType = keyof typeof REQUEST_TYPES;

const ANSWER_TYPES: Readonly<Record<number, Answer['type']>> = { 2: 'advertise', 7: 'reply' };

const OPTION = {
  clientId: 1,
  serverId: 2,
  optionRequest: 6,
  preference: 7,
  elapsedTime: 8,
  statusCode: 13,
  iaPd: 25,
  iaPrefix: 26,
  solMaxRt: 82,
} as const;

/** RFC 8415 §21.13 */
export const STATUS = { success: 0, noBinding: 3, noPrefixAvail: 6 } as const;

/** Seconds that mean for ever. */
export const FOREVER = 0xffff_ffff;
/** Of every association: each has a client identifier of its own, as with Neutron's client (`pd 1` of dibbler). */
const IAID = 1;
const MOST_ELAPSED = 0xffff;

export interface DelegatedPrefix {
  /** canonical CIDR */
  readonly prefix: string;
  /** seconds; FOREVER is possible */
  readonly preferred: number;
  readonly valid: number;
}

export interface Request {
  readonly type: RequestType;
  /** 24 bits */
  readonly transaction: number;
  /** DUIDs in hexadecimal digits; no server: any */
  readonly client: string;
  readonly server?: string | undefined;
  /** milliseconds since the first message of this exchange */
  readonly elapsed: number;
  /** what is held, or would be liked: '::/64' asks for any of that length */
  readonly prefix: string;
}

export interface Answer {
  readonly type: 'advertise' | 'reply';
  readonly transaction: number;
  readonly client: string;
  readonly server: string;
  readonly preference: number;
  /** of the message; then that of the association */
  readonly status: number;
  /** undefined: nothing is said of our association */
  readonly association?: {
    readonly status: number;
    /** seconds; 0: the client chooses */
    readonly t1: number;
    readonly t2: number;
    readonly prefixes: readonly DelegatedPrefix[];
  };
  /** seconds that a Solicit may wait at most, where the server says so */
  readonly solMaxRt?: number;
}

function option(code: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(code, 0);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}

const words32 = (...values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, 4 * i);
  return bytes;
};
const word16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);

/** Lifetimes of 0: the server chooses. */
function iaPrefix(cidr: string): Buffer {
  const { network, prefix } = parseCidr(cidr);
  const address = Buffer.from(network.toString(16).padStart(32, '0'), 'hex');
  return option(OPTION.iaPrefix, words32(0, 0), Buffer.from([prefix]), address);
}

export function encodeRequest({ type, transaction, client, server, elapsed, prefix }: Request): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(transaction);
  head[0] = REQUEST_TYPES[type];
  const options = [option(OPTION.clientId, Buffer.from(client, 'hex'))];
  if (server !== undefined) options.push(option(OPTION.serverId, Buffer.from(server, 'hex')));
  if (type !== 'release') options.push(option(OPTION.optionRequest, word16(OPTION.solMaxRt)));
  const hundredths = Math.min(Math.round(elapsed / 10), MOST_ELAPSED);
  options.push(option(OPTION.elapsedTime, word16(hundredths)));
  options.push(option(OPTION.iaPd, words32(IAID, 0, 0), iaPrefix(prefix)));
  return Buffer.concat([head, ...options]);
}

/** @throws RangeError if an option is longer than what it is in */
function* optionsIn(bytes: Buffer): Iterable<{ code: number; body: Buffer }> {
  for (let at = 0; at < bytes.length; ) {
    const code = bytes.readUInt16BE(at);
    const length = bytes.readUInt16BE(at + 2);
    const end = at + 4 + length;
    if (end > bytes.length) throw new RangeError(`option ${code} ends outside its message`);
    yield { code, body: bytes.subarray(at + 4, end) };
    at = end;
  }
}

const statusIn = (body: Buffer): number => body.readUInt16BE(0);

function prefixIn(body: Buffer): DelegatedPrefix {
  const length = body.readUInt8(8);
  const network = BigInt(`0x${body.subarray(9, 25).toString('hex').padEnd(32, '0')}`);
  return {
    prefix: parseCidr(`${ipFromValue(6, network)}/${length}`).text,
    preferred: body.readUInt32BE(0),
    valid: body.readUInt32BE(4),
  };
}

function associationIn(body: Buffer): NonNullable<Answer['association']> | undefined {
  if (body.readUInt32BE(0) !== IAID) return undefined;
  let status: number = STATUS.success;
  const prefixes: DelegatedPrefix[] = [];
  for (const { code, body: inner } of optionsIn(body.subarray(12))) {
    if (code === OPTION.statusCode) status = statusIn(inner);
    if (code === OPTION.iaPrefix) prefixes.push(prefixIn(inner));
  }
  return {
    status,
    t1: body.readUInt32BE(4),
    t2: body.readUInt32BE(8),
    // RFC 8415 §21.22: such a prefix is passed over.
    prefixes: prefixes.filter(({ preferred, valid }) => preferred <= valid),
  };
}

/** undefined: it is no answer to a client, or damaged: whoever sends such things is not listened to. */
export function decodeAnswer(datagram: Buffer): Answer | undefined {
  try {
    const type = ANSWER_TYPES[datagram.readUInt8(0)];
    if (!type) return undefined;
    const found: { -readonly [K in keyof Answer]?: Answer[K] } = {};
    for (const { code, body } of optionsIn(datagram.subarray(4))) {
      if (code === OPTION.clientId) found.client = body.toString('hex');
      if (code === OPTION.serverId) found.server = body.toString('hex');
      if (code === OPTION.preference) found.preference = body.readUInt8(0);
      if (code === OPTION.statusCode) found.status = statusIn(body);
      if (code === OPTION.solMaxRt) found.solMaxRt = body.readUInt32BE(0);
      if (code === OPTION.iaPd) found.association ??= associationIn(body)!;
    }
    const { client, server, ...rest } = found;
    if (!client || !server) return undefined;
    const transaction = datagram.readUInt32BE(0) & 0xff_ffff;
    return { preference: 0, status: STATUS.success, ...rest, type, transaction, client, server };
  } catch {
    return undefined;
  }
}

/**
 * DUID-EN of a subnet (RFC 8415 §11.3), as Neutron's agent has its client make it: whichever host asks for a subnet
 * is the same client to the server, and gets the same prefix.
 * @param vendorPen private enterprise number, 32 bits
 * @param subnetId a UUID
 */
export function subnetDuid(vendorPen: number, subnetId: string): string {
  const head = Buffer.alloc(6);
  head.writeUInt16BE(2, 0);
  head.writeUInt32BE(vendorPen, 2);
  return head.toString('hex') + subnetId.replaceAll('-', '');
}
