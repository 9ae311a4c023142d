import { z } from 'zod';
import type { Handler } from '../dispatch.ts';
import { ArgumentError } from '../failures.ts';
import { shown } from '../shown.ts';

/** Ids become names of files and namespaces: nothing else than a UUID is one. */
export const id = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'expected a UUID');

const at = (value: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>(
    (part, key) => (typeof part === 'object' && part !== null ? Reflect.get(part, key) : undefined),
    value,
  );

/** Arguments of a notification. @throws ArgumentError naming the wrong one and its value, which the log shows */
export function validated<T extends z.ZodType>(schema: T, args: unknown): z.output<T> {
  const result = schema.safeParse(args);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw new ArgumentError(
    `argument ${path.join('.') || 'payload'}: ${message}; it is ${shown(at(args, path))}`,
  );
}

/** A handler with validated arguments and no result. */
export const taking =
  <T extends z.ZodType>(schema: T, handle: (args: z.output<T>) => void): Handler =>
  (args) => {
    handle(validated(schema, args));
    return null;
  };

/**
 * A list of ids of which one that is none does not spoil the others; very old servers send objects instead.
 * @param field names the list
 * @throws ArgumentError after `handle` has had the good ones
 */
export function takeIds(field: string, given: readonly unknown[], handle: (ids: string[]) => void): void {
  const ids: string[] = [];
  const wrong: unknown[] = [];
  for (const each of given) {
    const read = z.union([id, z.looseObject({ id }).transform((whole) => whole.id)]).safeParse(each);
    if (read.success) ids.push(read.data);
    else wrong.push(each);
  }
  if (ids.length > 0) handle(ids);
  if (wrong.length === 0) return;
  const others = wrong.length > 1 ? ` (and ${wrong.length - 1} more)` : '';
  throw new ArgumentError(`argument ${field}: expected UUIDs; one is ${shown(wrong[0])}${others}`);
}

/** Of `agent_updated`, which every agent hears. */
export const agentUpdate = z.object({ payload: z.object({ admin_state_up: z.boolean() }) });
