import type { VitestRun } from './vitest-run.ts';

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** full names of tests that exist but did not run: never counted as passed */
  readonly notRun: readonly string[];
  /** files that failed as a whole, and vitest itself: what no single test stands for */
  readonly broken: readonly string[];
}

/** Counts one vitest run. A file that could not be loaded, or a run without a report, counts as one failure. */
export function tally(run: VitestRun): Tally {
  if (run.report === undefined) {
    return { passed: 0, failed: 1, notRun: [], broken: [`vitest ended with ${run.exitCode} and no report`] };
  }
  const notRun: string[] = [];
  const broken: string[] = [];
  let passed = 0;
  let failed = 0;
  for (const file of run.report.testResults) {
    let failedHere = 0;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') failedHere += 1;
      else notRun.push(test.fullName);
    }
    if (file.status === 'failed' && failedHere === 0) {
      broken.push(`${file.name}: ${firstLine(file.message)}`);
      failedHere = 1;
    }
    failed += failedHere;
  }
  if (run.exitCode !== 0 && failed === 0) {
    // Unhandled errors between tests fail the run though every test passed.
    broken.push(`vitest ended with ${run.exitCode} though no test failed`);
    failed = 1;
  }
  return { passed, failed, notRun, broken };
}

function firstLine(text: string | undefined): string {
  return text?.split('\n', 1)[0] || 'failed outside its tests';
}
