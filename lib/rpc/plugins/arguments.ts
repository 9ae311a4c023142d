import { fields, matching, type Reader, readAs, readIf, truth } from '../../model/reader.ts';
import type { Handler } from '../dispatch.ts';
import { ArgumentError } from '../failures.ts';
import { shown } from '../shown.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Ids become names of files and namespaces: nothing else than a UUID is one. */
export const id = matching(UUID, 'is not a UUID');

const withId = fields({ id });

/** Arguments of a notification. @throws ArgumentError naming the wrong one and its value, which the log shows */
export const validated = <T>(reader: Reader<T>, args: unknown): T =>
  readAs(
    reader,
    args,
    (place, { message }) => new ArgumentError(`argument ${place || 'payload'}: ${message}`),
  );

/** A handler with validated arguments and no result. */
export const taking =
  <T>(reader: Reader<T>, handle: (args: T) => void): Handler =>
  (args) => {
    handle(validated(reader, args));
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
    const read = readIf(id, each) ?? readIf(withId, each)?.id;
    if (read === undefined) wrong.push(each);
    else ids.push(read);
  }
  if (ids.length > 0) handle(ids);
  if (wrong.length === 0) return;
  const others = wrong.length > 1 ? ` (and ${wrong.length - 1} more)` : '';
  throw new ArgumentError(`argument ${field}: expected UUIDs; one is ${shown(wrong[0])}${others}`);
}

/** Of `agent_updated`, which every agent hears. */
export const agentUpdate = fields({ payload: fields({ admin_state_up: truth }) });
