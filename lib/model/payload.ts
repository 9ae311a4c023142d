/**
 * Building blocks of payload validation. Everything a server (or a topology) sends is hostile until it
 * went through here: addresses, ids and numbers end up in device names, routes, rulesets and files.
 */
import { z } from 'zod';
import { isIp, isMac, parseCidr, parseIp } from './ip.ts';
import { Invalid, type Reader } from './reader.ts';

/** One sentence: which object, which field, which value, what is wrong with it. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError';
}

const shown = (value: unknown): string =>
  value === undefined ? 'a missing value' : (JSON.stringify(value) ?? String(value)).slice(0, 80);

/** A text that `canonical` understands; its result is the validated value. */
const textual = (what: string, canonical: (text: string) => string | undefined) =>
  z.unknown().transform((value, context): string => {
    const result = typeof value === 'string' ? canonical(value) : undefined;
    if (result !== undefined) return result;
    context.issues.push({ code: 'custom', input: value, message: `${shown(value)} is not ${what}` });
    return z.NEVER;
  });

const tolerant =
  (convert: (text: string) => string) =>
  (text: string): string | undefined => {
    try {
      return convert(text);
    } catch {
      return undefined;
    }
  };

/** Ids become namespace, device and file names. */
export const id = textual('a UUID', (text) => (/^[0-9a-f-]{36}$/i.test(text) ? text : undefined));
export const ip = textual(
  'an IP address',
  tolerant((text) => parseIp(text).text),
);
export const ipv4 = textual(
  'an IPv4 address',
  tolerant((text) => {
    const { family, text: canonical } = parseIp(text);
    if (family !== 4) throw new TypeError('IPv6');
    return canonical;
  }),
);
export const cidr = textual(
  'a CIDR',
  tolerant((text) => parseCidr(text).text),
);
/** allowed_address_pairs hold either. */
export const ipOrCidr = textual(
  'an IP address or CIDR',
  tolerant((text) => (isIp(text) ? parseIp(text).text : parseCidr(text).text)),
);
export const mac = textual('a MAC address', (text) => (isMac(text) ? text.toLowerCase() : undefined));

export const orNull = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? null);
export const listOf = <T extends z.ZodType>(schema: T) =>
  z
    .array(schema)
    .nullish()
    .transform((value) => value ?? []);
export const flag = (missing: boolean) =>
  z
    .boolean()
    .nullish()
    .transform((value) => value ?? missing);
export const freeText = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

/** Bytes, 68 (RFC 791) to 65535; missing, null and 0 mean "not known". */
export const mtu = z
  .custom<number>(
    (value) => Number.isInteger(value) && (value === 0 || (Number(value) >= 68 && Number(value) <= 65_535)),
    { error: (issue) => `${shown(issue.input)} is not an MTU (68 to 65535)` },
  )
  .nullish()
  .transform((value) => value || null);

export const ipv6Mode = orNull(z.enum(['slaac', 'dhcpv6-stateless', 'dhcpv6-stateful']));
/** Extra route or host route. */
export const route = z.looseObject({ destination: cidr, nexthop: ip });

const pathText = (path: readonly PropertyKey[]): string =>
  path
    .map((part, i) => (typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`))
    .join('');

/** What validating this object gave, so that an unchanged object is validated once and stays one object. */
const validated = new WeakMap<z.ZodType, WeakMap<object, unknown>>();

/** With the value, if the message has none. */
function messageOf(issue: z.core.$ZodIssue | undefined, value: unknown): string {
  if (!issue) return 'invalid';
  if (issue.code === 'custom') return issue.message;
  const given = issue.path.reduce<unknown>(
    (at, part) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[part] : at),
    value,
  );
  return `${shown(given)}: ${issue.message}`;
}

/**
 * Validates `value`. The same input object gives the same validated object.
 * @param subject names the whole in errors: 'router 0b1c…'
 * @param path where `value` stands within it
 */
export function validate<T extends z.ZodType>(
  schema: T,
  value: unknown,
  subject: string,
  path: readonly PropertyKey[] = [],
): z.output<T> {
  let known = validated.get(schema);
  if (!known) {
    known = new WeakMap();
    validated.set(schema, known);
  }
  const key = typeof value === 'object' && value !== null ? value : undefined;
  if (key && known.has(key)) return known.get(key) as z.output<T>;
  const result = schema.safeParse(value);
  if (!result.success) {
    const [first] = result.error.issues;
    const where = pathText([...path, ...(first?.path ?? [])]);
    const about = messageOf(first, value);
    throw new PayloadError(`${subject}: ${where ? `${where}: ` : ''}${about}`);
  }
  if (key) known.set(key, result.data);
  return result.data;
}

/** A list of which each element is validated by itself; missing means empty. */
export function validateAll<T extends z.ZodType>(
  schema: T,
  values: unknown,
  subject: string,
  name: string,
): z.output<T>[] {
  if (values === undefined || values === null) return [];
  if (!Array.isArray(values)) throw new PayloadError(`${subject}: ${name}: expected a list`);
  return values.map((value: unknown, i) => validate(schema, value, subject, [name, i]));
}

const read = new WeakMap<Reader<unknown>, WeakMap<object, unknown>>();

/**
 * Reads `value`. The same input object gives the same validated object.
 * @param subject names the whole in errors: 'router 0b1c…'
 * @param path where `value` stands within it
 * @throws PayloadError
 */
export function readOnce<T>(
  reader: Reader<T>,
  value: unknown,
  subject: string,
  path: readonly PropertyKey[] = [],
): T {
  let known = read.get(reader);
  if (!known) {
    known = new WeakMap();
    read.set(reader, known);
  }
  const key = typeof value === 'object' && value !== null ? value : undefined;
  const before = key && known.get(key);
  if (before !== undefined) return before as T;
  try {
    const result = reader(value);
    if (key) known.set(key, result);
    return result;
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    const where = pathText([...path, ...error.path]);
    throw new PayloadError(`${subject}: ${where ? `${where}: ` : ''}${error.message}`);
  }
}

/** A list of which each element is read by itself; missing means empty. @throws PayloadError */
export function readAll<T>(reader: Reader<T>, values: unknown, subject: string, name: string): T[] {
  if (values === undefined || values === null) return [];
  if (!Array.isArray(values)) throw new PayloadError(`${subject}: ${name}: expected a list`);
  return values.map((value: unknown, i) => readOnce(reader, value, subject, [name, i]));
}

/** 'router <id>' as far as the payload tells. */
export function subjectOf(kind: string, payload: unknown): string {
  const given =
    typeof payload === 'object' && payload !== null && 'id' in payload ? String(payload.id) : '(no id)';
  return `${kind} ${given.slice(0, 40)}`;
}
