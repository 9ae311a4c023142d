/**
 * Netlink: messages, attributes, and a synchronous socket that sends a batch and reads every answer.
 * Sources: netlink(7), include/uapi/linux/netlink.h.
 */
import { randomInt } from 'node:crypto';
import { align, NLA_TYPE_MASK } from './attributes.ts';
import { counters } from './counters.ts';
import * as libc from './libc.ts';
import { inNamespace } from './netns.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const MSG_DONTWAIT = 0x40;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;
const SIOCGIFINDEX = 0x8933;
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSGERR_ATTR_MSG = 1;
const NLMSGERR_ATTR_OFFS = 2;
export const HEADER = 16;
export const NLA_F_NESTED = 0x8000;

/** Builds one message: header, fixed part, attributes. Little endian, as every host we run on. */
export class MessageWriter {
  private buffer: Buffer;
  private length = HEADER;

  constructor(type: number, flags: number, capacity = 256) {
    // From Node's pool, as most messages live for a moment only.
    this.buffer = Buffer.allocUnsafe(capacity).fill(0);
    this.buffer.writeUInt16LE(type, 4);
    this.buffer.writeUInt16LE(flags | NLM_F_REQUEST, 6);
  }

  private room(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = Buffer.alloc(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(larger);
    this.buffer = larger;
  }

  /** Append the family header (ifinfomsg, rtmsg…), already laid out. */
  fixed(bytes: Buffer | readonly number[]): this {
    this.room(bytes.length);
    for (let i = 0; i < bytes.length; i++) this.buffer[this.length + i] = bytes[i]!;
    this.length = align(this.length + bytes.length);
    return this;
  }

  bytes(type: number, value: Uint8Array | readonly number[]): this {
    const size = 4 + value.length;
    this.room(align(size));
    this.buffer.writeUInt16LE(size, this.length);
    this.buffer.writeUInt16LE(type, this.length + 2);
    for (let i = 0; i < value.length; i++) this.buffer[this.length + 4 + i] = value[i]!;
    this.length += align(size);
    return this;
  }

  u8(type: number, value: number): this {
    return this.bytes(type, [value]);
  }

  u32(type: number, value: number): this {
    this.room(8);
    this.buffer.writeUInt16LE(8, this.length);
    this.buffer.writeUInt16LE(type, this.length + 2);
    this.buffer.writeUInt32LE(value >>> 0, this.length + 4);
    this.length += 8;
    return this;
  }

  /** Zero-terminated text. */
  text(type: number, value: string): this {
    return this.bytes(type, Buffer.from(`${value}\0`, 'latin1'));
  }

  nested(type: number, fill: (writer: this) => void): this {
    this.room(4);
    const start = this.length;
    this.buffer.writeUInt16LE(type | NLA_F_NESTED, start + 2);
    this.length += 4;
    fill(this);
    this.buffer.writeUInt16LE(this.length - start, start);
    return this;
  }

  /** For records without attribute header inside an attribute (struct rtnexthop, ifinfomsg of a veth peer). */
  raw(bytes: Buffer): this {
    this.room(align(bytes.length));
    bytes.copy(this.buffer, this.length);
    this.length += align(bytes.length);
    return this;
  }

  /** Bytes written so far, and a way to patch a length in afterwards. */
  get position(): number {
    return this.length;
  }

  patchU16(position: number, value: number): void {
    this.buffer.writeUInt16LE(value, position);
  }

  finish(): Buffer {
    this.buffer.writeUInt32LE(this.length, 0);
    return this.buffer.subarray(0, this.length);
  }
}

/**
 * Attributes of a message part as a map type → value bytes (a view, valid until the next receive). `wanted`:
 * only these types; a device has sixty attributes, and a view of each is what reading it costs.
 */
export function attributes(
  data: Buffer,
  from = 0,
  to = data.length,
  wanted?: ReadonlySet<number>,
): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = from; at + 4 <= to; ) {
    const length = data[at]! | (data[at + 1]! << 8);
    if (length < 4 || at + length > to) break;
    const type = (data[at + 2]! | (data[at + 3]! << 8)) & NLA_TYPE_MASK;
    if (!wanted || wanted.has(type)) found.set(type, data.subarray(at + 4, at + length));
    at += align(length);
  }
  return found;
}

