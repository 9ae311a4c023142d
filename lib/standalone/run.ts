/** Run parts of a deployment in this process: until a signal, or once until all is built. */
import { hostname } from 'node:os';
import { findPackageRoot, live, signalled } from '../process/life.ts';
import { takePrivileges } from '../process/privilege.ts';
import type { Role } from '../process/roles.ts';
import type { Logger } from '../telemetry/log.ts';
import { DEFAULT_ROOT } from './deployment.ts';
import { type Part, Site } from './site.ts';

export { findPackageRoot } from '../process/life.ts';

export interface RunSettings {
  readonly file: string;
  readonly root?: string;
  readonly roles: readonly Role[];
  readonly log: Logger;
  /** build, wait until converged, end; otherwise stay until SIGTERM or SIGINT */
  readonly once: boolean;
  /** the parts, and the options to remember with the deployment (no secrets) */
  readonly parts: (site: Site) => { parts: readonly Part[]; options: Readonly<Record<string, unknown>> };
  /** called when all that was asked for at the start has been done or refused */
  readonly onSettled?: (site: Site) => void;
}

/**
 * @returns problems by router, network or instance that were there at the end (empty: converged)
 * @throws NotPermitted, TopologyError, RoleTaken before anything was changed
 */
export async function runSite(settings: RunSettings): Promise<Record<string, string>> {
  const started = performance.now();
  const { file, roles, log, once } = settings;
  for (const role of roles) takePrivileges(role);
  const site = await Site.open({
    file,
    root: settings.root ?? DEFAULT_ROOT,
    host: hostname(),
    roles,
    packageRoot: findPackageRoot(),
    log,
    stay: !once,
  });
  return live(site, {
    log,
    started,
    ending: signalled(),
    once,
    async start() {
      const { parts, options } = settings.parts(site);
      await site.start(parts, options);
    },
    onSettled: () => settings.onSettled?.(site),
  });
}
