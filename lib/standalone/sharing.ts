/**
 * Structural sharing: a new value takes over every part of the old one that did not change, down to each
 * object, so that "is it the same?" is one comparison of pointers for whoever comes after.
 */

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const idOf = (value: unknown): unknown => (isRecord(value) ? value.id : undefined);

function shareList(old: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  // Elements with an id are the same object wherever they stand; others by position.
  const byId = new Map(old.map((item) => [idOf(item), item]));
  const shared = next.map((item, i) => share(idOf(item) === undefined ? old[i] : byId.get(idOf(item)), item));
  return shared.length === old.length && shared.every((item, i) => item === old[i]) ? old : shared;
}

function shareRecord(
  old: Record<string, unknown>,
  next: Record<string, unknown>,
): Readonly<Record<string, unknown>> {
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(old).length;
  const shared: [string, unknown][] = [];
  for (const key of keys) {
    const value = share(old[key], next[key]);
    if (value !== old[key] || !Object.hasOwn(old, key)) same = false;
    shared.push([key, value]);
  }
  return same ? old : Object.fromEntries(shared);
}

/** `next`, with all that equals `old` replaced by the objects of `old`; `old` itself if all does. */
export function share<T>(old: unknown, next: T): T {
  if (Array.isArray(old) && Array.isArray(next)) return shareList(old, next) as T;
  if (isRecord(old) && isRecord(next)) return shareRecord(old, next) as T;
  return next;
}
