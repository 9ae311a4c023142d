import { signal } from '../../lib/kernel/process.ts';
import { type Role, RoleTaken, takeRole } from '../../lib/standalone/deployment.ts';
import { runningRoles } from './deployment.ts';
import { CommandFailure } from './exit-codes.ts';

/** A process ends within its last step: rulesets of large routers and stopping daemons take their time. */
const PATIENCE_MS = 30_000;
const INTERVAL_MS = 50;
const ALL_ROLES: readonly Role[] = ['fabric', 'l3', 'dhcp', 'metadata'];

export interface TakeOver {
  /** default: all */
  readonly roles?: readonly Role[];
  /** what to run again if a process does not end; default: down */
  readonly verb?: string;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Ends whoever runs parts of this deployment and takes their place, so that nobody builds it meanwhile.
 * @returns gives the place free again
 * @throws CommandFailure naming a process that does not end
 */
export async function takeOver(
  directory: string,
  { roles = ALL_ROLES, verb = 'down' }: TakeOver = {},
): Promise<() => void> {
  const told = new Set<number>();
  for (let waited = 0; ; waited += INTERVAL_MS) {
    for (const { pid, role } of runningRoles(directory)) {
      if (told.has(pid) || !roles.includes(role)) continue;
      told.add(pid);
      signal(pid, 'SIGTERM');
    }
    const release = await takeAll(directory, roles);
    if (typeof release === 'function') return release;
    if (waited >= PATIENCE_MS) throw new CommandFailure(`${release.message}, then run ${verb} again`);
    await pause(INTERVAL_MS);
  }
}

async function takeAll(directory: string, roles: readonly Role[]): Promise<(() => void) | RoleTaken> {
  const taken: (() => void)[] = [];
  const release = (): void => {
    for (const free of taken) free();
  };
  try {
    for (const role of roles) taken.push(await takeRole(directory, role));
    return release;
  } catch (error) {
    release();
    if (error instanceof RoleTaken) return error;
    throw error;
  }
}