/** The same for nested lists where a type occurs more than once: in order. */
export function attributeList(data: Buffer): { type: number; value: Buffer }[] {
  const found: { type: number; value: Buffer }[] = [];
  for (let at = 0; at + 4 <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < 4 || at + length > data.length) break;
    found.push({
      type: data.readUInt16LE(at + 2) & NLA_TYPE_MASK,
      value: data.subarray(at + 4, at + length),
    });
    at += align(length);
  }
  return found;
}

export const textOf = (value: Buffer | undefined): string | undefined => {
  if (value === undefined) return undefined;
  const end = value.indexOf(0);
  return value.toString('latin1', 0, end < 0 ? value.length : end);
};

/** One received message: type, flags, and the payload after the header. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  readonly payload: Buffer;
}

export function* messages(data: Buffer): Generator<Message> {
  for (let at = 0; at + HEADER <= data.length; ) {
    const length = data.readUInt32LE(at);
    if (length < HEADER || at + length > data.length) return;
    yield {
      type: data.readUInt16LE(at + 4),
      flags: data.readUInt16LE(at + 6),
      sequence: data.readUInt32LE(at + 8),
      port: data.readUInt32LE(at + 12),
      payload: data.subarray(at + HEADER, at + length),
    };
    at += align(length);
  }
}

/** What the kernel said about one request: undefined = done, else errno and its own words. */
export interface Refusal {
  readonly errno: number;
  readonly words?: string;
  /** where in the request the kernel found what it refuses */
  readonly offset?: number;
}

/** A refused message of a transaction, known by its sequence number. */
export interface TransactionRefusal extends Refusal {
  readonly sequence: number;
}

function refusalOf(message: Message): Refusal | undefined {
  const errno = -message.payload.readInt32LE(0);
  if (errno === 0) return undefined;
  if (!(message.flags & NLM_F_ACK_TLVS)) return { errno };
  const original = message.payload.readUInt32LE(4);
  const from = 4 + (message.flags & NLM_F_CAPPED ? HEADER : align(original));
  const said = attributes(message.payload, from);
  const words = textOf(said.get(NLMSGERR_ATTR_MSG));
  const offset = said.get(NLMSGERR_ATTR_OFFS)?.readUInt32LE(0);
  return { errno, ...(words && { words }), ...(offset !== undefined && { offset }) };
}

function takeRefusals(data: Buffer, into: TransactionRefusal[]): void {
  for (const message of messages(data)) {
    const refusal = message.type === NLMSG_ERROR ? refusalOf(message) : undefined;
    if (refusal) into.push({ ...refusal, sequence: message.sequence });
  }
}

/** Answers are read into one buffer shared by all sockets: everything here is synchronous. */
const RECEIVE = Buffer.alloc(256 * 1024);
/** A batch stays well below the receive buffer: an acknowledgement costs about 800 bytes of it. */
const BATCH = 256;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const DUMP_ATTEMPTS = 10;

/** What a socket takes in one go without being told to take more (net.core.wmem_default), on the safe side. */
const SEND_BUFFER_BYTES = 100_000;

const one = Buffer.from([1, 0, 0, 0]);
const receiveBuffer = Buffer.alloc(4);
receiveBuffer.writeUInt32LE(RECEIVE_BUFFER_BYTES);

/**
 * Port ids of this process's sockets: by them a listener tells its own changes from others'. The kernel would
 * give the process id to one socket of a namespace only. Bit 30 keeps clear of process ids (22 bits) and
 * of what the kernel makes up (negative); the tag tells processes apart, in whatever pid namespace.
 */
