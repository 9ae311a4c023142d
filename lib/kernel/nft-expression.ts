/**
 * nf_tables expressions as netlink attributes, the way nft 1.0.6 encodes them. They are copied from prepared
 * words into which only the values are written: a router's load is made of some two hundred, by code the
 * compiler has not seen often yet. Source: include/uapi/linux/netfilter/nf_tables.h.
 */

const NESTED = 0x8000;
const LIST_ELEM = 1;
const EXPR = { name: 1, data: 2 };
const VALUE = 1;
const VERDICT = 2;
const REGISTER = 1;
const VERDICT_REGISTER = 0;

const META = { dreg: 1, key: 2, sreg: 3 };
const CT = { dreg: 1, key: 2, sreg: 4 };
const PAYLOAD = { dreg: 1, base: 2, offset: 3, length: 4 };
const CMP = { sreg: 1, operator: 2, data: 3 };
const BITWISE = { sreg: 1, dreg: 2, length: 3, mask: 4, xor: 5 };
const IMMEDIATE = { dreg: 1, data: 2 };
const LOOKUP = { set: 1, sreg: 2, dreg: 3 };
const NAT = { type: 1, family: 2, address: 3, flags: 7 };
const MASQUERADE = { flags: 1 };
const REDIRECT = { port: 1, flags: 3 };
const COUNTER = { bytes: 1, packets: 2 };
const VERDICT_PART = { code: 1, chain: 2 };

export const META_KEY = { mark: 3, iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const;
export const CT_KEY = { status: 2, mark: 3 } as const;
export const BASE = { network: 1, transport: 2 } as const;
export const EQUAL = 0;
export const UNEQUAL = 1;
export const NAT_TYPE = { snat: 0, dnat: 1 } as const;
const PROTO_SPECIFIED = 2;

export const VERDICTS = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

const padding = (length: number): number => -length & 3;

export function attribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc(4 + value.length + padding(value.length));
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  value.copy(bytes, 4);
  return bytes;
}

export const textAttribute = (type: number, text: string): Buffer =>
  attribute(type, Buffer.from(`${text}\0`, 'latin1'));

export const nestedAttribute = (type: number, ...parts: readonly Buffer[]): Buffer =>
  attribute(type | NESTED, Buffer.concat(parts));

/** nf_tables' own numbers are big endian. */
export function numberAttribute(type: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return attribute(type, bytes);
}

const expression = (name: string, ...attributes: readonly Buffer[]): Buffer =>
  nestedAttribute(LIST_ELEM, textAttribute(EXPR.name, name), nestedAttribute(EXPR.data, ...attributes));

const valueIn = (type: number, length: number): Buffer =>
  nestedAttribute(type, attribute(VALUE, Buffer.alloc(length)));

/** Netlink is made of words of 4 bytes, and copying those is what costs least. Little endian, as every host. */
export const wordsOf = (bytes: Buffer): Int32Array => new Int32Array(new Uint8Array(bytes).buffer);

/** `make`'s result by a number, made once. */
function prepared(make: (key: number) => Buffer): (key: number) => Int32Array {
  const known: (Int32Array | undefined)[] = [];
  return (key) => {
    known[key] ??= wordsOf(make(key));
    return known[key];
  };
}

const metaLoad = prepared((key) =>
  expression('meta', numberAttribute(META.key, key), numberAttribute(META.dreg, REGISTER)),
);
const metaSet = prepared((key) =>
  expression('meta', numberAttribute(META.key, key), numberAttribute(META.sreg, REGISTER)),
);
const ctLoad = prepared((key) =>
  expression('ct', numberAttribute(CT.key, key), numberAttribute(CT.dreg, REGISTER)),
);
const ctSet = prepared((key) =>
  expression('ct', numberAttribute(CT.key, key), numberAttribute(CT.sreg, REGISTER)),
);
/** key: operator and bytes of the value */
const compare = prepared((key) =>
  expression(
    'cmp',
    numberAttribute(CMP.sreg, REGISTER),
    numberAttribute(CMP.operator, key >> 5),
    valueIn(CMP.data, key & 31),
  ),
);
/** key: bytes of the values */
const bitwise = prepared((length) =>
  expression(
    'bitwise',
    numberAttribute(BITWISE.sreg, REGISTER),
    numberAttribute(BITWISE.dreg, REGISTER),
    numberAttribute(BITWISE.length, length),
    valueIn(BITWISE.mask, length),
    valueIn(BITWISE.xor, length),
  ),
);
const immediate = prepared((length) =>
  expression('immediate', numberAttribute(IMMEDIATE.dreg, REGISTER), valueIn(IMMEDIATE.data, length)),
);
/** key: base, offset and length */
const payload = prepared((key) =>
  expression(
    'payload',
    numberAttribute(PAYLOAD.dreg, REGISTER),
    numberAttribute(PAYLOAD.base, key >> 10),
    numberAttribute(PAYLOAD.offset, (key >> 5) & 31),
    numberAttribute(PAYLOAD.length, key & 31),
  ),
);
/** key: type, family, flags */
const translation = prepared((key) =>
  expression(
    'nat',
    numberAttribute(NAT.type, key >> 9),
    numberAttribute(NAT.family, (key >> 5) & 15),
    numberAttribute(NAT.address, REGISTER),
    ...((key & 31) === 0 ? [] : [numberAttribute(NAT.flags, key & 31)]),
  ),
);
const masquerading = prepared((flags) =>
  expression('masq', ...(flags === 0 ? [] : [numberAttribute(MASQUERADE.flags, flags)])),
);
const redirection = prepared((flags) =>
  expression(
    'redir',
    numberAttribute(REDIRECT.port, REGISTER),
    numberAttribute(REDIRECT.flags, flags | PROTO_SPECIFIED),
  ),
);
const COUNTING = wordsOf(
  expression(
    'counter',
    attribute(COUNTER.bytes, Buffer.alloc(8)),
    attribute(COUNTER.packets, Buffer.alloc(8)),
  ),
);

