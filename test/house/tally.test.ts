import { expect, test } from 'vitest';
import { tally } from './tally.ts';
import type { VitestFile, VitestRun } from './vitest-run.ts';

function run(files: Partial<VitestFile>[], exitCode: number): VitestRun {
  const testResults = files.map((file) => ({
    name: '/x.test.ts',
    status: 'passed',
    assertionResults: [],
    ...file,
  }));
  return { exitCode, report: { success: exitCode === 0, testResults } };
}

const outcome = (title: string, status: string) => ({ title, fullName: title, status });

test('passed, failed and skipped tests are counted apart', () => {
  const assertionResults = [outcome('a', 'passed'), outcome('b', 'failed'), outcome('c', 'skipped')];
  expect(tally(run([{ status: 'failed', assertionResults }], 1))).toEqual({
    passed: 1,
    failed: 1,
    notRun: ['c'],
    broken: [],
  });
});

test('a file that could not be loaded is one failure, with its reason', () => {
  const result = tally(run([{ status: 'failed', message: 'Cannot find module\n  at …' }], 1));
  expect(result).toMatchObject({ failed: 1, broken: ['/x.test.ts: Cannot find module'] });
});

test('a run that fails though all tests passed is one failure', () => {
  const assertionResults = [outcome('a', 'passed')];
  expect(tally(run([{ assertionResults }], 1))).toMatchObject({ passed: 1, failed: 1 });
});

test('no report at all is one failure', () => {
  expect(tally({ report: undefined, exitCode: 2 })).toMatchObject({ passed: 0, failed: 1 });
});
