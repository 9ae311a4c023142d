/**
 * A YAML document read key by key, with the place of every value. Nothing here throws: what is wrong is
 * reported and reads as absent, so that one pass over a file finds everything that is wrong with it.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { isCidr, isIp, isMac, parseCidr, parseIp } from '../model/ip.ts';
import { quoted } from '../model/quoted.ts';
import { nearest, type TopologyProblem } from './problem.ts';

/** A value and where it stands (offset into the text). */
export interface Given<T> {
  readonly value: T;
  readonly at: number;
}

/** The file under reading and the list of its problems. */
export class Source {
  readonly file: string;
  readonly problems: TopologyProblem[] = [];
  readonly #lines = new LineCounter();
  readonly document: Document.Parsed;

  constructor(text: string, file: string) {
    this.file = file;
    this.document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false });
    for (const error of this.document.errors) {
      const about = error.message.replace(/\s+/g, ' ').replace(/[.:]$/, '');
      this.report(error.pos[0], about, 'correct the YAML syntax here or just before');
    }
  }

  report(at: number, message: string, fix: string): void {
    const { line, col } = this.#lines.linePos(at);
    this.problems.push({ file: this.file, line: Math.max(line, 1), column: Math.max(col, 1), message, fix });
  }

  lineOf(at: number): number {
    return Math.max(this.#lines.linePos(at).line, 1);
  }

  /** The top of the document; undefined (and reported) if that is no mapping. */
  root(): Section | undefined {
    const top: unknown = this.document.contents;
    if (isMap(top)) return new Section(this, top, 0, 'the topology');
    this.report(
      0,
      'the file is not a mapping of sections',
      "write sections such as 'networks:' and 'routers:'",
    );
    return undefined;
  }
}

const shown = (text: string): string => quoted(text.length > 60 ? `${text.slice(0, 60)}…` : text);

/** A value of a mapping or list, not looked at yet. */
export class Item {
  readonly at: number;
  readonly source: Source;
  readonly #node: unknown;
  readonly #what: string;

