/** The L3 agent on a topology file, without a server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Withdrawals } from '../../lib/announcement/farewell.ts';
import { RADVD_TEMPLATE } from '../../lib/announcement/radvd.ts';
import { readTemplate } from '../../lib/daemon/template.ts';
import { parseRouter } from '../../lib/model/router.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { basisOf } from '../../lib/process/basis.ts';
import { agentPart } from '../../lib/standalone/agent-part.ts';
import type { OwnerRecord, Part, Site } from '../../lib/standalone/site.ts';
import { createL3Agent } from './agent.ts';
import { compileRouter, type L3Host } from './compile/router.ts';
import { type L3Options, l3Options } from './options.ts';

/** This machine, as far as rows depend on it. */
export const l3Host = (name: string, packageRoot: string): L3Host => ({
  name,
  ...(existsSync('/proc/net/if_inet6') && { radvd: readTemplate(packageRoot, RADVD_TEMPLATE) }),
});

/** Options for a deployment: those of its topology file; files are in its state directory. */
export const standaloneL3Options = (
  topology: Readonly<Record<string, unknown>>,
  directory: string,
): L3Options =>
  l3Options({
    ...topology,
    ra_confs: join(directory, 'ra'),
    external_pids: join(directory, 'external/pids'),
  });

/**
 * Rows of a recorded router, as it was last asked for; undefined: the record is another agent's. What has a record was
 * built, even if routers of its kind are not wanted on this host any more.
 */
export function compileRouterRecord(
  record: OwnerRecord,
  host: L3Host,
  options: L3Options,
): RowGroup[] | undefined {
  if (record.kind !== 'router') return undefined;
  const built = { ...options, handle_internal_only_routers: true };
  return compileRouter({ router: parseRouter(record.payload), host, options: built });
}

export function createL3Part(site: Site): { part: Part; options: L3Options } {
  const { host: name, l3 } = site.controller.topology;
  const options = standaloneL3Options(l3, site.directory);
  const host = l3Host(name, site.packageRoot);
  const basis = basisOf(site.packageRoot, { host, options });
  site.adopt(['router'], (record) => compileRouterRecord(record, host, options), basis);
  const agent = createL3Agent({
    plugin: site.controller,
    reconciler: site.reconciler,
    options,
    host,
    basis,
    logger: site.log,
    knownRouters: site.recorded(['router']),
    farewell: new Withdrawals((router, message) => site.log.warn({ router }, message)),
    // A router that is not in the file any more is not built elsewhere either.
    removedForGood: true,
  });
  return { part: agentPart(site, 'l3', agent), options };
}
