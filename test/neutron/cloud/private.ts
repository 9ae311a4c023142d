import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';

/** Set in the machine of its own that inPrivateMachine makes. */
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

const PREPARE = [
  'mkdir -p /run/netns && mount -t tmpfs none /run/netns',
  'mount -t sysfs none /sys',
  'ip link set lo up',
  // No name server is in reach: without one looking for it costs no time.
  'mount --bind /dev/null /etc/resolv.conf',
  'exec "$@"',
].join(' && ');

const MACHINE = [
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--propagation',
  'private',
];

/**
 * Runs a program to its end in a machine of its own: network, mounts and process ids. Whatever it starts ends with it.
 * @returns its exit code
 */
export function inPrivateMachine(argv: readonly string[], directory: string): number {
  const { status } = spawnSync('unshare', [...MACHINE, 'sh', '-c', PREPARE, 'sh', ...argv], {
    cwd: directory,
    stdio: 'inherit',
    // Names the network that it must not be in.
    env: { ...process.env, [MARK]: readlinkSync('/proc/self/ns/net') },
  });
  return status ?? 1;
}
