/**
 * The DHCPv6 client that Neutron's agent had for a subnet (dibbler; `neutron/agent/linux/dibbler.py`): it has the same
 * identifier, so what it was delegated is ours from now on.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { runningDaemon } from '../daemon/control.ts';
import { signal } from '../kernel/process.ts';

/** Ends it without a word, which would give the prefix back. @param directory pd_confs */
export function endPredecessor(directory: string, router: string, subnet: string): void {
  if (!fs.existsSync(directory)) return;
  for (const name of fs.readdirSync(directory)) {
    // <router>:<subnet>:<device>
    if (!name.startsWith(`${router}:${subnet}:`)) continue;
    const found = runningDaemon({ pidFile: join(directory, name, 'client.pid'), id: router });
    if (found) signal(found.pid, 'SIGKILL');
    fs.rmSync(join(directory, name), { recursive: true, force: true });
  }
}
