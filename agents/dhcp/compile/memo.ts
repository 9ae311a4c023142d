import type { RowGroup } from '../../../lib/namespace/rows.ts';

/** Subjects of far more networks than one host carries; beyond it a group is merely made anew. */
const MOST_REMEMBERED = 32_768;
const known = new Map<string, { readonly text: string; readonly group: RowGroup }>();

/**
 * The group given for this subject last time, if it says the same: which is how the delta knows without
 * looking that nothing in it changed. This changes cost only, never a result.
 */
export function stableGroup(subject: string, group: RowGroup): RowGroup {
  const text = JSON.stringify(group);
  const before = known.get(subject);
  if (before?.text === text) return before.group;
  known.delete(subject);
  known.set(subject, { text, group });
  if (known.size > MOST_REMEMBERED) {
    for (const oldest of known.keys()) {
      known.delete(oldest);
      break;
    }
  }
  return group;
}
