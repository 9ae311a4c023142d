import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readlinkSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

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
  // Databases, queues and logs are in memory and go with the machine.
  'mount -t tmpfs -o mode=755 none "$TMPDIR"',
  'mount -t sysfs none /sys',
  'ip link set lo up',
  // No name server is in reach: without one looking for it costs no time.
  'mount --bind /dev/null /etc/resolv.conf',
  'exec "$@"',
].join(' && ');

/** All of it ends with the process that made it, however that one ends. */
const MACHINE = [
  'setpriv',
  '--pdeathsig',
  'KILL',
  'unshare',
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--propagation',
  'private',
  'sh',
  '-c',
  PREPARE,
  'sh',
];

/** What it takes to run a program in a machine of its own: network, mounts, process ids and temporary files. */
function machine(argv: readonly string[]): {
  command: [program: string, args: string[]];
  options: SpawnOptions;
  remove: () => void;
} {
  const [program, ...args] = [...MACHINE, ...argv];
  const temporary = mkdtempSync(join(tmpdir(), 'vdt-machine-'));
  return {
    command: [program!, args],
    // The mark names the network that it must not be in.
    options: {
      env: { ...process.env, TMPDIR: temporary, [MARK]: readlinkSync('/proc/self/ns/net') },
    },
    remove: () => rmdirSync(temporary),
  };
}

/**
 * Runs a program to its end in a machine of its own. Whatever it starts ends with it.
 * @returns its exit code
 */
export function inPrivateMachine(argv: readonly string[], directory: string): number {
  const { command, options, remove } = machine(argv);
  try {
    return spawnSync(...command, { ...options, cwd: directory, stdio: 'inherit' }).status ?? 1;
  } finally {
    remove();
  }
}

export interface PrivateRun {
  readonly directory: string;
  /** file descriptor for all it says */
  readonly output: number;
  /** milliseconds after which it is ended, with all it has started */
  readonly limit: number;
}

/** The same beside others. @returns its exit code; 1 if it was ended. */
export function besideOthers(
  argv: readonly string[],
  { directory, output, limit }: PrivateRun,
): Promise<number> {
  const { command, options, remove } = machine(argv);
  return new Promise((resolve, reject) => {
    const child = spawn(...command, { ...options, cwd: directory, stdio: ['ignore', output, output] });
    const timer = setTimeout(() => child.kill('SIGKILL'), limit);
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(timer);
      remove();
      resolve(code ?? 1);
    });
  });
}
