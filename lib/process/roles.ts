/** Who runs which part of an agent's work on this node: one process for each role of a state directory. */
import { createHash } from 'node:crypto';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readProcess } from '../kernel/process.ts';
import { readJson } from './files.ts';

export type Role = 'fabric' | 'l3' | 'dhcp' | 'metadata';

/** What is known of the way to neutron-server. */
export interface ServerStatus {
  /** the broker takes and brings messages */
  readonly connected: boolean;
  /** since when; ISO 8601 */
  readonly since: string;
  /** when the server took the last state report; null: not yet */
  readonly reported: string | null;
}

/** run/<role>.json */
export interface RunStatus {
  readonly pid: number;
  readonly startTime: string;
  readonly role: Role;
  /** the data plane is what the source says */
  readonly converged: boolean;
  /** what keeps it from being so, by router, network or instance */
  readonly problems: Readonly<Record<string, string>>;
  /** the way to neutron-server; absent without one */
  readonly server?: ServerStatus;
  /** ISO 8601 */
  readonly at: string;
}

export const statusPath = (directory: string, role: Role): string => join(directory, 'run', `${role}.json`);

/** Who runs a role now; undefined if nobody does (a file left by a killed process doesn't count). */
export function runStatus(directory: string, role: Role): RunStatus | undefined {
  const status = readJson<RunStatus>(statusPath(directory, role));
  return status && readProcess(status.pid)?.startTime === status.startTime ? status : undefined;
}

/** Someone else runs this role of this deployment. */
export class RoleTaken extends Error {
  constructor(directory: string, role: Role) {
    const holder = runStatus(directory, role);
    const who = holder ? `process ${holder.pid}` : 'another process';
    super(`the ${role} part of this state directory is already run by ${who}: stop that first`);
    this.name = 'RoleTaken';
  }
}

/** A socket's name has at most 107 bytes, a directory's may have more: hence the hash. */
const address = (directory: string, name: string): string =>
  `\0viaduct/${createHash('sha1').update(directory).digest('hex')}/${name}`;

/**
 * Take a role: an abstract socket, which the kernel frees with the process however that ends.
 * @throws RoleTaken
 */
export async function takeRole(directory: string, role: Role): Promise<() => void> {
  const release = await take(address(directory, role));
  if (!release) throw new RoleTaken(directory, role);
  return release;
}

const AGAIN_MS = 20;

/** Does something that only one process at a time may do with a state directory. */
export async function exclusively<T>(directory: string, work: () => T): Promise<T> {
  for (;;) {
    const release = await take(address(directory, 'exclusively'));
    if (!release) {
      await pause(AGAIN_MS);
      continue;
    }
    try {
      return work();
    } finally {
      release();
    }
  }
}

/** undefined: somebody has it */
function take(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(name, () => resolve(() => server.close()));
  });
}
