import { describe, expect, test } from 'vitest';
import type { VitestReport } from '../house/vitest-run.ts';
import { conformance, type Verdict, writtenTests } from './results.ts';
import type { Feature } from './rows.ts';

const features: Feature[] = ['X1', 'X2'].map((id) => ({
  id,
  section: 'Example',
  feature: `feature ${id}`,
  since: '',
  zed: '',
  master: '',
  check: '',
}));

function report(tests: Record<string, string>, status = 'passed'): VitestReport {
  const assertionResults = Object.entries(tests).map(([title, outcome]) => ({
    title,
    fullName: `suite ${title}`,
    status: outcome,
  }));
  return { success: true, testResults: [{ name: '/x.test.ts', status, assertionResults }] };
}

function verdict(tests: Record<string, string>, status?: string): Verdict | undefined {
  return conformance(features, report(tests, status), []).rows[0]?.verdict;
}

describe('a row', () => {
  test('is proven when all its tests passed', () => {
    expect(verdict({ '[X1] one': 'passed', '[X1] two': 'passed' })).toBe('proven');
  });

  test('is failed when one of its tests failed', () => {
    expect(verdict({ '[X1] one': 'passed', '[X1] two': 'failed' }, 'failed')).toBe('failed');
  });

  test('is not run when one of its tests was skipped: skipped is never proven', () => {
    expect(verdict({ '[X1] one': 'passed', '[X1] two': 'skipped' })).toBe('not run');
    expect(verdict({ '[X1] one': 'todo' })).toBe('not run');
  });

  test('has no test when no title starts with its id', () => {
    expect(verdict({ 'X1 by name, see [X1]': 'passed' })).toBe('no test');
  });

  test('shares a test with the other rows its title names', () => {
    const { rows } = conformance(features, report({ '[X1][X2] both': 'passed' }), []);
    expect(rows.map((row) => row.verdict)).toEqual(['proven', 'proven']);
  });

  test('is failed when a hook failed and so its tests never started', () => {
    expect(verdict({ '[X1] one': 'skipped' }, 'failed')).toBe('failed');
  });

  test('is failed when its test file could not be loaded', () => {
    const { rows } = conformance(features, report({}, 'failed'), [
      { file: '/x.test.ts', title: '[X1] written but not loaded' },
    ]);
    expect(rows[0]).toMatchObject({ verdict: 'failed', tests: ['[X1] written but not loaded'] });
  });

  test('is not run when vitest reported nothing about its test', () => {
    const written = [{ file: '/x.test.ts', title: '[X1] written' }];
    expect(conformance(features, undefined, written).rows[0]?.verdict).toBe('not run');
  });
});

test('a row whose only tests are in files that were left out is not run; others are judged by what ran', () => {
  const leftOut = [
    { file: '/neutron.test.ts', title: '[X1][X2] against a server' },
    { file: '/neutron.test.ts', title: '[X2] again' },
  ];
  const { rows } = conformance(features, report({ '[X1] without one': 'passed' }), [], leftOut);
  expect(rows.map(({ verdict }) => verdict)).toEqual(['proven', 'not run']);
  expect(rows[1]?.tests).toEqual(['[X1][X2] against a server', '[X2] again']);
});

test('an id the table does not have is reported with its title', () => {
  expect(conformance(features, report({ '[X9] typo': 'passed' }), []).unknown).toEqual(['suite [X9] typo']);
});

test('written tests are found by their titles, in any quotes', () => {
  const source = [
    "test('[B13] SNAT', async () => {});",
    'test("[C1][C2] a floating IP\'s way", () => {});',
    'test(`[K5] %s goes out`, () => {});',
    "test('no id, mentions [B1]', () => {});",
    'const bits = [B1];',
  ].join('\n');
  expect(writtenTests('/f', source).map((found) => found.title)).toEqual([
    '[B13] SNAT',
    "[C1][C2] a floating IP's way",
    '[K5] %s goes out',
  ]);
});
