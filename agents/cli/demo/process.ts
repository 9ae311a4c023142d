/** The `viaduct up` behind the demo: started detached, found again, waited for. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type RunStatus, runStatus, writeFacts } from '../../../lib/standalone/deployment.ts';
import { CommandFailure } from '../exit-codes.ts';
import { ROLES } from '../parts.ts';

export interface DemoProcess {
  readonly pid: number;
  /** false: it was there already */
  readonly started: boolean;
  readonly log: string;
}

export interface DemoPlace {
  /** name of the deployment */
  readonly name: string;
  readonly file: string;
  /** root of the state directories */
  readonly root: string;
}

export const directoryOf = ({ root, name }: DemoPlace): string => join(root, name);
const logOf = (place: DemoPlace): string => join(directoryOf(place), 'up.log');

const statuses = (place: DemoPlace): RunStatus[] =>
  ROLES.flatMap((role) => runStatus(directoryOf(place), role) ?? []);

/** Who runs the demo now. */
export function findRunning(place: DemoPlace): DemoProcess | undefined {
  const [status] = statuses(place);
  return status && { pid: status.pid, started: false, log: logOf(place) };
}

/** Starts `viaduct up` so that it outlives this command and its terminal. */
export function startDetached(place: DemoPlace): DemoProcess {
  const { name, file, root } = place;
  writeFacts(directoryOf(place), { name, host: hostname(), topology: file, options: {} });
  const path = logOf(place);
  const log = fs.openSync(path, 'a', 0o640);
  const child = spawn(process.execPath, [process.argv[1]!, 'up', file, '--state-dir', root], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  fs.closeSync(log);
  child.unref();
  if (child.pid === undefined) throw new CommandFailure('cannot start viaduct up');
  return { pid: child.pid, started: true, log: path };
}

const isAlive = (pid: number): boolean => fs.existsSync(`/proc/${pid}/stat`);

function lastWords(path: string): string {
  const lines = fs.readFileSync(path, 'utf8').trim().split('\n');
  return lines.slice(-5).join('\n');
}

/** How far the process is, or why it will get no further. */
function progressOf(place: DemoPlace, { pid, log }: DemoProcess): { done: boolean; problem: string } {
  const own = statuses(place).filter((status) => status.pid === pid);
  if (own.length === 0 && !isAlive(pid))
    throw new CommandFailure(`viaduct up ended before it had built anything:\n${lastWords(log)}`);
  const [problem] = own.flatMap((status) => Object.values(status.problems));
  return { done: own.length > 0 && own.every(({ converged }) => converged), problem: problem ?? '' };
}

/**
 * Resolves when everything is built.
 * @throws CommandFailure if the process ends, or something is still not as wanted after `patienceMs`
 */
export async function waitUntilBuilt(
  place: DemoPlace,
  running: DemoProcess,
  patienceMs = 60_000,
): Promise<void> {
  const directory = join(directoryOf(place), 'run');
  fs.mkdirSync(directory, { recursive: true });
  const deadline = Date.now() + patienceMs;
  const watcher = fs.watch(directory);
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        watcher.once('change', resolve);
        // A process that died writes nothing.
        setTimeout(resolve, 500).unref();
      });
      const { done, problem } = progressOf(place, running);
      if (done) return;
      if (Date.now() > deadline)
        throw new CommandFailure(
          `not everything could be built in ${patienceMs / 1000} s: ${problem || 'no reason given'} (log: ${running.log})`,
        );
      await changed;
    }
  } finally {
    watcher.close();
  }
}