  constructor(source: Source, node: unknown, at: number, what: string) {
    this.source = source;
    this.#node = isAlias(node) ? node.resolve(source.document) : node;
    this.at = isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? at) : at;
    this.#what = what;
  }

  get isMapping(): boolean {
    return isMap(this.#node);
  }

  get isNull(): boolean {
    return this.#node === null || (isScalar(this.#node) && this.#node.value === null);
  }

  wrong(message: string, fix: string): undefined {
    this.source.report(this.at, `${this.#what}: ${message}`, fix);
    return undefined;
  }

  section(subject: string): Section | undefined {
    if (isMap(this.#node)) return new Section(this.source, this.#node, this.at, subject);
    return this.wrong('is not a mapping', "write it as 'key: value' lines");
  }

  list(): Item[] {
    if (this.isNull) return [];
    if (isSeq(this.#node)) {
      return this.#node.items.map((node, i) => new Item(this.source, node, this.at, `${this.#what}[${i}]`));
    }
    this.wrong('is not a list', "write the values as '- value' lines or in [ ]");
    return [];
  }

  /** Text of at most `max` characters; numbers count as the text they are written with. */
  text(max = 255, multiline = false): string | undefined {
    if (!isScalar(this.#node)) return this.wrong('is not a text', 'write a single value');
    const { value, source } = this.#node;
    const text = typeof value === 'string' ? value : (source ?? String(value));
    if (text === '' || text.length > max) {
      return this.wrong(
        text === '' ? 'is empty' : `is longer than ${max} characters`,
        'write 1 to that many',
      );
    }
    const forbidden = multiline ? text.includes('\0') : /[\p{Cc}\u2028\u2029]/u.test(text);
    if (forbidden) {
      return this.wrong('has control characters', 'remove them');
    }
    return text;
  }

  /** Text converted by `convert`, which returns undefined if it is not what `what` says. */
  parsed<T>(what: string, fix: string, convert: (text: string) => T | undefined): T | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const value = convert(text);
    return value === undefined ? this.wrong(`${shown(text)} is not ${what}`, fix) : value;
  }

  ip(): string | undefined {
    return this.parsed('an IP address', 'write it like 10.0.0.5 or 2001:db8::5', (text) =>
      isIp(text) ? parseIp(text).text : undefined,
    );
  }

  /** Host bits must be zero, as the Networking API wants it: they are mostly a slip. */
  cidr(): string | undefined {
    const cidr = this.parsed('a CIDR', 'write it like 10.0.0.0/24 or 2001:db8::/64', (text) =>
      isCidr(text) ? { text, canonical: parseCidr(text).text } : undefined,
    );
    if (!cidr) return undefined;
    const given = cidr.text.slice(0, cidr.text.indexOf('/'));
    if (!cidr.canonical.startsWith(`${parseIp(given).text}/`)) {
      return this.wrong(`${shown(cidr.text)} has host bits set`, `write ${cidr.canonical}`);
    }
    return cidr.canonical;
  }
}

/** A mapping; every accessor call makes its key a known one, and `done` reports the others. */
export class Section {
  readonly at: number;
  readonly source: Source;
  /** what errors call it: 'network "blue"' */
  subject: string;
  readonly #values = new Map<string, { at: number; node: unknown }>();
  readonly #known = new Set<string>();

  constructor(source: Source, node: unknown, at: number, subject: string) {
    this.source = source;
    this.at = at;
    this.subject = subject;
    for (const { key, value } of isMap(node) ? node.items : []) {
      const name = isScalar(key) ? String(key.value) : '';
      this.#values.set(name, { at: isScalar(key) ? (key.range?.[0] ?? at) : at, node: value });
    }
  }

  /** undefined if the key is absent */
  item(key: string): Item | undefined {
    this.#known.add(key);
    const entry = this.#values.get(key);
    return entry && new Item(this.source, entry.node, entry.at, `${this.subject}: ${key}`);
  }

  keys(): string[] {
    return [...this.#values.keys()];
  }

  isNull(key: string): boolean {
    return this.item(key)?.isNull ?? false;
  }

  has(key: string): boolean {
    this.#known.add(key);
    return this.#values.has(key);
  }

  wrong(message: string, fix: string): undefined {
    this.source.report(this.at, `${this.subject}: ${message}`, fix);
    return undefined;
  }

  /** Reports a key that is not there (one with a wrong value was reported already). */
  required<T>(key: string, given: T | undefined, fix: string): T | undefined {
    if (given === undefined && (!this.has(key) || this.isNull(key))) this.wrong(`'${key}' is missing`, fix);
    return given;
  }

  #given<T>(key: string, read: (item: Item) => T | undefined): Given<T> | undefined {
    const item = this.item(key);
    if (!item || item.isNull) return undefined;
    const value = read(item);
    return value === undefined ? undefined : { value, at: item.at };
  }

  text(key: string, max?: number, multiline?: boolean): Given<string> | undefined {
    return this.#given(key, (item) => item.text(max, multiline));
  }

  ip(key: string): Given<string> | undefined {
    return this.#given(key, (item) => item.ip());
  }

  cidr(key: string): Given<string> | undefined {
    return this.#given(key, (item) => item.cidr());
  }

  ipOrCidr(key: string): Given<string> | undefined {
    return this.#given(key, (item) =>
      item.parsed('an IP address or CIDR', 'write it like 10.0.0.5 or 10.0.0.0/24', (text) =>
        isIp(text) ? parseIp(text).text : isCidr(text) ? parseCidr(text).text : undefined,
      ),
    );
  }

  mac(key: string): Given<string> | undefined {
    return this.#given(key, (item) =>
      item.parsed('the MAC address of a device', 'write it like fa:16:3e:12:34:56', (text) => {
        // A group address (lowest bit of the first octet) can't belong to one device.
        const usable =
          isMac(text) && text !== '00:00:00:00:00:00' && !(Number.parseInt(text.slice(0, 2), 16) & 1);
        return usable ? text.toLowerCase() : undefined;
      }),
    );
  }

  uuid(key: string): Given<string> | undefined {
    return this.#given(key, (item) =>
      item.parsed('a UUID', 'write one, or leave it out to have it derived', (text) =>
        /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text) ? text.toLowerCase() : undefined,
      ),
    );
  }

  /** Text that matches a pattern. */
  word(key: string, pattern: RegExp, what: string, fix: string): Given<string> | undefined {
    return this.#given(key, (item) =>
      item.parsed(what, fix, (text) => (pattern.test(text) ? text : undefined)),
    );
  }

  flag(key: string): boolean | undefined {
    return this.#given(key, (item) =>
      item.parsed('true or false', 'write one of those', (text) =>
        text === 'true' ? true : text === 'false' ? false : undefined,
      ),
    )?.value;
  }

  integer(key: string, least: number, most: number): Given<number> | undefined {
    return this.#given(key, (item) =>
      item.parsed(`a whole number from ${least} to ${most}`, 'write one', (text) =>
        /^-?\d{1,15}$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : undefined,
      ),
    );
  }

  choice<const T extends string>(key: string, choices: readonly T[]): Given<T> | undefined {
    return this.#given(key, (item) =>
      item.parsed(choices.join(', '), 'write one of those', (text) => choices.find((one) => one === text)),
    );
  }

  items(key: string): Item[] {
    return this.item(key)?.list() ?? [];
  }

  /** A list of values, wrong ones left out. */
  all<T>(key: string, read: (item: Item) => T | undefined): Given<T>[] {
    return this.items(key).flatMap((item) => {
      const value = read(item);
      return value === undefined ? [] : [{ value, at: item.at }];
    });
  }

  /** A mapping below a key. */
  section(key: string): Section | undefined {
    const item = this.item(key);
    return item && !item.isNull ? item.section(`${this.subject}: ${key}`) : undefined;
  }

  /** A list of mappings. `subject` names an element in errors: 'networks[2]'. */
  sections(key: string): Section[] {
    const prefix = this.subject === 'the topology' ? '' : `${this.subject}: `;
    return this.items(key).flatMap((item, i) => item.section(`${prefix}${key}[${i}]`) ?? []);
  }

  /** Reports every key that nobody asked for. */
  done(): void {
    for (const [key, { at }] of this.#values) {
      if (this.#known.has(key)) continue;
      const guess = nearest(key, this.#known);
      const fix = guess
        ? `did you mean '${guess}'?`
        : `remove it; known keys are ${[...this.#known].sort().join(', ')}`;
      this.source.report(at, `${this.subject}: unknown key ${shown(key)}`, fix);
    }
  }
}
