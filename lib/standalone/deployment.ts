/**
 * Where a deployment keeps what it must remember: <root>/<name>/
 *
 *   deployment.json   which topology file, which host name; the options last in force
 *   records/          what was last asked for, one file for each router, network, instance
 *   journal/          what was done and why
 *   dhcp/, instances/ files of the daemons
 *   run/<role>.json   who runs now, and how far it is
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { readProcess } from '../kernel/process.ts';

export const DEFAULT_ROOT = '/var/lib/viaduct';

export type Role = 'fabric' | 'l3' | 'dhcp' | 'metadata';

/** deployment.json */
export interface DeploymentFacts {
  readonly name: string;
  /** absolute path of the topology file */
  readonly topology: string;
  readonly host: string;
  /** options that shape what is built, by agent; never secrets */
  readonly options: Readonly<Record<string, unknown>>;
}

/** run/<role>.json */
export interface RunStatus {
  readonly pid: number;
  readonly startTime: string;
  readonly role: Role;
  /** the data plane is what the topology says */
  readonly converged: boolean;
  /** what keeps it from being so, by router, network or instance */
  readonly problems: Readonly<Record<string, string>>;
  /** ISO 8601 */
  readonly at: string;
}

export function writeAtomically(path: string, content: string, mode = 0o640): void {
  fs.mkdirSync(join(path, '..'), { recursive: true, mode: 0o755 });
  fs.writeFileSync(`${path}.new`, content, { mode });
  fs.renameSync(`${path}.new`, path);
}

const readJson = <T>(path: string): T | undefined => {
  try {
    return JSON.parse(fs.readFileSync(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
};

export const readFacts = (directory: string): DeploymentFacts | undefined =>
  readJson<DeploymentFacts>(join(directory, 'deployment.json'));

/** A root that Viaduct made says so, and goes with its last deployment. */
export const ROOT_MARK = '.made-by-viaduct';

/** Options of agents that don't run now are kept. */
export function writeFacts(directory: string, facts: DeploymentFacts): void {
  const root = dirname(directory);
  if (!fs.existsSync(root)) {
    fs.mkdirSync(root, { recursive: true, mode: 0o755 });
    fs.writeFileSync(join(root, ROOT_MARK), '');
  }
  const options = { ...readFacts(directory)?.options, ...facts.options };
  const text = JSON.stringify({ ...facts, options }, null, 2);
  writeAtomically(join(directory, 'deployment.json'), `${text}\n`);
}

/** Directories of all deployments below a root, sorted. */
export function deployments(root: string): string[] {
  try {
    return fs
      .readdirSync(root)
      .sort()
      .map((name) => join(root, name))
      .filter((directory) => fs.existsSync(join(directory, 'deployment.json')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
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
    super(`the ${role} part of this deployment is already run by ${who}: stop that first`);
    this.name = 'RoleTaken';
  }
}

/** A socket's name has at most 107 bytes, a directory's may have more: hence the hash. */
const roleAddress = (directory: string, role: Role): string =>
  `\0viaduct/${createHash('sha1').update(directory).digest('hex')}/${role}`;

/**
 * Take a role: an abstract socket, which the kernel frees with the process however that ends.
 * @throws RoleTaken
 */
export function takeRole(directory: string, role: Role): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.unref();
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new RoleTaken(directory, role) : error),
    );
    server.listen(roleAddress(directory, role), () => resolve(() => server.close()));
  });
}
