/**
 * Runs the tests against Neutron in a machine of their own: network, mounts and process ids. Whatever they start
 * ends with them. Arguments go to vitest.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../house/package-root.ts';
import { privateMachineMark } from './cloud/private.ts';

const PREPARE = [
  'mkdir -p /run/netns && mount -t tmpfs none /run/netns',
  'mount -t sysfs none /sys',
  'ip link set lo up',
  // No name server is in reach: without one looking for it costs no time.
  'mount --bind /dev/null /etc/resolv.conf',
  'exec "$@"',
].join(' && ');

const root = packageRoot();
const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'neutron'];
const machine = [
  '--net',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
  '--propagation',
  'private',
];
const { status } = spawnSync(
  'unshare',
  [...machine, 'sh', '-c', PREPARE, 'sh', process.execPath, ...vitest, ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit', env: { ...process.env, ...privateMachineMark() } },
);
process.exitCode = status ?? 1;
