import type { FileRow, RowGroup } from '../../../lib/namespace/rows.ts';

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
  remember(subject, { text, group });
  return group;
}

/** The same for one file, whose content may be long: it is compared as it is. */
export function stableFile(subject: string, row: FileRow): RowGroup {
  const before = known.get(subject);
  const [former] = before?.group ?? [];
  const same =
    former?.kind === 'file' &&
    former.key === row.key &&
    former.content === row.content &&
    former.mode === row.mode &&
    former.reloads === row.reloads;
  if (before && same) return before.group;
  const group = [row];
  remember(subject, { text: '', group });
  return group;
}

function remember(subject: string, entry: { readonly text: string; readonly group: RowGroup }): void {
  known.delete(subject);
  known.set(subject, entry);
  if (known.size <= MOST_REMEMBERED) return;
  for (const oldest of known.keys()) {
    known.delete(oldest);
    break;
  }
}
