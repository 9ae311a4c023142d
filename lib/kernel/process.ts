/**
 * Long-lived processes in namespaces: start, recognise again, signal, notice their end.
 * A pid alone lies (it is reused); identity is pid + start time + arguments + namespace.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { constants } from 'node:os';
import { counters } from './counters.ts';
import { close, endedChild, memoryFile, spawn as spawnProgram } from './libc.ts';
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

/** The pid in a pid file; undefined if there is none or it is nonsense. */
export function readPidFile(path: string): number | undefined {
  // Mostly there is none where something is to be started, and an exception costs more than the question.
  if (!fs.existsSync(path)) return undefined;
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

/** Children that are waited for, by pid. */
const children = new Map<number, { ended(status: number): void; lost(error: unknown): void }>();

/** The kernel tells that some have ended, not which. */
function reap(): void {
  for (const [pid, { ended, lost }] of children) {
    try {
      const status = endedChild(pid);
      if (status === undefined) continue;
      ended(status);
    } catch (error) {
      lost(error);
    }
    children.delete(pid);
  }
}

function whenEnded(pid: number): Promise<number> {
  if (!process.listeners('SIGCHLD').includes(reap)) process.on('SIGCHLD', reap);
  const end = new Promise<number>((ended, lost) => children.set(pid, { ended, lost }));
  // It may have been over before anybody listened.
  reap();
  return end;
}

/** 'exited with 1', from wait(2)'s status */
function howEnded(status: number): string {
  const ending = status & 0x7f;
  if (ending === 0) return `exited with ${status >> 8}`;
  const [name] = Object.entries(constants.signals).find(([, value]) => value === ending) ?? [];
  return `was ended by ${name ?? `signal ${ending}`}`;
}

/** The end of a file that is open. */
function endOf(fd: number): string {
  const { size } = fs.fstatSync(fd);
  const bytes = Buffer.alloc(Math.min(size, STDERR_KEPT));
  fs.readSync(fd, bytes, 0, bytes.length, size - bytes.length);
  return bytes.toString();
}

let inherited: Environment | undefined;

/** `name=value` words. What this process was started with is asked for once: it costs as much as to start a program. */
function environmentWith(env: Environment): string[] {
  inherited ??= { ...(process.env as Environment), LC_ALL: 'C' };
  return Object.entries({ ...inherited, ...env }).map((pair) => pair.join('='));
}

/**
 * Run a program that ends by itself (or forks itself into the background) inside the namespace. The child
 * is born in the namespace the thread is in, so spawning is synchronous and only waiting is not.
 */
export async function runIn(
  ns: string,
  argv: readonly string[],
  { timeoutMs = 30_000, env = {} }: { timeoutMs?: number; env?: Environment } = {},
): Promise<Exit> {
  counters.forks += 1;
  const errors = memoryFile('stderr');
  try {
    const pid = inNamespace(ns, () => spawnProgram(argv, environmentWith(env), errors));
    // A timer that stays also keeps this process alive until the other's end is heard.
    const timer = setInterval(() => signal(pid, 'SIGTERM'), timeoutMs);
    const status = await whenEnded(pid).finally(() => clearInterval(timer));
    if (status === 0) return { ok: true, words: '' };
    return { ok: false, words: endOf(errors).trim() || `${argv[0]} ${howEnded(status)}` };
  } catch (error) {
    return { ok: false, words: (error as Error).message };
  } finally {
    close(errors);
  }
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
