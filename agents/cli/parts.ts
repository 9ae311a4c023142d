/** The agents that one `viaduct` process runs together, and what each makes of a topology or of a record. */
import type { RowGroup } from '../../lib/namespace/rows.ts';
import type { Controller } from '../../lib/standalone/controller.ts';
import type { DeploymentFacts, Role } from '../../lib/standalone/deployment.ts';
import { findPackageRoot } from '../../lib/standalone/run.ts';
import type { OwnerRecord, Part, Site } from '../../lib/standalone/site.ts';
import { dhcpOptions } from '../dhcp/options.ts';
import {
  compileNetworkRecord,
  createDhcpPart,
  standaloneDhcpOptions,
  standaloneHost,
} from '../dhcp/standalone.ts';
import { compileFabricRecord, createFabric, fabricRecords, instanceHost } from '../fabric/agent.ts';
import { l3Options } from '../l3/options.ts';
import { compileRouterRecord, createL3Part, l3Host, standaloneL3Options } from '../l3/standalone.ts';
import { createMetadataPart } from '../metadata/standalone.ts';

/** Roles that build something. The metadata agent only listens in what they built. */
export const BUILDERS: readonly Role[] = ['fabric', 'l3', 'dhcp'];
export const ROLES: readonly Role[] = [...BUILDERS, 'metadata'];

/** The parts of these roles for one process, and the options to remember with the deployment. */
export function createParts(
  site: Site,
  roles: readonly Role[],
): { parts: Part[]; options: Record<string, unknown> } {
  const parts: Part[] = [];
  const options: Record<string, unknown> = {};
  const add = (role: Role, create: () => { part: Part; options?: unknown }): void => {
    if (!roles.includes(role)) return;
    const created = create();
    parts.push(created.part);
    if (created.options !== undefined) options[role] = created.options;
  };
  add('fabric', () => ({ part: createFabric(site) }));
  add('l3', () => createL3Part(site));
  add('dhcp', () => createDhcpPart(site));
  add('metadata', () => createMetadataPart(site));
  return { parts, options };
}

export interface CompileContext {
  /** state directory of the deployment */
  readonly directory: string;
  readonly host: string;
  /** those in force when it was built, or would be built */
  readonly options: DeploymentFacts['options'];
}

/**
 * Rows of a record, by the agent that wrote it.
 * @throws Error if no agent knows that kind, or the record is not what it should be
 */
export function compileRecord(record: OwnerRecord, context: CompileContext): readonly RowGroup[] {
  const { directory, host, options } = context;
  const packageRoot = findPackageRoot();
  const groups =
    compileRouterRecord(record, l3Host(host, packageRoot), l3Options(optionsOf(options, 'l3'))) ??
    compileNetworkRecord(
      record,
      standaloneHost(host, packageRoot),
      dhcpOptions(optionsOf(options, 'dhcp')),
    ) ??
    compileFabricRecord(record, instanceHost({ directory, packageRoot }));
  if (!groups) throw new Error(`no agent knows what a record of kind ${JSON.stringify(record.kind)} is for`);
  return groups;
}

export function optionsOf(
  options: DeploymentFacts['options'],
  role: Role,
): Readonly<Record<string, unknown>> {
  const found = options[role];
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {};
}

/** What `viaduct up` would want of every agent, by owner, in the order of building. */
export async function wantedRecords(controller: Controller): Promise<Map<string, OwnerRecord>> {
  const records = fabricRecords(controller);
  for (const router of await controller.syncRouters())
    records.set(router.id, { kind: 'router', payload: router });
  for (const network of await controller.getActiveNetworksInfo())
    records.set(network.id, { kind: 'network', payload: network });
  return records;
}

/** Options `viaduct up` would use for this topology. */
export const wantedOptions = (controller: Controller, directory: string): DeploymentFacts['options'] => ({
  l3: standaloneL3Options(controller.topology.l3, directory),
  dhcp: standaloneDhcpOptions(controller.topology, directory),
});
