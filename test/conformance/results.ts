import type { VitestReport } from '../house/vitest-run.ts';
import { type Feature, rowIds } from './rows.ts';

/**
 * proven: every test of the row passed. failed: one of them failed, or its file did. not run: a test exists
 * but was skipped or never started, so nothing is known. no test: nobody has written one yet.
 */
export type Verdict = 'proven' | 'failed' | 'not run' | 'no test';

export interface RowResult {
  readonly id: string;
  readonly section: string;
  readonly feature: string;
  readonly verdict: Verdict;
  /** full names of the tests that carry the id */
  readonly tests: readonly string[];
}

/** A test as found in a source file, whether or not it ran. */
export interface WrittenTest {
  /** absolute path, as in the report */
  readonly file: string;
  readonly title: string;
}

export interface Conformance {
  readonly rows: readonly RowResult[];
  /** titles that name a row which the table does not have */
  readonly unknown: readonly string[];
}

interface Evidence {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'not run';
}

/**
 * Titles of tests in a source text that start with a row id. Found by text, so that a test whose file does
 * not even load is still known to exist.
 */
export function writtenTests(file: string, source: string): WrittenTest[] {
  const titles = source.matchAll(/(['"`])((?:\[[A-Z]\d+\]\s*)+(?:\\.|(?!\1)[^\\\n])*)\1/g);
  return [...titles].map((match) => ({ file, title: match[2]!.replace(/\\(.)/g, '$1') }));
}

/**
 * Maps test results to rows. `report` is undefined when nothing could be run at all.
 * @param written tests of the files that were to run
 * @param leftOut tests of files that this run did not ask for: a row that has no others is not run, not without test
 */
export function conformance(
  features: readonly Feature[],
  report: VitestReport | undefined,
  written: readonly WrittenTest[],
  leftOut: readonly WrittenTest[] = [],
): Conformance {
  const evidence = new Map<string, Evidence[]>();
  const note = (ids: readonly string[], entry: Evidence): void => {
    for (const id of ids) {
      const list = evidence.get(id);
      if (list) list.push(entry);
      else evidence.set(id, [entry]);
    }
  };
  const brokenFiles = new Set<string>();
  for (const file of report?.testResults ?? []) {
    const failedWhole =
      file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed');
    if (failedWhole) brokenFiles.add(file.name);
    for (const test of file.assertionResults) {
      note(rowIds(test.title), { name: test.fullName, outcome: outcomeOf(test.status, failedWhole) });
    }
  }
  for (const { file, title } of written) {
    const ids = rowIds(title);
    if (ids.every((id) => evidence.has(id)) && !brokenFiles.has(file)) continue;
    note(ids, { name: title, outcome: brokenFiles.has(file) ? 'failed' : 'not run' });
  }
  const seen = new Set(evidence.keys());
  for (const { title } of leftOut)
    note(
      rowIds(title).filter((id) => !seen.has(id)),
      { name: title, outcome: 'not run' },
    );
  const known = new Set(features.map((feature) => feature.id));
  return {
    rows: features.map(({ id, section, feature }) => ({
      id,
      section,
      feature,
      verdict: verdictOf(evidence.get(id) ?? []),
      tests: [...new Set((evidence.get(id) ?? []).map((entry) => entry.name))],
    })),
    unknown: [...evidence].filter(([id]) => !known.has(id)).flatMap(([, list]) => list.map((e) => e.name)),
  };
}

function outcomeOf(status: string, fileFailed: boolean): Evidence['outcome'] {
  if (status === 'passed') return 'passed';
  // A hook that failed leaves its tests "skipped": they were stopped by a failure, not left out on purpose.
  return status === 'failed' || fileFailed ? 'failed' : 'not run';
}

function verdictOf(evidence: readonly Evidence[]): Verdict {
  if (evidence.length === 0) return 'no test';
  if (evidence.some((entry) => entry.outcome === 'failed')) return 'failed';
  return evidence.some((entry) => entry.outcome === 'not run') ? 'not run' : 'proven';
}
