/** The L3 agent on a topology file, without a server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Withdrawals } from '../../lib/announcement/farewell.ts';
import { RADVD_TEMPLATE } from '../../lib/announcement/radvd.ts';
import { readTemplate } from '../../lib/daemon/template.ts';
import { parseRouter } from '../../lib/model/router.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { Delegations } from '../../lib/prefix-delegation/delegations.ts';
import { basisOf } from '../../lib/process/basis.ts';
import type { Logger } from '../../lib/process/owner-queue.ts';
import { agentPart } from '../../lib/standalone/agent-part.ts';
import type { OwnerRecord, Part, Site } from '../../lib/standalone/site.ts';
import { createL3Agent } from './agent.ts';
import { uplinkOf } from './compile/prefix-delegation.ts';
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
    pd_confs: join(directory, 'pd'),
  });

/** Where this host's routers have their prefixes from. */
export const delegationOf =
  ({ pd_confs, vendor_pen }: L3Options, log: Pick<Logger, 'warn'>) =>
  (changed: (router: string) => void): Delegations =>
    new Delegations({
      directory: pd_confs,
      vendorPen: vendor_pen,
      changed,
      warn: (router, message) => log.warn({ router }, message),
    });

/** Before a recorded router goes for good, and while its gateway stands. */
export async function giveBackPrefixes(record: OwnerRecord, options: L3Options): Promise<void> {
  if (record.kind !== 'router') return;
  const router = parseRouter(record.payload);
  const delegation = delegationOf(options, { warn() {} })(() => {});
  await delegation.keepOnly(router.id, uplinkOf(router, options), []);
  delegation.close();
}

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
    delegation: delegationOf(options, site.log),
    // A router that is not in the file any more is not built elsewhere either.
    removedForGood: true,
  });
  return { part: agentPart(site, 'l3', agent), options };
}
