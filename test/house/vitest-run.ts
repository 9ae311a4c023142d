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
  /** where vitest's own progress goes: 1 or 2 (a command that prints its result on stdout says 2) */
  readonly output: 1 | 2;
}

/** Runs vitest in a child process, showing its progress, and returns what it reports. */
export function runVitest(options: VitestOptions): VitestRun {
  const directory = mkdtempSync(join(tmpdir(), 'viaduct-vitest-'));
  const file = join(directory, 'report.json');
  try {
    const argv = [
      join(options.root, 'node_modules/vitest/vitest.mjs'),
      'run',
      ...options.projects.flatMap((project) => ['--project', project]),
      ...(options.titles === undefined ? [] : ['--testNamePattern', options.titles]),
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${file}`,
    ];
    const child = spawnSync(process.execPath, argv, {
      cwd: options.root,
      stdio: ['ignore', options.output, 2],
    });
    return { report: readReport(file), exitCode: child.status ?? 1 };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  } catch {
    return undefined;
  }
}
