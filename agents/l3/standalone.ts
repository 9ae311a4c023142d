/** The L3 agent on a topology file, without a server. */

import { parseRouter } from '../../lib/model/router.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { agentPart } from '../../lib/standalone/agent-part.ts';
import type { OwnerRecord, Part, Site } from '../../lib/standalone/site.ts';
import { createL3Agent } from './agent.ts';
import { compileRouter } from './compile/router.ts';
import { type L3Options, l3Options } from './options.ts';

/** Rows of a recorded router, as it was last asked for; undefined: the record is another agent's. */
export function compileRouterRecord(
  record: OwnerRecord,
  host: string,
  options: L3Options,
): RowGroup[] | undefined {
  if (record.kind !== 'router') return undefined;
  return compileRouter({ router: parseRouter(record.payload), host: { name: host }, options });
}

export function createL3Part(site: Site): { part: Part; options: L3Options } {
  const options = l3Options();
  const { host } = site.controller.topology;
  site.adopt((record) => compileRouterRecord(record, host, options));
  const agent = createL3Agent({
    plugin: site.controller,
    reconciler: site.reconciler,
    options,
    host: { name: host },
    logger: site.log,
    knownRouters: site.recorded(['router']),
  });
  return { part: agentPart(site, 'l3', agent), options };
}
