import type { Conformance, RowResult, Verdict } from './results.ts';

export const verdicts: readonly Verdict[] = ['proven', 'failed', 'not run', 'no test'];

export type Totals = Readonly<Record<Verdict | 'rows', number>>;

export function totals(rows: readonly RowResult[]): Totals {
  const count = (verdict: Verdict): number => rows.filter((row) => row.verdict === verdict).length;
  return {
    rows: rows.length,
    proven: count('proven'),
    failed: count('failed'),
    'not run': count('not run'),
    'no test': count('no test'),
  };
}

/** The table people read: sections with their rows, then the totals of each section and of all. */
export function renderTable({ rows, unknown }: Conformance): string {
  const sections = new Map<string, RowResult[]>();
  for (const row of rows) sections.set(row.section, [...(sections.get(row.section) ?? []), row]);
  const lines: string[] = [];
  for (const [section, members] of sections) {
    lines.push(`${members[0]!.id[0]} ${section}`);
    for (const row of members) {
      lines.push(`  ${row.id.padEnd(4)} ${row.verdict.padEnd(8)} ${row.feature}`);
      if (row.verdict === 'failed') lines.push(...row.tests.map((test) => `                ${test}`));
    }
    lines.push('');
  }
  const head = `${'section'.padEnd(26)} ${['rows', ...verdicts].map((name) => name.padStart(8)).join('')}`;
  lines.push(head);
  for (const [section, members] of sections) lines.push(totalsLine(section, totals(members)));
  lines.push(totalsLine('all', totals(rows)));
  for (const title of unknown) lines.push(`unknown row in a test title: ${title}`);
  return `${lines.join('\n')}\n`;
}

function totalsLine(name: string, counts: Totals): string {
  const cells = [counts.rows, ...verdicts.map((verdict) => counts[verdict])];
  return `${name.padEnd(26)} ${cells.map((cell) => String(cell).padStart(8)).join('')}`;
}
