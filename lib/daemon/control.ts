/**
 * Daemons of a namespace: start, stop, reload. They outlive the agent: the next one finds them again by pid
 * file, arguments and namespace (lib/namespace/read.ts).
 */
import fs from 'node:fs';
import { dirname } from 'node:path';
import { counters } from '../kernel/counters.ts';
import {
  type Exit,
  readPidFile,
  readProcess,
  runIn,
  signal,
  startIn,
  stopProcess,
} from '../kernel/process.ts';

/** What has to run (a DaemonRow is one). */
export interface Daemon {
  readonly ns: string;
  /** occurs in argv: by it the process is recognised */
  readonly id: string;
  readonly argv: readonly string[];
  readonly pidFile: string;
  /** forks itself into the background and writes pidFile */
  readonly daemonizes: boolean;
  /** directory it works in */
  readonly directory?: string;
}

/** The running process of this row, if the one in the pid file is it. */
export function runningDaemon(row: Pick<Daemon, 'pidFile' | 'id'>) {
  const pid = readPidFile(row.pidFile);
  const found = pid === undefined ? undefined : readProcess(pid);
  return found?.argv.some((arg) => arg.includes(row.id)) ? found : undefined;
}

/** Start it; resolves once it is in the background (its own, or ours). */
export async function startDaemon(row: Daemon): Promise<Exit> {
  if (row.directory) fs.mkdirSync(row.directory, { recursive: true, mode: 0o755 });
  fs.mkdirSync(dirname(row.pidFile), { recursive: true, mode: 0o755 });
  counters.writes += 1;
  if (row.daemonizes) return runIn(row.ns, row.argv);
  try {
    fs.writeFileSync(row.pidFile, `${startIn(row.ns, row.argv)}\n`);
    return { ok: true, words: '' };
  } catch (error) {
    return { ok: false, words: (error as Error).message };
  }
}

/** SIGTERM, 5 s, SIGKILL; then its pid file goes. Not running is fine. */
export async function stopDaemon(row: Daemon): Promise<void> {
  const found = runningDaemon(row);
  counters.writes += 1;
  if (found) await stopProcess(found);
  fs.rmSync(row.pidFile, { force: true });
}

/** Have it read its files again. */
export function reloadDaemon(row: Daemon): void {
  const found = runningDaemon(row);
  counters.writes += 1;
  if (found) signal(found.pid, 'SIGHUP');
}
