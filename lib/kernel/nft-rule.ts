/**
 * One rule of an `inet` table from nft's language to nf_tables expressions, equal byte by byte to what nft 1.0.6
 * makes of it. Only the part of the language that rulesets here are written in, and only in its plain
 * spelling: of anything else the answer is "not understood", and libnftables is asked. Source: nft(8).
 */
import { addressWords } from './nft-address.ts';
import { BASE, CT_KEY, EQUAL, Expressions, META_KEY, NAT_TYPE, UNEQUAL, VERDICTS } from './nft-expression.ts';

const NFPROTO = { ipv4: 2, ipv6: 10 } as const;
const L4PROTO: ReadonlyMap<string | undefined, number> = new Map([
  ['tcp', 6],
  ['udp', 17],
]);
const HEADERS = {
  ip: { family: NFPROTO.ipv4, bytes: 4, saddr: 12, daddr: 16 },
  ip6: { family: NFPROTO.ipv6, bytes: 16, saddr: 8, daddr: 24 },
} as const;
type Header = (typeof HEADERS)['ip' | 'ip6'];
const STATUS: ReadonlyMap<string | undefined, number> = new Map([
  ['snat', 0x10],
  ['dnat', 0x20],
]);
const NAT_FLAGS: ReadonlyMap<string | undefined, number> = new Map([
  ['random', 4],
  ['persistent', 8],
  ['fully-random', 16],
]);

const NUMBER = /^(0x[0-9a-fA-F]{1,8}|0|[1-9]\d{0,9})$/;
const DECIMAL = /^(0|[1-9]\d{0,4})$/;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const DEVICE = /^"([A-Za-z0-9_.-]{1,15})(\*?)"$/;
const IFNAMSIZ = 16;

/** Thrown and caught in this file: the rest of a rule does not matter any more. */
class NotUnderstood extends Error {}
const notUnderstood = new NotUnderstood('not understood');

function given<T>(value: T | undefined): T {
  if (value === undefined) throw notUnderstood;
  return value;
}

function matching(pattern: RegExp, word: string | undefined): string {
  if (word === undefined || !pattern.test(word)) throw notUnderstood;
  return word;
}

function numberIn(word: string | undefined): number {
  const value = Number(matching(NUMBER, word));
  if (value > 0xffffffff) throw notUnderstood;
  return value;
}

function portIn(word: string | undefined): number {
  const value = Number(matching(DECIMAL, word));
  if (value < 1 || value > 0xffff) throw notUnderstood;
  return value;
}

function addressIn(word: string | undefined, header: Header): readonly number[] {
  const words = given(addressWords(given(word)));
  if (words.length * 4 !== header.bytes) throw notUnderstood;
  return words;
}

/** Words whose first bits, in network order, are ones. */
function maskOf(bits: number, words: number): number[] {
  const bytes = Buffer.alloc(words * 4);
  for (let bit = 0; bit < bits; bit++) bytes[bit >> 3]! |= 0x80 >> (bit & 7);
  return Array.from({ length: words }, (_, i) => bytes.readInt32LE(i * 4));
}

const expressions = new Expressions();
const deviceName = new Int32Array(IFNAMSIZ / 4);

/** Reads one rule, word by word. */
class RuleReader {
  private words: readonly string[] = [];
  private at = 0;
  /** what is known of the packet so far; undefined: nothing, 'unclear': only what it is not */
  private network: number | 'unclear' | undefined;
  private transport: number | 'unclear' | undefined;
  private portsSeen = false;

  read(text: string): void {
    expressions.clear();
    this.words = text.split(' ');
    this.at = 0;
    this.network = undefined;
    this.transport = undefined;
    this.portsSeen = false;
    let ended = false;
    while (this.at < this.words.length) {
      // Nothing may follow what ends a rule.
      if (ended) throw notUnderstood;
      ended = this.term();
    }
  }

  private next(): string | undefined {
    return this.words[this.at++];
  }

  private is(word: string): boolean {
    if (this.words[this.at] !== word) return false;
    this.at += 1;
    return true;
  }

  private expect(word: string): void {
    if (!this.is(word)) throw notUnderstood;
  }

  private operator(): number {
    if (this.is('!=')) return UNEQUAL;
    this.is('==');
    return EQUAL;
  }

