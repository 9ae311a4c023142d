/**
 * Readers: functions that turn what a server sent, or an option, into a typed value, or say what is wrong with it. A
 * payload of a router has some hundred fields and a host a thousand routers; these cost a fraction of a schema library's
 * time, which was a third of a restart, and an agent's start does not load such a library.
 */
import { isMac, parseCidr, parseIp } from './ip.ts';
import { quoted } from './quoted.ts';

/** @throws Invalid */
export type Reader<T> = (value: unknown) => T;
export type Read<R> = R extends Reader<infer T> ? T : never;

/** 'ports[2].mac_address' */
export const pathText = (path: readonly PropertyKey[]): string =>
  path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`))
    .join('');

const MOST_SHOWN = 80;

function shown(value: unknown): string {
  if (value === undefined) return 'a missing value';
  try {
    // Of ten megabytes of text the beginning is enough.
    const beginning = typeof value === 'string' ? value.slice(0, MOST_SHOWN) : value;
    return quoted(beginning).slice(0, MOST_SHOWN);
  } catch {
    return 'something nested too deep to show';
  }
}

/** What is wrong with a value, and where within what was read. The message shows the value, `problem` does not. */
export class Invalid extends Error {
  readonly path: (string | number)[] = [];
  readonly problem: string;

  /** @param problem said of the value: 'is not text', 'must be …' */
  constructor(value: unknown, problem: string) {
    super(`${shown(value)} ${problem}`);
    this.problem = problem;
  }
}

/**
 * What the reader makes of a value.
 * @throws what `failure` makes of what is wrong with it, and of where that is ('' for the whole)
 */
export function readAs<T>(
  reader: Reader<T>,
  value: unknown,
  failure: (place: string, invalid: Invalid) => Error,
): T {
  try {
    return reader(value);
  } catch (error) {
    throw error instanceof Invalid ? failure(pathText(error.path), error) : error;
  }
}

/** undefined: it can't be read. */
export function readIf<T>(reader: Reader<T>, value: unknown): T | undefined {
  try {
    return reader(value);
  } catch (error) {
    if (error instanceof Invalid) return undefined;
    throw error;
  }
}

const isNot = (value: unknown, what: string): Invalid => new Invalid(value, `is not ${what}`);

/** The error, told to be about a part of what it was about. */
function within(error: unknown, part: string | number): unknown {
  if (error instanceof Invalid) error.path.unshift(part);
  return error;
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Shape = Readonly<Record<string, Reader<unknown>>>;
type Fields<S extends Shape> = { readonly [K in keyof S]: Read<S[K]> };

/** An object with these fields; others are kept as they are. */
export function object<S extends Shape>(shape: S): Reader<Fields<S> & Readonly<Record<string, unknown>>> {
  const names = Object.keys(shape);
  const readers = Object.values(shape);
  return (value) => {
    if (!isObject(value)) throw isNot(value, 'an object');
    const result: Record<string, unknown> = { ...value };
    let i = 0;
    try {
      for (; i < names.length; i++) result[names[i]!] = readers[i]!(value[names[i]!]);
    } catch (error) {
      throw within(error, names[i]!);
    }
    return result as Fields<S> & Readonly<Record<string, unknown>>;
  };
}

/** As `object`, where what was read counts as it is: others hold on to it. */
export function having<S extends Shape>(shape: S): Reader<Fields<S> & Readonly<Record<string, unknown>>> {
  const read = object(shape);
  return (value) => {
    read(value);
    return value as Read<typeof read>;
  };
}

type Needed<S extends Shape> = { [K in keyof S]: undefined extends Read<S[K]> ? never : K }[keyof S];
/** What `fields` makes of this shape. */
export type Chosen<S extends Shape> = { readonly [K in Needed<S>]: Read<S[K]> } & {
  readonly [K in Exclude<keyof S, Needed<S>>]?: Read<S[K]>;
};

/** These fields of an object and no others; a field that may be missing, and is, stays so. */
export function fields<S extends Shape>(shape: S): Reader<Chosen<S>> {
  const whole = object(shape);
  return (value) => {
    const read: Readonly<Record<string, unknown>> = whole(value);
    const there = Object.keys(shape).filter((name) => read[name] !== undefined);
    return Object.fromEntries(there.map((name) => [name, read[name]])) as Chosen<S>;
  };
}

export const anything: Reader<unknown> = (value) => value;

export const list =
  <T>(reader: Reader<T>): Reader<T[]> =>
  (value) => {
    if (!Array.isArray(value)) throw isNot(value, 'a list');
    const result: T[] = [];
    try {
      for (const element of value) result.push(reader(element));
    } catch (error) {
      throw within(error, result.length);
    }
    return result;
  };

/** Missing and null are an empty list. */
export function listOf<T>(reader: Reader<T>): Reader<readonly T[]> {
  const read = list(reader);
  return (value) => (value === undefined || value === null ? [] : read(value));
}

export const anyObject: Reader<Readonly<Record<string, unknown>>> = (value) => {
  if (!isObject(value)) throw isNot(value, 'an object');
  return value;
};

/** Missing is null. */
export const orNull =
  <T>(reader: Reader<T>): Reader<T | null> =>
  (value) =>
    value === undefined || value === null ? null : reader(value);

export const truth: Reader<boolean> = (value) => {
  if (typeof value !== 'boolean') throw isNot(value, 'true or false');
  return value;
};

export const flag =
  (missing: boolean): Reader<boolean> =>
  (value) =>
    value === undefined || value === null ? missing : truth(value);

export const text: Reader<string> = (value) => {
  if (typeof value !== 'string') throw isNot(value, 'text');
  return value;
};

/** A tenant's words; missing and null are ''. */
export const freeText: Reader<string> = (value) => (value === undefined || value === null ? '' : text(value));

export const integer =
  (least: number, most: number): Reader<number> =>
  (value) => {
    if (!Number.isInteger(value) || Number(value) < least || Number(value) > most)
      throw isNot(value, `a whole number from ${least} to ${most}`);
    return value as number;
  };

/** Missing and null are `missing`. */
export const orElse =
  <T>(reader: Reader<T>, missing: T): Reader<T> =>
  (value) =>
    value === undefined || value === null ? missing : reader(value);

/** What can't be read is `otherwise`. */
export const orIgnored =
  <T>(reader: Reader<T>, otherwise: T): Reader<T> =>
  (value) =>
    readIf(reader, value) ?? otherwise;

/** What passes the test, too; otherwise `problem` is said of it: 'must be …' */
export const where =
  <T>(reader: Reader<T>, test: (value: T) => boolean, problem: string): Reader<T> =>
  (value) => {
    const read = reader(value);
    if (!test(read)) throw new Invalid(value, problem);
    return read;
  };

/** A value of a type that others know; otherwise `problem` is said of it: 'must be …' */
export const guarded =
  <T>(guard: (value: unknown) => value is T, problem: string): Reader<T> =>
  (value) => {
    if (!guard(value)) throw new Invalid(value, problem);
    return value;
  };

export const matching = (pattern: RegExp, problem: string): Reader<string> =>
  where(text, (value) => pattern.test(value), problem);

/** Missing and null stay what they are. */
export const nullish =
  <T>(reader: Reader<T>): Reader<T | null | undefined> =>
  (value) =>
    value === undefined || value === null ? value : reader(value);

/** Missing stays missing. */
export const optional =
  <T>(reader: Reader<T>): Reader<T | undefined> =>
  (value) =>
    value === undefined ? undefined : reader(value);

export const number: Reader<number> = (value) => {
  if (typeof value !== 'number' || Number.isNaN(value)) throw isNot(value, 'a number');
  return value;
};

/** Missing and null are `missing`. */
export const numberOr = (missing: number): Reader<number> => orElse(number, missing);

/** IP version. */
export const family: Reader<4 | 6> = (value) => {
  if (value !== 4 && value !== 6) throw isNot(value, '4 or 6');
  return value;
};

export const oneOf =
  <const T extends string>(...words: readonly T[]): Reader<T> =>
  (value) => {
    if (!words.includes(value as T)) throw isNot(value, `one of ${words.join(', ')}`);
    return value as T;
  };

const UUID = /^[0-9a-f-]{36}$/i;

/** Ids become namespace, device and file names. */
export const id: Reader<string> = (value) => {
  if (typeof value !== 'string' || !UUID.test(value)) throw isNot(value, 'a UUID');
  return value;
};

/** Canonical text. */
export const ip: Reader<string> = (value) => {
  try {
    return parseIp(value as string).text;
  } catch {
    throw isNot(value, 'an IP address');
  }
};

export const ipv4: Reader<string> = (value) => {
  const canonical = typeof value === 'string' && value.includes('.') ? ip(value) : '';
  if (canonical === '' || canonical.includes(':')) throw isNot(value, 'an IPv4 address');
  return canonical;
};

/** Canonical text, host bits cleared. */
export const cidr: Reader<string> = (value) => {
  try {
    return parseCidr(value as string).text;
  } catch {
    throw isNot(value, 'a CIDR');
  }
};

/** allowed_address_pairs hold either. */
export const ipOrCidr: Reader<string> = (value) => {
  try {
    const text = value as string;
    return text.includes('/') ? parseCidr(text).text : parseIp(text).text;
  } catch {
    throw isNot(value, 'an IP address or CIDR');
  }
};

export const mac: Reader<string> = (value) => {
  if (!isMac(value)) throw isNot(value, 'a MAC address');
  return value.toLowerCase();
};

/** Bytes, 68 (RFC 791) to 65535; missing, null and 0 mean "not known". */
export const mtu: Reader<number | null> = (value) => {
  if (value === undefined || value === null || value === 0) return null;
  if (!Number.isInteger(value) || Number(value) < 68 || Number(value) > 65_535)
    throw isNot(value, 'an MTU (68 to 65535)');
  return value as number;
};

export const ipv6Mode = orNull(oneOf('slaac', 'dhcpv6-stateless', 'dhcpv6-stateful'));

/** Extra route or host route. */
export const route = object({ destination: cidr, nexthop: ip });
