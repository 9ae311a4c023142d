/**
 * Validation piece by piece: what of a list is wrong is left out and said, the rest counts. One bad port must not
 * keep the others of its network from being served.
 */
import { inSentence, PayloadError, readOnce } from './payload.ts';
import { isObject, type Reader } from './reader.ts';

/** What could be read, and what not: one sentence each, naming object, field and value. */
export interface Pieces<T> {
  readonly found: readonly T[];
  readonly problems: readonly string[];
  /** ids, as far as they could be read, of what was left out as a whole */
  readonly lost: readonly string[];
}

export interface ListSchema<T> {
  readonly element: Reader<T>;
  /** lists within an element of which each entry stands by itself */
  readonly lists: Readonly<Record<string, Reader<unknown>>>;
  /** 'port' */
  readonly noun: string;
  /** an element without which the whole means something else: wrong in anything, it is an error of the whole */
  readonly isVital?: (payload: Readonly<Record<string, unknown>>) => boolean;
}

interface Piece<T> {
  readonly value: T | undefined;
  readonly problems: readonly string[];
}

const known = new WeakMap<Reader<unknown>, WeakMap<object, Piece<unknown>>>();

/** Its error instead of a throw. */
function attempt<T>(read: () => T): T | PayloadError {
  try {
    return read();
  } catch (error) {
    if (error instanceof PayloadError) return error;
    throw error;
  }
}

/** The entries of a list that are as they should be; `says` hears of the others. */
function goodEntries(
  entries: readonly unknown[],
  schema: Reader<unknown>,
  subject: string,
  name: string,
  says: (problem: string) => void,
): unknown[] {
  return entries.filter((entry, i) => {
    const read = attempt(() => readOnce(schema, entry, subject, [name, i]));
    if (read instanceof PayloadError) says(`${read.message}: it is left out`);
    return !(read instanceof PayloadError);
  });
}

function readPiece<T>(schema: ListSchema<T>, payload: unknown, whole: string, at: string): Piece<T> {
  const named = isObject(payload) && typeof payload.id === 'string' ? inSentence(payload.id) : at;
  const subject = `${whole}: ${schema.noun} ${named}`;
  if (isObject(payload) && schema.isVital?.(payload))
    return { value: readOnce(schema.element, payload, subject), problems: [] };
  const problems: string[] = [];
  let reduced = payload;
  if (isObject(payload))
    for (const [name, entry] of Object.entries(schema.lists)) {
      const entries = payload[name];
      if (!Array.isArray(entries)) continue;
      const good = goodEntries(entries, entry, subject, name, (problem) => problems.push(problem));
      if (good.length < entries.length) reduced = { ...(reduced as object), [name]: good };
    }
  const value = attempt(() => readOnce(schema.element, reduced, subject));
  if (!(value instanceof PayloadError)) return { value: value as T, problems };
  return { value: undefined, problems: [value.message] };
}

/**
 * Elements of a list in an object `whole` ('network 0b1c…'). The same element object gives the same result.
 * @throws PayloadError if it is no list, or a vital element is wrong
 */
export function readList<T>(schema: ListSchema<T>, values: unknown, whole: string, name: string): Pieces<T> {
  if (values === undefined || values === null) return { found: [], problems: [], lost: [] };
  if (!Array.isArray(values)) throw new PayloadError(`${whole}: ${name}: expected a list`);
  let before = known.get(schema.element);
  if (!before) {
    before = new WeakMap();
    known.set(schema.element, before);
  }
  const found: T[] = [];
  const problems: string[] = [];
  const lost: string[] = [];
  for (let i = 0; i < values.length; i++) {
    const payload: unknown = values[i];
    const key = typeof payload === 'object' && payload !== null ? payload : undefined;
    let piece = key && (before.get(key) as Piece<T> | undefined);
    if (!piece) {
      piece = readPiece(schema, payload, whole, `${name}[${i}]`);
      if (key) before.set(key, piece);
    }
    if (piece.value !== undefined) found.push(piece.value);
    else lost.push(isObject(payload) && typeof payload.id === 'string' ? payload.id : '');
    for (const problem of piece.problems) problems.push(problem);
  }
  return { found, problems, lost };
}
