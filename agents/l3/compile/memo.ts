import type { RowGroup } from '../../../lib/namespace/rows.ts';

/**
 * Two memories for compile functions. Both give back the *same* group for the same input, which is how the
 * delta knows without looking that nothing in it changed. They change cost only, never a result.
 */

/** Remembers by identity of the (immutable) input object and a text for all else the rows depend on. */
export function byObject<Input extends object, Context>(
  make: (input: Input, context: Context) => RowGroup,
): (input: Input, context: Context, contextText: string) => RowGroup {
  const known = new WeakMap<Input, { readonly text: string; readonly group: RowGroup }>();
  return (input, context, text) => {
    const found = known.get(input);
    if (found?.text === text) return found.group;
    const group = make(input, context);
    known.set(input, { text, group });
    return group;
  };
}

/** Far more routers than one host carries; beyond it a group is merely made anew. */
const MOST_REMEMBERED = 4096;

/** Remembers by the JSON text of the input; forgets what was not asked for the longest time. */
export function byValue<Input>(make: (input: Input) => RowGroup): (input: Input) => RowGroup {
  const known = new Map<string, RowGroup>();
  return (input) => {
    const text = JSON.stringify(input);
    const group = known.get(text) ?? make(input);
    known.delete(text);
    known.set(text, group);
    if (known.size > MOST_REMEMBERED) {
      for (const oldest of known.keys()) {
        known.delete(oldest);
        break;
      }
    }
    return group;
  };
}
