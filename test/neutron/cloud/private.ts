import { readlinkSync } from 'node:fs';

/** Set by test/neutron/main.ts in the machine of its own that it makes. */
const MARK = 'VIADUCT_PRIVATE_MACHINE';

/**
 * Agents that are told by a real server remove what it does not list, and an L2 agent touches every bridge and
 * tap: that must not be the network of the machine people work on.
 * @throws Error if this process is not in a machine of its own
 */
export function requirePrivateMachine(): void {
  if (process.env[MARK] !== undefined && process.env[MARK] !== readlinkSync('/proc/self/ns/net')) return;
  throw new Error('this test takes a machine over: run it by `npm run test:neutron`');
}

/** Environment for what is started in the machine of its own; names the network that it must not be in. */
export const privateMachineMark = (): NodeJS.ProcessEnv => ({ [MARK]: readlinkSync('/proc/self/ns/net') });
