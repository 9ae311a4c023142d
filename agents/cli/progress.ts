import { type Output, paint, printable } from './output.ts';

/** One thing under way at a time: what it is, then how it ended and how long it took. */
export interface Progress {
  /** Runs `work` and shows it: done with its time, or failed; a failure is passed on. */
  step<T>(title: string, work: () => Promise<T> | T): Promise<T>;
}

/** What a progress display writes to: a terminal may be rewritten in place. */
export interface ProgressSink {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * Steps on standard error. On a terminal the line of a step appears when it starts and is completed in
 * place; elsewhere (a log file, CI) each step is one plain line, written when it has ended.
 */
export function showProgress(output: Pick<Output, 'color'>, sink: ProgressSink = process.stderr): Progress {
  const live = sink.isTTY === true;
  return {
    step: async (title, work) => {
      const text = printable(title);
      if (live) sink.write(`  … ${text}`);
      const started = performance.now();
      const end = (sign: string, suffix = ''): void => {
        const ms = Math.round(performance.now() - started);
        sink.write(`${live ? '\r\u001b[K' : ''}  ${sign} ${text} (${ms} ms)${suffix}\n`);
      };
      try {
        const result = await work();
        end(paint(output.color, 'green', '✓'));
        return result;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        end(paint(output.color, 'red', '✗'), `: ${reason}`);
        throw error;
      }
    },
  };
}

export interface Check {
  readonly name: string;
  readonly passed: boolean;
  /** what was seen: 'lease 10.0.0.11', 'no reply from 203.0.113.10 in 3 s' */
  readonly seen: string;
}

/** Checks with what was seen, and a last line that says how many passed. */
export function renderChecks(color: boolean, checks: readonly Check[]): string[] {
  const width = Math.max(0, ...checks.map((check) => check.name.length));
  const failed = checks.filter((check) => !check.passed);
  return [
    ...checks.map(({ name, passed, seen }) => {
      const sign = passed ? paint(color, 'green', '✓') : paint(color, 'red', '✗');
      return `  ${sign} ${printable(name).padEnd(width)}  ${printable(seen)}`.trimEnd();
    }),
    failed.length === 0
      ? `All ${checks.length} checks passed.`
      : `${failed.length} of ${checks.length} checks failed: ${failed.map((check) => check.name).join(', ')}`,
  ];
}
