/**
 * The haproxies that Neutron's L3 and DHCP agents started, one for each namespace (contract metadata.md §2). Both listen
 * for a moment; haproxy is then asked to end as it does for a successor of its own: it takes no more connections and
 * answers those it has.
 */
import fs from 'node:fs';
import { basename } from 'node:path';
import { namespaceInode } from '../../lib/kernel/netns.ts';
import { type ProcessState, readPidFile, readProcess, signal } from '../../lib/kernel/process.ts';
import { haproxyConfiguration, haproxyPidFile, type NeutronPaths } from '../../lib/neutron/leftovers.ts';
import type { DesiredListener } from './compile/listeners.ts';
import type { Logger } from './logger.ts';

/** Longer than any of haproxy's own time limits in the configuration Neutron gives it. */
const PATIENCE_MS = 40_000;

const idOf = (ns: string): string => ns.slice(ns.indexOf('-') + 1);

export class Predecessors {
  readonly #paths: NeutronPaths;
  readonly #logger: Logger;

  constructor(paths: NeutronPaths, logger: Logger) {
    this.#paths = paths;
    this.#logger = logger;
  }

  /** Ends who served the namespace of these listeners; nobody did is fine. */
  retire(served: readonly DesiredListener[]): void {
    const [first] = served;
    if (!first) return;
    // A metadata network's proxy goes by the router it asks for.
    const { ns, identity } = first;
    const ids = new Set([idOf(ns), 'router' in identity ? identity.router : identity.network]);
    for (const id of ids) {
      const found = this.#running(ns, id);
      if (found) this.#end(ns, id, found);
    }
  }

  /** By pid file, program, arguments and namespace: a pid alone may be anybody's. */
  #running(ns: string, id: string): ProcessState | undefined {
    const pid = readPidFile(haproxyPidFile(this.#paths, id));
    const found = pid === undefined ? undefined : readProcess(pid);
    if (!found || found.netns !== namespaceInode(ns)) return undefined;
    const [program = '', ...args] = found.argv;
    return basename(program) === 'haproxy' && args.some((arg) => arg.includes(id)) ? found : undefined;
  }

  #end(ns: string, id: string, { pid, startTime }: ProcessState): void {
    if (!signal(pid, 'SIGUSR1')) return;
    this.#logger.info(
      { ns, pid },
      'metadata is served here from now on: the haproxy of Neutron’s agent ends',
    );
    fs.rmSync(haproxyPidFile(this.#paths, id), { force: true });
    fs.rmSync(haproxyConfiguration(this.#paths, id), { force: true });
    setTimeout(() => {
      if (readProcess(pid)?.startTime === startTime) signal(pid, 'SIGTERM');
    }, PATIENCE_MS).unref();
  }
}
