/** What the demo cannot do without, looked for before anything is built. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { CommandFailure } from '../exit-codes.ts';

const PROGRAMS: Readonly<Record<string, string>> = {
  dnsmasq: 'the DHCP server of each network',
  radvd: 'IPv6 router advertisements',
  dhclient: 'the DHCP client of each instance',
  ip: 'puts the lease on the instance',
  ping: 'checks',
  curl: 'checks',
};

const isThere = (program: string, path: string): boolean =>
  path.split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** @throws CommandFailure naming everything that is missing and how to get it */
export function checkRequirements(path = process.env.PATH ?? ''): void {
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isThere(program, path));
  if (missing.length > 0) {
    const list = missing.map(([program, what]) => `${program} (${what})`).join(', ');
    throw new CommandFailure(
      `missing: ${list}. "sh deploy/install-dependencies.sh runtime test" installs what the demo needs`,
    );
  }
  if (!existsSync('/proc/self/ns/net'))
    throw new CommandFailure(
      'this kernel has no network namespaces: the demo needs a Linux host that has them',
    );
}
