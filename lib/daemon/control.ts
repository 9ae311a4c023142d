/**
 * Daemons of a namespace: start, stop, reload. They outlive the agent: the next one finds them again by pid
 * file, arguments and namespace (lib/namespace/read.ts).
 */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { counters } from '../kernel/counters.ts';
import {
  type Exit,
  killNow,
  readPidFile,
  readProcess,
  runIn,
  type Signaller,
  signal,
  startIn,
  stopProcess,
} from '../kernel/process.ts';

/** Variable by which tools find the processes of a router or network (`neutron/agent/linux/external_process.py`). */
const TAG = 'PROCESS_TAG';
/** A kill script may take its time. */
const SCRIPT_MS = 30_000;

/** What has to run (a DaemonRow is one). */
export interface Daemon {
  readonly ns: string;
  /** 'dnsmasq', 'radvd' */
  readonly service: string;
  /** occurs in argv: by it the process is recognised */
  readonly id: string;
  readonly argv: readonly string[];
  readonly pidFile: string;
  /** forks itself into the background and writes pidFile */
  readonly daemonizes: boolean;
  /** directory it works in */
  readonly directory?: string;
  /** default: SIGTERM, then SIGKILL */
  readonly endsBy?: 'SIGKILL';
}

/** The running process of this row, if the one in the pid file is it. */
export function runningDaemon(row: Pick<Daemon, 'pidFile' | 'id'>) {
  const pid = readPidFile(row.pidFile);
  const found = pid === undefined ? undefined : readProcess(pid);
  return found?.argv.some((arg) => arg.includes(row.id)) ? found : undefined;
}

/** Start it; resolves once it is in the background (its own, or ours). */
export async function startDaemon(row: Daemon): Promise<Exit> {
  const directories = [row.directory, dirname(row.pidFile)];
  for (const directory of directories)
    if (directory !== undefined && !fs.existsSync(directory))
      fs.mkdirSync(directory, { recursive: true, mode: 0o755 });
  counters.writes += 1;
  const env = { [TAG]: `${row.service}-${row.id}` };
  if (row.daemonizes) return runIn(row.ns, row.argv, { env });
  try {
    fs.writeFileSync(row.pidFile, `${startIn(row.ns, row.argv, env)}\n`);
    return { ok: true, words: '' };
  } catch (error) {
    return { ok: false, words: (error as Error).message };
  }
}

/** How Neutron names signals to a kill script. */
const SCRIPT_NAMES: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGHUP: 'HUP',
  SIGTERM: '15',
  SIGKILL: '9',
};

/**
 * Signals go to the process, or where `killScripts` (a directory) has `<service>-kill`, to that script with signal and
 * pid: daemons may run in containers of their own.
 */
function signallerOf({ service }: Daemon, killScripts: string | undefined): Signaller {
  const script = killScripts && join(killScripts, `${service}-kill`);
  if (!script || !fs.existsSync(script)) return signal;
  return async (pid, name) => {
    counters.forks += 1;
    const argv = [SCRIPT_NAMES[name] ?? name, String(pid)];
    // Rarely needed, and a tenth of an agent's start.
    const { execa } = await import('execa');
    await execa(script, argv, { stdio: 'ignore', reject: false, timeout: SCRIPT_MS });
  };
}

/** SIGTERM, 5 s, SIGKILL (or that at once); then its pid file goes. Not running is fine. */
export async function stopDaemon(row: Daemon, killScripts?: string): Promise<void> {
  const found = runningDaemon(row);
  counters.writes += 1;
  if (found) await stopProcess(found, signallerOf(row, killScripts), row.endsBy);
  fs.rmSync(row.pidFile, { force: true });
}

/** Ends it this instant: when this returns it says nothing more, and its pid file is gone. false: it did not run. */
export function endDaemon(row: Pick<Daemon, 'pidFile' | 'id'>): boolean {
  const found = runningDaemon(row);
  if (!found) return false;
  counters.writes += 1;
  killNow(found);
  fs.rmSync(row.pidFile, { force: true });
  return true;
}

/** Have it read its files again. */
export function reloadDaemon(row: Daemon, killScripts?: string): void {
  const found = runningDaemon(row);
  counters.writes += 1;
  if (found) signallerOf(row, killScripts)(found.pid, 'SIGHUP');
}
