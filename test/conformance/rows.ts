import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** One feature of Neutron's L3, DHCP and metadata agents and the way to see on a live host that it works. */
export interface Feature {
  /** section letter and number: 'B13' */
  readonly id: string;
  readonly section: string;
  readonly feature: string;
  /** Neutron release that brought it */
  readonly since: string;
  /** 'y', 'n' or a short remark; empty for features that are gone */
  readonly zed: string;
  readonly master: string;
  readonly check: string;
}

export function readFeatures(root: string): Feature[] {
  return JSON.parse(readFileSync(join(root, 'test/conformance/features.json'), 'utf8')) as Feature[];
}

/**
 * Row ids at the start of a test title: `[C1][C2] a floating IP …` gives C1 and C2. Ids further on in the
 * title are prose and prove nothing.
 */
export function rowIds(title: string): string[] {
  const ids: string[] = [];
  let rest = title;
  for (;;) {
    const match = /^\s*\[([A-Z]\d+)\]/.exec(rest);
    if (!match) return ids;
    ids.push(match[1]!);
    rest = rest.slice(match[0].length);
  }
}

/**
 * The features a `--rows` value means: sections (`B`), rows (`B13`) and ranges (`B4-B21`), comma-separated.
 * Throws RangeError naming a part that means nothing.
 */
export function selectFeatures(features: readonly Feature[], selection: string): Feature[] {
  const parts = selection
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const wanted = new Set<string>();
  for (const part of parts) {
    const found = features.filter((feature) => matches(feature.id, part));
    if (found.length === 0) {
      throw new RangeError(`--rows: "${part}" is no section (B), row (B13) or range (B4-B21) of the table`);
    }
    for (const feature of found) wanted.add(feature.id);
  }
  return features.filter((feature) => wanted.has(feature.id));
}

function matches(id: string, part: string): boolean {
  if (/^[A-Z]$/.test(part)) return id.startsWith(part);
  const range = /^([A-Z])(\d+)[-–]\1?(\d+)$/.exec(part);
  if (!range) return id === part;
  const number = Number(id.slice(1));
  return id.startsWith(range[1]!) && number >= Number(range[2]) && number <= Number(range[3]);
}
