import { expect, test } from 'vitest';
import type { RowResult } from './results.ts';
import { renderTable } from './table.ts';

const row = (
  id: string,
  section: string,
  verdict: RowResult['verdict'],
  tests: string[] = [],
): RowResult => ({
  id,
  section,
  feature: `feature ${id}`,
  verdict,
  tests,
});

test('the table lists rows by section, the tests of failed rows, and totals', async () => {
  const text = renderTable({
    rows: [
      row('B1', 'Legacy router', 'proven', ['namespace']),
      row('B2', 'Legacy router', 'failed', ['sysctls of a router', 'sysctls after a restart']),
      row('C1', 'Floating IPs', 'no test'),
      row('C2', 'Floating IPs', 'not run', ['address']),
    ],
    unknown: ['[Z9] typo'],
  });
  await expect(text).toMatchFileSnapshot('golden/table.txt');
});
