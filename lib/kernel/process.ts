/**
 * Long-lived processes in namespaces: start, recognise again, signal, notice their end.
 * A pid alone lies (it is reused); identity is pid + start time + arguments + namespace.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { counters } from './counters.ts';
import { inNamespace } from './netns.ts';

export interface ProcessState {
  readonly pid: number;
  readonly argv: readonly string[];
  /** clock ticks since boot, field 22 of proc(5)'s stat */
  readonly startTime: string;
  /** inode of its network namespace */
  readonly netns: number;
}

/** Its start time; undefined if nothing runs under this pid, or a zombie. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]!;
  } catch {
    return undefined;
  }
}

/** What runs under this pid now; undefined if nothing, a zombie, or one that has begun to end (see stopProcess). */
export function readProcess(pid: number): ProcessState | undefined {
  const startTime = startTimeOf(pid);
  if (startTime === undefined) return undefined;
  try {
    const argv = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    return { pid, argv, startTime, netns: fs.statSync(`/proc/${pid}/ns/net`).ino };
  } catch {
    return undefined;
  }
}

const STDERR_KEPT = 4_000;
const LAST_WORDS_MS = 200;

/** The pid in a pid file; undefined if there is none or it is nonsense. */
export function readPidFile(path: string): number | undefined {
  try {
    const pid = Number.parseInt(fs.readFileSync(path, 'utf8'), 10);
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** Variables beside this process's own. */
export type Environment = Readonly<Record<string, string>>;

export interface Exit {
  readonly ok: boolean;
  /** what went wrong, with the end of its standard error */
  readonly words: string;
}

/**
 * Run a program that ends by itself (or forks itself into the background) inside the namespace. The child
 * is born in the namespace the thread is in, so spawning is synchronous and only waiting is not.
 */
export function runIn(
  ns: string,
  argv: readonly string[],
  { timeoutMs = 30_000, env = {} }: { timeoutMs?: number; env?: Environment } = {},
): Promise<Exit> {
  const [program, ...args] = argv;
  counters.forks += 1;
  // Without a library around it: hundreds start in a row, and its share would be half of what a start costs here.
  const { child } = inNamespace(ns, () => ({
    child: spawn(program!, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: timeoutMs,
      env: { ...process.env, LC_ALL: 'C', ...env },
    }),
  }));
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-STDERR_KEPT);
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ ok: false, words: error.message }));
    // 'exit' and not 'close': a daemon that inherited the pipe keeps it open long after its starter is gone.
    child.once('exit', (code, signal) => {
      const how = code === null ? `was ended by ${signal}` : `exited with ${code}`;
      const finish = (): void => {
        resolve({ ok: code === 0, words: words.trim() || `${program} ${how}` });
        child.stderr.destroy();
      };
      if (code === 0) finish();
      else {
        // Its last words may still be on their way.
        child.stderr.once('end', finish);
        setTimeout(finish, LAST_WORDS_MS);
      }
    });
  });
}

/** Start a program that stays in the foreground, detached from us. Returns its pid. */
export function startIn(ns: string, argv: readonly string[], env: Environment = {}): number {
  const [program, ...args] = argv;
  counters.forks += 1;
  const { child } = inNamespace(ns, () => ({
    child: spawn(program!, args, { stdio: 'ignore', detached: true, env: { ...process.env, ...env } }),
  }));
  child.unref();
  // A program that can't be started is told by the missing pid, and again by an event.
  child.on('error', () => undefined);
  if (child.pid === undefined) throw new Error(`cannot start ${program}`);
  return child.pid;
}

/** Send a signal; false if the process is gone. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/**
 * SIGKILL, and wait for its end without letting anything else of this program run: milliseconds, on a machine that is
 * starved of processors `patienceMs` at most. It does nothing of its own any more either way.
 */
export function killNow(state: ProcessState, patienceMs = 200): void {
  if (!signal(state.pid, 'SIGKILL')) return;
  const deadline = performance.now() + patienceMs;
  while (readProcess(state.pid)?.startTime === state.startTime && performance.now() < deadline)
    Atomics.wait(sleeper, 0, 0, 1);
}

/** Sends a signal to a process. */
export type Signaller = (pid: number, name: NodeJS.Signals) => unknown;

/**
 * SIGTERM (or `first`), wait, SIGKILL; resolves once that very process (start time) is gone, and so are its sockets: a
 * process leaves its namespaces before they are closed, but is a zombie only afterwards.
 */
export async function stopProcess(
  state: ProcessState,
  send: Signaller = signal,
  first: NodeJS.Signals = 'SIGTERM',
  graceMs = 5_000,
): Promise<void> {
  const alive = (): boolean => startTimeOf(state.pid) === state.startTime;
  if (!alive()) return;
  await send(state.pid, first);
  for (let waited = 0; alive() && waited < graceMs; waited += 10) await pause(10);
  if (!alive()) return;
  await send(state.pid, 'SIGKILL');
  for (let waited = 0; alive() && waited < graceMs; waited += 10) await pause(10);
}
