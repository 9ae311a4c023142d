/**
 * The messages that nf_tables is told of tables, chains, sets and rules by. Source:
 * include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h.
 */
import { numberAttribute, textAttribute } from './nft-expression.ts';
import { ruleExpressions } from './nft-rule.ts';

/** bytes of a netlink header */
const HEADER = 16;
export const BATCH_BEGIN = 16;
export const BATCH_END = 17;
const SUBSYSTEM = 10;
export const MESSAGE = {
  newTable: 0,
  deleteTable: 2,
  newChain: 3,
  newRule: 6,
  newSet: 9,
  newElement: 12,
  deleteElement: 14,
} as const;
const REQUEST = 0x1;
export const CREATE = 0x400;
const APPEND = 0x800;
const NFPROTO_INET = 1;
const NESTED = 0x8000;

export const CHAIN = { table: 1, name: 3, hook: 4, policy: 5, type: 7 };
const HOOK = { number: 1, priority: 2 };
const HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
const NF_ACCEPT = 1;
export const RULE = { table: 1, chain: 2, expressions: 4, userdata: 7 };
const UDATA_COMMENT = 0;
export const SET = {
  table: 1,
  name: 2,
  flags: 3,
  keyType: 4,
  keyLength: 5,
  dataType: 6,
  dataLength: 7,
  id: 10,
};
const SET_USERDATA = 13;
const SET_FLAG = { constant: 2, map: 8 };
const DATA_VALUE = 1;

/** What nft notes for its own listings: keys are big endian; in a map also how its values are written. */
const SET_NOTE = Buffer.from([0, 4, 2, 0, 0, 0]);
const MAP_NOTE = Buffer.from([...SET_NOTE, 1, 4, 2, 0, 0, 0, 6, 4, 0, 0, 0, 0]);

const TYPES: Readonly<Record<string, { number: number; length: number }>> = {
  ipv4_addr: { number: 7, length: 4 },
  ipv6_addr: { number: 8, length: 16 },
};

export const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const COMMENT_LENGTH = 128;
const RULES_KEPT = 2000;

export interface NftChainPart {
  readonly name: string;
  readonly hook?: {
    readonly type: string;
    readonly hook: keyof typeof HOOKS;
    readonly priority: number;
  };
  readonly rules: readonly string[];
}

export interface NftSetPart {
  readonly name: string;
  readonly type: string;
  readonly flags?: readonly ('interval' | 'constant')[];
}

/** One buffer that all batches are written into; each then gets a copy of its own. */
class BatchWriter {
  buffer = Buffer.alloc(64 * 1024);
  length = 0;
  private sequence = 0;

  room(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const larger = Buffer.alloc(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
  }

  /** A message of nf_tables. The sequence number is never used again, so that a refusal tells which it was. */
  begin(message: number, flags: number): number {
    this.sequence = (this.sequence + 1) >>> 0 || 1;
    return this.header((SUBSYSTEM << 8) | message, flags, this.sequence, NFPROTO_INET, 0);
  }

  /** The first and the last message of a transaction. */
  bound(type: number): void {
    this.end(this.header(type, 0, 0, 0, SUBSYSTEM));
  }

  private header(type: number, flags: number, sequence: number, family: number, resource: number): number {
    this.room(HEADER + 4);
    const { buffer, length: at } = this;
    buffer.writeUInt32LE(0, at);
    buffer.writeUInt16LE(type, at + 4);
    buffer.writeUInt16LE(flags | REQUEST, at + 6);
    buffer.writeUInt32LE(sequence, at + 8);
    buffer.writeUInt32LE(0, at + 12);
    buffer[at + 16] = family;
    buffer[at + 17] = 0;
    buffer.writeUInt16BE(resource, at + 18);
    this.length = at + HEADER + 4;
    return at;
  }

  end(start: number): void {
    this.buffer.writeUInt32LE(this.length - start, start);
  }

  /** Attributes or whole messages, ready as they are. */
  put(bytes: Buffer): void {
    this.room(bytes.length);
    bytes.copy(this.buffer, this.length);
    this.length += bytes.length;
  }

  text(type: number, text: string): void {
    this.put(textAttribute(type, text));
  }

  number(type: number, value: number): void {
    this.put(numberAttribute(type, value));
  }

  /** Begin an attribute of other attributes. */
  open(type: number): number {
    this.room(4);
    const at = this.length;
    this.buffer.writeUInt16LE(type | NESTED, at + 2);
    this.length = at + 4;
    return at;
  }

  close(start: number): void {
    this.buffer.writeUInt16LE(this.length - start, start);
  }

  bytes(type: number, value: Buffer): void {
    const padded = (value.length + 3) & ~3;
    this.room(4 + padded);
    const { buffer, length: at } = this;
    buffer.writeUInt16LE(4 + value.length, at);
    buffer.writeUInt16LE(type, at + 2);
    value.copy(buffer, at + 4);
    buffer.fill(0, at + 4 + value.length, at + 4 + padded);
    this.length = at + 4 + padded;
  }

  /** NFTA_DATA of one value, as keys and values of elements are given. */
  value(type: number, value: Buffer): void {
    const start = this.open(type);
    this.bytes(DATA_VALUE, value);
    this.close(start);
  }
}

export const out = new BatchWriter();

/** What `write` appended, to be used again. */
export function written(write: () => void): Buffer {
  const from = out.length;
  write();
  const bytes = Buffer.from(out.buffer.subarray(from, out.length));
  out.length = from;
  return bytes;
}

/** The comment of a rule: always the same for the same rule. */
export type Comment = (rule: string) => string;

/** A chain of one name in one table. */
export class ChainMessages {
  private readonly head: Buffer;
  private readonly place: Buffer;
  private readonly rules = new Map<string, Buffer>();
  private readonly hook: NftChainPart['hook'];

