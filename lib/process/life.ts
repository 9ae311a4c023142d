/** A process of agents from start to signal. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../telemetry/log.ts';
import { AgentProcess } from './agent-process.ts';

/** The installed package: where templates/ and deploy/ are. */
export function findPackageRoot(from = fileURLToPath(import.meta.url)): string {
  let directory = dirname(from);
  while (!existsSync(join(directory, 'package.json')) && directory !== '/') directory = dirname(directory);
  return directory;
}

/** Resolves at the signal that ends this process; from now on it does not end it at once. */
export const signalled = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });

export interface Life {
  readonly log: Logger;
  /** when this program was started, of performance.now() */
  readonly started: number;
  readonly ending: Promise<NodeJS.Signals>;
  /** build, wait until all was done or refused, end; otherwise stay until `ending` */
  readonly once: boolean;
  readonly start: () => Promise<void>;
  /** called when all that was asked for at the start has been done or refused */
  readonly onSettled?: () => void;
}

/**
 * dnsmasq gives up root and must still read its files, however strict the shell is that this was started from.
 * What is private is written with a mode that says so.
 */
const READABLE = 0o022;

/**
 * Starts, stays, closes.
 * @returns problems by router, network or instance that were there at the end (empty: converged)
 */
export async function live(agents: AgentProcess, life: Life): Promise<Record<string, string>> {
  const { log, started, ending, once } = life;
  process.umask(READABLE);
  try {
    const starting = life.start();
    const settled = starting
      .then(() => agents.settled())
      .then((all) => {
        if (!all) return;
        const { writes, forks } = AgentProcess.cost;
        const ms = Math.round(performance.now() - started);
        log.info(`settled after ${ms} ms: ${writes} kernel writes, ${forks} forks`);
        life.onSettled?.();
      });
    // A start that fails ends it all; one that waits (for a server) does not keep it from ending.
    if (once) await Promise.race([settled, ending]);
    else
      log.info(`${await Promise.race([ending, starting.then(() => ending)])}: ending; what was built stays`);
    return agents.problems();
  } finally {
    await agents.close();
  }
}
