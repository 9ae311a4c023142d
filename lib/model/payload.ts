/**
 * Validation of payloads. Everything a server (or a topology) sends is hostile until it went through here: addresses,
 * ids and numbers end up in device names, routes, rulesets and files.
 */
import { quoted } from './quoted.ts';
import { Invalid, pathText, type Reader } from './reader.ts';

/** One sentence: which object, which field, which value, what is wrong with it. */
export class PayloadError extends Error {
  override readonly name = 'PayloadError';
}

/** What reading this object gave, so that an unchanged object is read once and stays one object. */
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
  const known = readBy(reader);
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

function readBy(reader: Reader<unknown>): WeakMap<object, unknown> {
  const known = read.get(reader) ?? new WeakMap<object, unknown>();
  if (!read.has(reader)) read.set(reader, known);
  return known;
}

/** A list of which each element is read by itself; missing means empty. @throws PayloadError */
export function readAll<T>(reader: Reader<T>, values: unknown, subject: string, name: string): T[] {
  if (values === undefined || values === null) return [];
  if (!Array.isArray(values)) throw new PayloadError(`${subject}: ${name}: expected a list`);
  const known = readBy(reader);
  return values.map((value: unknown, i) => {
    const before = typeof value === 'object' && value !== null ? known.get(value) : undefined;
    return before === undefined ? readOnce(reader, value, subject, [name, i]) : (before as T);
  });
}

/** 'router <id>' as far as the payload tells. */
export function subjectOf(kind: string, payload: unknown): string {
  const given =
    typeof payload === 'object' && payload !== null && 'id' in payload ? String(payload.id) : '(no id)';
  return `${kind} ${inSentence(given)}`;
}

/** An id as a sentence may have it: one that is none must not end the line it stands in. */
export function inSentence(given: string): string {
  const beginning = given.slice(0, 40);
  return /^[ -~]+$/.test(beginning) ? beginning : quoted(beginning);
}