const verdictBytes = (code: number, chain?: string): Buffer =>
  expression(
    'immediate',
    numberAttribute(IMMEDIATE.dreg, VERDICT_REGISTER),
    nestedAttribute(
      IMMEDIATE.data,
      nestedAttribute(
        VERDICT,
        numberAttribute(VERDICT_PART.code, code),
        ...(chain === undefined ? [] : [textAttribute(VERDICT_PART.chain, chain)]),
      ),
    ),
  );
const verdicts = prepared((index) => verdictBytes(-index));
const ACCEPTING = wordsOf(verdictBytes(VERDICTS.accept));

const lookups = new Map<string, Int32Array>();
const LOOKUPS_KEPT = 100;

function lookupWords(set: string, into: boolean): Int32Array {
  const key = into ? `${set} map` : set;
  const known = lookups.get(key);
  if (known) return known;
  const words = wordsOf(
    expression(
      'lookup',
      numberAttribute(LOOKUP.sreg, REGISTER),
      ...(into ? [numberAttribute(LOOKUP.dreg, REGISTER)] : []),
      textAttribute(LOOKUP.set, set),
    ),
  );
  if (lookups.size >= LOOKUPS_KEPT) lookups.clear();
  lookups.set(key, words);
  return words;
}

/** 16 bits in network order. */
const swapped = (value: number): number => ((value & 0xff) << 8) | (value >> 8);

/** Expressions one after the other, all by way of one register. Made once and used for every rule. */
export class Expressions {
  private buffer = new Int32Array(1024);
  private length = 0;

  clear(): void {
    this.length = 0;
  }

  /** What was added since `clear`: a view, good until the next. */
  get words(): Int32Array {
    return this.buffer.subarray(0, this.length);
  }

  private put(words: Int32Array): void {
    if (this.length + words.length > this.buffer.length) {
      const larger = new Int32Array(this.buffer.length * 2);
      larger.set(this.buffer);
      this.buffer = larger;
    }
    this.buffer.set(words, this.length);
    this.length += words.length;
  }

  metaLoad(key: number): void {
    this.put(metaLoad(key));
  }

  metaSet(key: number): void {
    this.put(metaSet(key));
  }

  ctLoad(key: number): void {
    this.put(ctLoad(key));
  }

  ctSet(key: number): void {
    this.put(ctSet(key));
  }

  payload(base: number, offset: number, length: number): void {
    this.put(payload((base << 10) | (offset << 5) | length));
  }

  /** Equal or not to the first `length` bytes of a value. */
  compare(operator: number, value: ArrayLike<number>, length = value.length * 4): void {
    this.put(compare((operator << 5) | length));
    const words = (length + 3) >> 2;
    this.fill(value, words, words);
    if (length & 3) this.buffer[this.length - 1]! &= (1 << ((length & 3) * 8)) - 1;
  }

  /** Equal or not to a number of 32 bits, in the host's byte order. */
  compareNumber(operator: number, value: number): void {
    this.put(compare((operator << 5) | 4));
    this.buffer[this.length - 1] = value;
  }

  compareByte(operator: number, value: number): void {
    this.put(compare((operator << 5) | 1));
    this.buffer[this.length - 1] = value;
  }

  /** Equal or not to a port. */
  comparePort(operator: number, value: number): void {
    this.put(compare((operator << 5) | 2));
    this.buffer[this.length - 1] = swapped(value);
  }

  /** Keep the bits of the mask, then turn those of `xor`. In the host's byte order. */
  bitwiseNumber(mask: number, xor: number): void {
    this.put(bitwise(4));
    this.buffer[this.length - 4] = mask;
    this.buffer[this.length - 1] = xor;
  }

  /** Keep the bits of the mask: 1 or 4 words. */
  bitwise(mask: ArrayLike<number>): void {
    this.put(bitwise(mask.length * 4));
    this.fill(mask, mask.length, mask.length * 2 + 2);
  }

  immediate(value: ArrayLike<number>): void {
    this.put(immediate(value.length * 4));
    this.fill(value, value.length, value.length);
  }

  immediateNumber(value: number): void {
    this.put(immediate(4));
    this.buffer[this.length - 1] = value;
  }

  immediatePort(value: number): void {
    this.put(immediate(2));
    this.buffer[this.length - 1] = swapped(value);
  }

  /** The first words of a value, so many before the end. */
  private fill(value: ArrayLike<number>, words: number, before: number): void {
    const at = this.length - before;
    for (let i = 0; i < words; i++) this.buffer[at + i] = value[i]!;
  }

  /** `into`: a map, whose value takes the key's place. */
  lookup(set: string, into: boolean): void {
    this.put(lookupWords(set, into));
  }

  /** `flags`: NF_NAT_RANGE_* */
  nat(type: number, family: number, flags: number): void {
    this.put(translation((type << 9) | (family << 5) | flags));
  }

  masquerade(flags: number): void {
    this.put(masquerading(flags));
  }

  /** To the port that was loaded. */
  redirect(flags: number): void {
    this.put(redirection(flags));
  }

  counter(): void {
    this.put(COUNTING);
  }

  verdict(code: number): void {
    this.put(code > 0 ? ACCEPTING : verdicts(-code));
  }

  /** VERDICTS.jump or .goto */
  branch(code: number, chain: string): void {
    this.put(wordsOf(verdictBytes(code, chain)));
  }
}
