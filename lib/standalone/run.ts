/** Run parts of a deployment in this process: until a signal, or once until all is built. */

import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '../telemetry/log.ts';
import { DEFAULT_ROOT, type Role } from './deployment.ts';
import { type Part, Site } from './site.ts';

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

/** The installed package: where templates/ and deploy/ are. */
export function findPackageRoot(from = fileURLToPath(import.meta.url)): string {
  let directory = dirname(from);
  while (!existsSync(join(directory, 'package.json')) && directory !== '/') directory = dirname(directory);
  return directory;
}

const signalled = (): Promise<NodeJS.Signals> =>
  new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });

/**
 * @returns problems by router, network or instance that were there at the end (empty: converged)
 * @throws TopologyError, RoleTaken before anything was changed
 */
export async function runSite(settings: RunSettings): Promise<Record<string, string>> {
  const started = performance.now();
  const site = await Site.open({
    file: settings.file,
    root: settings.root ?? DEFAULT_ROOT,
    host: hostname(),
    roles: settings.roles,
    packageRoot: findPackageRoot(),
    log: settings.log,
    stay: !settings.once,
  });
  const ending = signalled();
  try {
    const { parts, options } = settings.parts(site);
    await site.start(parts, options);
    const settled = site.settled().then(() => {
      const { writes, forks } = Site.cost;
      const ms = Math.round(performance.now() - started);
      settings.log.info(`settled after ${ms} ms: ${writes} kernel writes, ${forks} forks`);
      settings.onSettled?.(site);
    });
    if (settings.once) await Promise.race([settled, ending]);
    else settings.log.info(`${await ending}: ending; what was built stays`);
    return site.problems();
  } finally {
    await site.close();
  }
}