  constructor(table: string, { name, hook }: NftChainPart) {
    this.hook = hook;
    this.head = written(() => {
      const start = out.begin(MESSAGE.newChain, CREATE);
      out.text(CHAIN.table, table);
      out.text(CHAIN.name, name);
      if (hook) {
        out.text(CHAIN.type, hook.type);
        out.number(CHAIN.policy, NF_ACCEPT);
        const nested = out.open(CHAIN.hook);
        out.number(HOOK.number, HOOKS[hook.hook]);
        out.number(HOOK.priority, hook.priority);
        out.close(nested);
      }
      out.end(start);
    });
    this.place = Buffer.concat([textAttribute(RULE.table, table), textAttribute(RULE.chain, name)]);
  }

  isOf({ hook }: NftChainPart): boolean {
    return (
      hook?.type === this.hook?.type &&
      hook?.hook === this.hook?.hook &&
      hook?.priority === this.hook?.priority
    );
  }

  writeHead(): void {
    out.put(this.head);
  }

  /** False: a rule is not understood. */
  writeRules(rules: readonly string[], commentOf: Comment): boolean {
    return rules.every((rule) => {
      const known = this.rules.get(rule);
      if (known) {
        out.put(known);
        return true;
      }
      const from = out.length;
      if (!this.writeRule(rule, commentOf(rule))) return false;
      if (this.rules.size >= RULES_KEPT) this.rules.clear();
      this.rules.set(rule, Buffer.from(out.buffer.subarray(from, out.length)));
      return true;
    });
  }

  private writeRule(rule: string, comment: string): boolean {
    const expressions = ruleExpressions(rule);
    if (!expressions || comment.length >= COMMENT_LENGTH) return false;
    const start = out.begin(MESSAGE.newRule, CREATE | APPEND);
    out.put(this.place);
    const list = out.open(RULE.expressions);
    out.put(expressions);
    out.close(list);
    const note = Buffer.from(`..${comment}\0`, 'latin1');
    note[0] = UDATA_COMMENT;
    note[1] = comment.length + 1;
    out.bytes(RULE.userdata, note);
    out.end(start);
    return true;
  }
}

let setNumber = 1;

/** The message that makes a set or map; undefined: of a kind not understood. */
export function setMessage(table: string, { name, type, flags = [] }: NftSetPart): Buffer | undefined {
  const [key, data, ...more] = type.split(' : ').map((word) => TYPES[word]);
  const isMap = type.includes(' : ');
  // Elements of an interval set are pairs of bounds: libnftables makes them.
  if (!key || (isMap && !data) || more.length > 0 || flags.includes('interval')) return undefined;
  return written(() => {
    const start = out.begin(MESSAGE.newSet, CREATE);
    out.text(SET.table, table);
    out.text(SET.name, name);
    out.number(SET.flags, (flags.length > 0 ? SET_FLAG.constant : 0) | (isMap ? SET_FLAG.map : 0));
    out.number(SET.keyType, key.number);
    out.number(SET.keyLength, key.length);
    if (data) {
      out.number(SET.dataType, data.number);
      out.number(SET.dataLength, data.length);
    }
    // Only rules of the same transaction could refer to it by number, and ours refer to sets by name.
    out.number(SET.id, setNumber++);
    out.bytes(SET_USERDATA, isMap ? MAP_NOTE : SET_NOTE);
    out.end(start);
  });
}