  /** One match or statement. True: it ends the rule. */
  private term(): boolean {
    const word = this.next();
    switch (word) {
      case 'meta':
        this.meta();
        return false;
      case 'iifname':
      case 'oifname':
        this.device(META_KEY[word]);
        return false;
      case 'ip':
      case 'ip6':
        this.address(HEADERS[word]);
        return false;
      case 'tcp':
      case 'udp':
        this.port(word);
        return false;
      case 'ct':
        this.ct();
        return false;
      case 'counter':
        expressions.counter();
        return false;
      default:
        this.end(word);
        return true;
    }
  }

  private end(word: string | undefined): void {
    switch (word) {
      case 'accept':
      case 'drop':
      case 'return':
        expressions.verdict(VERDICTS[word]);
        return;
      case 'jump':
      case 'goto':
        expressions.branch(VERDICTS[word], matching(NAME, this.next()));
        return;
      case 'snat':
      case 'dnat':
        this.nat(NAT_TYPE[word]);
        return;
      case 'masquerade':
        expressions.masquerade(this.natFlags());
        return;
      case 'redirect':
        this.redirect();
        return;
      default:
        throw notUnderstood;
    }
  }

  private meta(): void {
    switch (this.next()) {
      case 'mark':
        this.mark(META_KEY.mark, false);
        return;
      case 'nfproto': {
        if (this.network !== undefined) throw notUnderstood;
        const operator = this.operator();
        const word = this.next();
        if (word !== 'ipv4' && word !== 'ipv6') throw notUnderstood;
        expressions.metaLoad(META_KEY.nfproto);
        expressions.compareByte(operator, NFPROTO[word]);
        this.network = operator === EQUAL ? NFPROTO[word] : 'unclear';
        return;
      }
      case 'l4proto': {
        if (this.transport !== undefined) throw notUnderstood;
        const operator = this.operator();
        const protocol = given(L4PROTO.get(this.next()));
        expressions.metaLoad(META_KEY.l4proto);
        expressions.compareByte(operator, protocol);
        this.transport = operator === EQUAL ? protocol : 'unclear';
        return;
      }
      default:
        throw notUnderstood;
    }
  }

  private ct(): void {
    const word = this.next();
    if (word === 'mark') {
      this.mark(CT_KEY.mark, true);
      return;
    }
    if (word !== 'status') throw notUnderstood;
    this.expect('&');
    const mask = given(STATUS.get(this.next()));
    const operator = this.operator();
    const value = this.next();
    expressions.ctLoad(CT_KEY.status);
    expressions.bitwiseNumber(mask, 0);
    expressions.compareNumber(operator, value === '0' ? 0 : given(STATUS.get(value)));
  }

  /** The mark of the packet or of its connection: compared, or set. */
  private mark(key: number, ofConnection: boolean): void {
    if (this.is('set')) {
      this.markValue();
      if (ofConnection) expressions.ctSet(key);
      else expressions.metaSet(key);
      return;
    }
    if (ofConnection) expressions.ctLoad(key);
    else expressions.metaLoad(key);
    if (this.is('&')) expressions.bitwiseNumber(numberIn(this.next()), 0);
    const operator = this.operator();
    expressions.compareNumber(operator, numberIn(this.next()));
  }

  /** A number, or a mark with some of its bits cleared and others set. */
  private markValue(): void {
    if (this.is('meta')) expressions.metaLoad(META_KEY.mark);
    else if (this.is('ct')) expressions.ctLoad(CT_KEY.mark);
    else {
      expressions.immediateNumber(numberIn(this.next()));
      return;
    }
    this.expect('mark');
    const masked = this.is('&');
    const mask = masked ? numberIn(this.next()) : 0xffffffff;
    const or = this.is('|');
    const bits = or ? numberIn(this.next()) : 0;
    if (masked || or) expressions.bitwiseNumber((mask & ~bits) >>> 0, bits);
  }

  private device(key: number): void {
    const operator = this.operator();
    const [, name = '', star] = given(DEVICE.exec(given(this.next())) ?? undefined);
    expressions.metaLoad(key);
    deviceName.fill(0);
    for (let i = 0; i < name.length; i++) deviceName[i >> 2]! |= name.charCodeAt(i) << ((i & 3) * 8);
    if (star === '') expressions.compare(operator, deviceName);
    else if (name.length < IFNAMSIZ - 1) expressions.compare(operator, deviceName, name.length);
    else throw notUnderstood;
  }

