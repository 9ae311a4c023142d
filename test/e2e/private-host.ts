/**
 * A host of its own (private network, mounts and process ids), so that what others do at the same time can't be
 * seen and every difference is ours.
 */
import { type Ran, run } from './shell.ts';

const PREPARE = `
mount --make-rprivate /
mount -t tmpfs tmpfs /run && mkdir /run/netns
ip link set lo up
`;

/** Run a shell script there; everything it started ends with it. */
export const inPrivateHost = (script: string): Promise<Ran> =>
  run(['unshare', '-m', '-n', '-p', '--fork', '--mount-proc', 'sh', '-c', `set -eu\n${PREPARE}\n${script}`], {
    timeout: 110_000,
  });

/** argv as words of a shell script. */
export const quoted = (argv: readonly string[]): string =>
  argv.map((arg) => `'${arg.replaceAll("'", `'\\''`)}'`).join(' ');
