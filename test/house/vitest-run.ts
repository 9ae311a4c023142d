import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The part of vitest's JSON report that is read here (the format is Jest's). */
export interface VitestReport {
  readonly success: boolean;
  readonly testResults: readonly VitestFile[];
}

export interface VitestFile {
  /** absolute path */
  readonly name: string;
  readonly status: string;
  /** why the file itself failed (import error, failing hook); empty otherwise */
  readonly message?: string;
  readonly assertionResults: readonly VitestTest[];
}

export interface VitestTest {
  readonly title: string;
  readonly fullName: string;
  /** 'passed', 'failed'; everything else ('skipped', 'pending', 'todo', …) did not run */
  readonly status: string;
}

export interface VitestRun {
  /** undefined: vitest ended without a report */
  readonly report: VitestReport | undefined;
  readonly exitCode: number;
}

export interface VitestOptions {
  readonly root: string;
  readonly projects: readonly string[];
  /** only tests whose full name matches this regular expression */
  readonly titles?: string;
  /** what else goes on vitest's command line: files, its options */
  readonly more?: readonly string[];
  /** runs a program to its end and gives its exit code; a child of this process if not given */
  readonly launch?: (argv: readonly string[], directory: string) => Promise<number>;
  /** where vitest's own progress goes: 1 or 2 (a command that prints its result on stdout says 2) */
  readonly output: 1 | 2;
}

/** Runs vitest in a child process, showing its progress, and returns what it reports. */
export async function runVitest(options: VitestOptions): Promise<VitestRun> {
  const directory = mkdtempSync(join(tmpdir(), 'viaduct-vitest-'));
  const file = join(directory, 'report.json');
  try {
    const argv = [
      process.execPath,
      join(options.root, 'node_modules/vitest/vitest.mjs'),
      'run',
      ...options.projects.flatMap((project) => ['--project', project]),
      ...(options.titles === undefined ? [] : ['--testNamePattern', options.titles]),
      ...(options.more ?? []),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ];
    const exitCode = await (options.launch ?? child(options.output))(argv, options.root);
    return { report: readReport(file), exitCode };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const child =
  (output: 1 | 2) =>
  async ([program, ...args]: readonly string[], directory: string): Promise<number> =>
    spawnSync(program!, args, { cwd: directory, stdio: ['ignore', output, 2] }).status ?? 1;

function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  } catch {
    return undefined;
  }
}