const PORT_TAG = 0x40000000 + randomInt(1 << 22) * 256;
const PORTS = 256;
let lastPort = 0;

/** Was this message caused by a socket of this process? libnftables leaves the choice to the kernel. */
export const isOwnPort = (port: number): boolean =>
  port === process.pid || (port >= PORT_TAG && port < PORT_TAG + PORTS);

function bindOwnPort(fd: number): void {
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  for (let attempt = 1; ; attempt++) {
    lastPort = (lastPort + 1) % PORTS;
    address.writeUInt32LE(PORT_TAG + lastPort, 4);
    try {
      libc.bind(fd, address);
      return;
    } catch (error) {
      const taken = error instanceof libc.KernelError && error.code === 'EADDRINUSE';
      if (!taken || attempt === PORTS) throw error;
    }
  }
}

/** A netlink socket of one namespace. Not for events: see monitor.ts. */
export class NetlinkSocket {
  private readonly fd: number;
  private sequence = 1;
  private roomy = false;

  /**
   * @param ns undefined: the namespace the thread is in at the moment
   * @throws KernelError if the namespace does not exist
   */
  constructor(protocol: number, ns: string | undefined) {
    const open = (): number => libc.socket(AF_NETLINK, SOCK_RAW, protocol);
    this.fd = ns === undefined ? open() : inNamespace(ns, open);
    libc.setsockopt(this.fd, SOL_NETLINK, NETLINK_EXT_ACK, one);
    libc.setsockopt(this.fd, SOL_NETLINK, NETLINK_CAP_ACK, one);
    if (protocol === NETLINK_ROUTE) libc.setsockopt(this.fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, one);
    bindOwnPort(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  close(): void {
    libc.close(this.fd);
  }

  /**
   * Index of a device by name; undefined if there is none. By ioctl, which any socket of the namespace answers
   * without the lock and the sixty attributes of RTM_GETLINK. Source: netdevice(7).
   */
  deviceIndex(name: string): number | undefined {
    const request = Buffer.alloc(IFREQ_BYTES);
    if (name.length >= IFNAMSIZ) return undefined;
    request.write(name, 'latin1');
    try {
      libc.ioctl(this.fd, SIOCGIFINDEX, request, `index of ${name}`);
    } catch (error) {
      if (error instanceof libc.KernelError && error.errno === libc.ENODEV) return undefined;
      throw error;
    }
    return request.readInt32LE(IFNAMSIZ);
  }

  private receive(): Buffer {
    for (;;) {
      const length = libc.recv(this.fd, RECEIVE, 0);
      if (length >= 0) return RECEIVE.subarray(0, length);
      if (length !== -libc.EINTR) throw new libc.KernelError('netlink receive', -length);
    }
  }

  /**
   * Send state-changing requests in order and return one entry for each: undefined if done. A refused
   * request does not stop those after it.
   */
  transact(requests: readonly Buffer[]): (Refusal | undefined)[] {
    const outcomes: (Refusal | undefined)[] = [];
    for (let at = 0; at < requests.length; at += BATCH)
      this.transactBatch(requests.slice(at, at + BATCH), outcomes);
    return outcomes;
  }

  private transactBatch(requests: readonly Buffer[], outcomes: (Refusal | undefined)[]): void {
    const first = this.sequence;
    libc.send(this.fd, this.prepared(requests));
    this.takeAnswers(requests.length, first, outcomes);
  }

  /** The requests as one datagram that wants an answer to each. */
  private prepared(requests: readonly Buffer[]): Buffer {
    if (!this.roomy && requests.length > 1) {
      libc.setsockopt(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, receiveBuffer);
      this.roomy = true;
    }
    for (const request of requests) {
      request.writeUInt16LE(request.readUInt16LE(6) | NLM_F_ACK, 6);
      request.writeUInt32LE(this.sequence++, 8);
    }
    counters.writes += requests.length;
    return requests.length === 1 ? requests[0]! : Buffer.concat(requests.map(padded));
  }

  private takeAnswers(count: number, first: number, outcomes: (Refusal | undefined)[]): void {
    const base = outcomes.length;
    for (let pending = count; pending > 0; ) {
      for (const message of messages(this.receive())) {
        if (message.type !== NLMSG_ERROR || message.sequence < first) continue;
        outcomes[base + message.sequence - first] = refusalOf(message);
        pending -= 1;
      }
    }
    outcomes.length = base + count;
  }

  /**
   * Send messages that stand for one transaction (nfnetlink's batches) and ask for no acknowledgement: what the
   * kernel refused of it, in order. It has decided before the send returns: there is nothing to wait for.
   */
  sendTransaction(batch: Buffer): TransactionRefusal[] {
    if (batch.length > SEND_BUFFER_BYTES) {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(batch.length * 2);
      libc.setsockopt(this.fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes);
    }
    counters.writes += 1;
    libc.send(this.fd, batch);
    const refusals: TransactionRefusal[] = [];
    for (;;) {
      const length = libc.recv(this.fd, RECEIVE, MSG_DONTWAIT);
      if (length === -libc.EAGAIN) return refusals;
      // More refusals than there was room for: it failed, and those that came in say why.
      if (length < 0 && (length !== -libc.ENOBUFS || refusals.length > 0))
        throw new libc.KernelError('netlink receive', -length);
      if (length < 0) refusals.push({ errno: -length, sequence: 0 });
      else takeRefusals(RECEIVE.subarray(0, length), refusals);
    }
  }

  /**
   * Read a table: `take` is called for each message, whose bytes are valid only during the call. An
   * interrupted dump (the table changed meanwhile) is read again from the start: `restart` must forget
   * what was taken.
   */
  dump(request: Buffer, take: (message: Message) => void, restart: () => void, what: string): void {
    request.writeUInt16LE(request.readUInt16LE(6) | NLM_F_DUMP, 6);
    for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
      restart();
      if (this.dumpOnce(request, take, what)) return;
    }
    throw new libc.KernelError(what, libc.EINTR, 'the table keeps changing while it is read');
  }

  /** Ask for one object: `take` gets the answer. Refused: nothing is taken and the refusal returned. */
  ask(request: Buffer, take: (message: Message) => void): Refusal | undefined {
    const sequence = this.sequence++;
    request.writeUInt16LE(request.readUInt16LE(6) | NLM_F_ACK, 6);
    request.writeUInt32LE(sequence, 8);
    libc.send(this.fd, request);
    for (;;) {
      for (const message of messages(this.receive())) {
        if (message.sequence !== sequence) continue;
        if (message.type === NLMSG_ERROR) return refusalOf(message);
        take(message);
      }
    }
  }

  private dumpOnce(request: Buffer, take: (message: Message) => void, what: string): boolean {
    const sequence = this.sequence++;
    request.writeUInt32LE(sequence, 8);
    libc.send(this.fd, request);
    let complete = true;
    for (;;) {
      for (const message of messages(this.receive())) {
        if (message.sequence !== sequence) continue;
        if (message.flags & NLM_F_DUMP_INTR) complete = false;
        if (message.type === NLMSG_DONE) {
          // A dump may also fail at its end: the error stands in the closing message.
          const errno = message.payload.length >= 4 ? -message.payload.readInt32LE(0) : 0;
          if (errno === libc.EINTR) return false;
          if (errno > 0) throw new libc.KernelError(what, errno);
          return complete;
        }
        if (message.type === NLMSG_ERROR) {
          const refusal = refusalOf(message);
          if (refusal?.errno === libc.EINTR) return false;
          if (refusal) throw new libc.KernelError(what, refusal.errno, refusal.words);
          return complete;
        }
        take(message);
      }
    }
  }
}

const padded = (message: Buffer): Buffer =>
  message.length % 4 === 0 ? message : Buffer.concat([message, Buffer.alloc(4 - (message.length % 4))]);
