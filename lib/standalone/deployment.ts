/**
 * Where a deployment keeps what it must remember: <root>/<name>/
 *
 *   deployment.json   which topology file, which host name; the options last in force
 *   records/          what was last asked for, one file for each router, network, instance
 *   journal/          what was done and why
 *   dhcp/, instances/ files of the daemons
 *   run/<role>.json   who runs now, and how far it is
 */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { readJson, writeAtomically } from '../process/files.ts';

export { writeAtomically } from '../process/files.ts';
export { type Role, RoleTaken, type RunStatus, runStatus, statusPath, takeRole } from '../process/roles.ts';

export const DEFAULT_ROOT = '/var/lib/viaduct';

/** deployment.json */
export interface DeploymentFacts {
  readonly name: string;
  /** absolute path of the topology file */
  readonly topology: string;
  readonly host: string;
  /** options that shape what is built, by agent; never secrets */
  readonly options: Readonly<Record<string, unknown>>;
}

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
