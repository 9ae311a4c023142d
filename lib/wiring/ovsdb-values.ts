/**
 * Values of an OVSDB row as they are on the wire (RFC 7047 §5.1): a set of one is the atom itself, all others are
 * `['set', […]]`; maps are `['map', [[key, value], …]]`, references `['uuid', id]`. Pure.
 */

const isTagged = (value: unknown, tag: string): value is [string, unknown] =>
  Array.isArray(value) && value.length === 2 && value[0] === tag;

const atoms = (value: unknown): unknown[] => {
  if (!isTagged(value, 'set')) return value === undefined ? [] : [value];
  return Array.isArray(value[1]) ? value[1] : [];
};

/** A column that holds at most one text; undefined if it holds none. */
export const textIn = (value: unknown): string | undefined =>
  atoms(value).find((atom): atom is string => typeof atom === 'string');

export const numberIn = (value: unknown): number | undefined =>
  atoms(value).find((atom): atom is number => typeof atom === 'number');

/** The row ids of a column of references. */
export const uuidsIn = (value: unknown): string[] =>
  atoms(value).flatMap((atom) => (isTagged(atom, 'uuid') && typeof atom[1] === 'string' ? [atom[1]] : []));

export function mapIn(value: unknown): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  if (!isTagged(value, 'map') || !Array.isArray(value[1])) return found;
  for (const pair of value[1])
    if (Array.isArray(pair) && typeof pair[0] === 'string' && typeof pair[1] === 'string')
      found.set(pair[0], pair[1]);
  return found;
}

export const uuid = (id: string): readonly ['uuid', string] => ['uuid', id];
export const namedUuid = (name: string): readonly ['named-uuid', string] => ['named-uuid', name];
export const map = (entries: Readonly<Record<string, string>>): readonly ['map', [string, string][]] => [
  'map',
  Object.entries(entries),
];

/** One change of a row, of the `<table-updates>` of a monitor (RFC 7047 §4.1.6). */
export interface RowUpdate {
  readonly table: string;
  readonly uuid: string;
  /** undefined: the row is gone */
  readonly row: Readonly<Record<string, unknown>> | undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The changes of a monitor's first answer or of one of its notifications. */
export function rowUpdates(tables: unknown): RowUpdate[] {
  if (!isObject(tables)) return [];
  return Object.entries(tables).flatMap(([table, rows]) =>
    isObject(rows)
      ? Object.entries(rows).map(([id, change]) => ({
          table,
          uuid: id,
          row: isObject(change) && isObject(change.new) ? change.new : undefined,
        }))
      : [],
  );
}