  /** What follows is true of one family only: say so, unless it was said before. */
  private requireNetwork(family: number): void {
    if (this.network === family) return;
    if (this.network !== undefined) throw notUnderstood;
    expressions.metaLoad(META_KEY.nfproto);
    expressions.compareByte(EQUAL, family);
    this.network = family;
  }

  private requireTransport(protocol: number): void {
    if (this.transport === protocol) return;
    if (this.transport !== undefined) throw notUnderstood;
    expressions.metaLoad(META_KEY.l4proto);
    expressions.compareByte(EQUAL, protocol);
    this.transport = protocol;
  }

  private addressOffset(header: Header): number {
    const field = this.next();
    if (field !== 'saddr' && field !== 'daddr') throw notUnderstood;
    this.requireNetwork(header.family);
    return header[field];
  }

  private address(header: Header): void {
    const offset = this.addressOffset(header);
    const operator = this.operator();
    const word = given(this.next());
    if (word.startsWith('@')) {
      // "Not in the set" is a flag of the look-up, and nobody has asked for it yet.
      if (operator !== EQUAL) throw notUnderstood;
      expressions.payload(BASE.network, offset, header.bytes);
      expressions.lookup(matching(NAME, word.slice(1)), false);
      return;
    }
    const [ip, prefix] = word.split('/', 2);
    const value = addressIn(ip, header);
    if (word !== (prefix === undefined ? ip : `${ip}/${prefix}`)) throw notUnderstood;
    const length = prefix === undefined ? header.bytes * 8 : Number(matching(DECIMAL, prefix));
    if (length > header.bytes * 8) throw notUnderstood;
    this.networkMatch(operator, offset, value, length);
  }

  /** An address, whole bytes of one, or some bits. */
  private networkMatch(operator: number, offset: number, value: readonly number[], length: number): void {
    if (length > 0 && length % 8 === 0) {
      expressions.payload(BASE.network, offset, length / 8);
      expressions.compare(operator, value, length / 8);
      return;
    }
    const mask = maskOf(length, value.length);
    expressions.payload(BASE.network, offset, value.length * 4);
    expressions.bitwise(mask);
    expressions.compare(
      operator,
      value.map((word, i) => word & mask[i]!),
    );
  }

  private port(protocol: string): void {
    // Of both ports nft makes one comparison.
    if (this.portsSeen) throw notUnderstood;
    this.portsSeen = true;
    this.requireTransport(given(L4PROTO.get(protocol)));
    const field = this.next();
    if (field !== 'sport' && field !== 'dport') throw notUnderstood;
    expressions.payload(BASE.transport, field === 'sport' ? 0 : 2, 2);
    const operator = this.operator();
    expressions.comparePort(operator, portIn(this.next()));
  }

  private natFlags(): number {
    return this.at < this.words.length ? given(NAT_FLAGS.get(this.next())) : 0;
  }

  /** To an address, or to what a map says of one. */
  private nat(type: number): void {
    const word = this.next();
    if (word !== 'ip' && word !== 'ip6') throw notUnderstood;
    const header = HEADERS[word];
    this.expect('to');
    if (this.is(word)) {
      const offset = this.addressOffset(header);
      this.expect('map');
      const set = given(this.next());
      if (!set.startsWith('@')) throw notUnderstood;
      expressions.payload(BASE.network, offset, header.bytes);
      expressions.lookup(matching(NAME, set.slice(1)), true);
    } else {
      if (this.network !== undefined && this.network !== header.family) throw notUnderstood;
      expressions.immediate(addressIn(this.next(), header));
    }
    expressions.nat(type, header.family, this.natFlags());
  }

  /** To a port of this host. Which protocol's must have been said. */
  private redirect(): void {
    this.expect('to');
    const target = given(this.next());
    if (!target.startsWith(':') || typeof this.transport !== 'number') throw notUnderstood;
    expressions.immediatePort(portIn(target.slice(1)));
    expressions.redirect(this.natFlags());
  }
}

const reader = new RuleReader();

/**
 * The expressions of a rule (without comment), as the content of NFTA_RULE_EXPRESSIONS: a view, good until the
 * next call. Undefined: not understood; libnftables may understand it, or say what is wrong with it.
 */
export function ruleExpressions(text: string): Int32Array | undefined {
  try {
    reader.read(text);
    return expressions.words;
  } catch (error) {
    if (error instanceof NotUnderstood) return undefined;
    throw error;
  }
}
