/**
 * The messages that nf_tables is told of tables, chains, sets and rules by. Source:
 * include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h.
 */
import { attribute, wordsOf } from './nft-expression.ts';
import { ruleExpressions } from './nft-rule.ts';

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
const KEYS_NOTE = [0, 4, 2, 0, 0, 0];
const SET_NOTE = wordsOf(attribute(SET_USERDATA, Buffer.from(KEYS_NOTE)));
const MAP_NOTE = wordsOf(
  attribute(SET_USERDATA, Buffer.from([...KEYS_NOTE, 1, 4, 2, 0, 0, 0, 6, 4, 0, 0, 0, 0])),
);

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

/** One buffer that all batches are written into, in words of 4 bytes; each then gets a copy of its own. */
class BatchWriter {
  private words = new Int32Array(16 * 1024);
  length = 0;
  private sequence = 0;

  private room(words: number): void {
    if (this.length + words <= this.words.length) return;
    const larger = new Int32Array(Math.max(this.words.length * 2, this.length + words));
    larger.set(this.words);
    this.words = larger;
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
    this.room(5);
    const { words, length: at } = this;
    words[at + 1] = type | ((flags | REQUEST) << 16);
    words[at + 2] = sequence;
    words[at + 3] = 0;
    // nfgenmsg: family, version 0, resource in network order
    words[at + 4] = family | (resource << 24);
    this.length = at + 5;
    return at;
  }

  end(start: number): void {
    this.words[start] = (this.length - start) * 4;
  }

  /** Attributes or whole messages, ready as they are. */
  put(words: Int32Array): void {
    this.room(words.length);
    this.words.set(words, this.length);
    this.length += words.length;
  }

  /** What was written since `from`. */
  since(from: number): Int32Array {
    return this.words.slice(from, this.length);
  }

  /** All of it, in bytes of their own. */
  get bytes(): Buffer {
    return Buffer.from(this.words.slice(0, this.length).buffer);
  }

  /** Zero-terminated text; `before`: two bytes that come first. */
  text(type: number, text: string, before?: number): void {
    const from = before === undefined ? 0 : 2;
    const bytes = from + text.length + 1;
    const padded = (bytes + 3) >> 2;
    this.room(1 + padded);
    const { words, length } = this;
    words[length] = (4 + bytes) | (type << 16);
    const at = length + 1;
    words.fill(0, at, at + padded);
    if (before !== undefined) words[at] = before;
    for (let i = from; i < bytes - 1; i++)
      words[at + (i >> 2)]! |= text.charCodeAt(i - from) << ((i & 3) * 8);
    this.length = at + padded;
  }

  /** nf_tables' own numbers are big endian. */
  number(type: number, value: number): void {
    this.room(2);
    const { words, length: at } = this;
    words[at] = 8 | (type << 16);
    words[at + 1] = (value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
    this.length = at + 2;
  }

  /** Begin an attribute of other attributes. */
  open(type: number): number {
    this.room(1);
    this.words[this.length] = (type | NESTED) << 16;
    return this.length++;
  }

  close(start: number): void {
    this.words[start]! |= (this.length - start) * 4;
  }

  /** NFTA_DATA of one value, as keys and values of elements are given. */
  value(type: number, value: readonly number[]): void {
    const size = value.length;
    this.room(2 + size);
    const { words, length: at } = this;
    words[at] = ((2 + size) * 4) | ((type | NESTED) << 16);
    words[at + 1] = ((1 + size) * 4) | (DATA_VALUE << 16);
    for (let i = 0; i < size; i++) words[at + 2 + i] = value[i]!;
    this.length = at + 2 + size;
  }
}

export const out = new BatchWriter();

/** What `write` appended, to be used again. */
export function written(write: () => void): Int32Array {
  const from = out.length;
  write();
  const words = out.since(from);
  out.length = from;
  return words;
}

/** The comment of a rule: always the same for the same rule. */
export type Comment = (rule: string) => string;

/** A chain of one name in one table. */
export class ChainMessages {
  private readonly head: Int32Array;
  private readonly place: Int32Array;
  private readonly rules = new Map<string, Int32Array>();
  private before: readonly string[] = [];
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
    this.place = written(() => {
      out.text(RULE.table, table);
      out.text(RULE.chain, name);
    });
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
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i]!;
      const known = this.rules.get(rule);
      if (known) {
        out.put(known);
        continue;
      }
      const from = out.length;
      if (!this.writeRule(rule, commentOf(rule))) return false;
      // Kept is what came in its place the time before too: others are of one router only, and an array for each
      // of those would cost more than all the rest.
      if (this.before[i] === rule) {
        if (this.rules.size >= RULES_KEPT) this.rules.clear();
        this.rules.set(rule, out.since(from));
      }
    }
    this.before = rules;
    return true;
  }

  private writeRule(rule: string, comment: string): boolean {
    const expressions = ruleExpressions(rule);
    if (!expressions || comment.length >= COMMENT_LENGTH) return false;
    const start = out.begin(MESSAGE.newRule, CREATE | APPEND);
    out.put(this.place);
    const list = out.open(RULE.expressions);
    out.put(expressions);
    out.close(list);
    out.text(RULE.userdata, comment, UDATA_COMMENT | ((comment.length + 1) << 8));
    out.end(start);
    return true;
  }
}

let setNumber = 1;

/** The message that makes a set or map; undefined: of a kind not understood. */
export function setMessage(table: string, { name, type, flags = [] }: NftSetPart): Int32Array | undefined {
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
    out.put(isMap ? MAP_NOTE : SET_NOTE);
    out.end(start);
  });
}
