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
  remember(known, subject, { text, group });
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
  remember(known, subject, { text: '', group });
  return group;
}

const texts = new Map<string, { readonly lines: readonly string[]; readonly text: string }>();

/** Lines as one text. Up to the first that is another than last time it is the text of last time. */
export function stableText(subject: string, lines: readonly string[]): string {
  const before = texts.get(subject);
  let same = 0;
  let length = 0;
  if (before)
    for (const line of lines) {
      if (line !== before.lines[same]) break;
      same += 1;
      length += line.length + 1;
    }
  const rest = same === lines.length ? '' : `${lines.slice(same).join('\n')}\n`;
  const text = (before?.text.slice(0, length) ?? '') + rest;
  remember(texts, subject, { lines, text });
  return text;
}

function remember<T>(among: Map<string, T>, subject: string, entry: T): void {
  among.delete(subject);
  among.set(subject, entry);
  if (among.size <= MOST_REMEMBERED) return;
  for (const oldest of among.keys()) {
    among.delete(oldest);
    break;
  }
}
