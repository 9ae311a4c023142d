/** Deployments as they lie on disk, opened without any agent: facts, records with their rows, who runs. */
import { hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { Records } from '../../lib/namespace/records.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import {
  type DeploymentFacts,
  deployments,
  type RunStatus,
  readFacts,
  runStatus,
} from '../../lib/standalone/deployment.ts';
import type { OwnerRecord } from '../../lib/standalone/site.ts';
import { compileRecord, ROLES } from './parts.ts';

/** A record and what it means. */
export interface Recorded {
  /** name of the record: router, network or instance id, or 'segment-' + network id */
  readonly owner: string;
  readonly record?: OwnerRecord;
  readonly groups: readonly RowGroup[];
  /** why there are no rows: the record is damaged */
  readonly damage?: string;
}

export interface Deployment {
  readonly directory: string;
  readonly facts: DeploymentFacts;
  readonly recorded: readonly Recorded[];
  readonly running: readonly RunStatus[];
}

/** All deployments of this host, by name. */
export const openDeployments = (root: string): Deployment[] => deployments(resolve(root)).map(openDeployment);

/** One bad record never hides the others. */
export function openDeployment(directory: string): Deployment {
  const facts = readFacts(directory) ?? {
    name: basename(directory),
    topology: 'unknown',
    host: hostname(),
    options: {},
  };
  const { found, damaged } = new Records(join(directory, 'records')).read();
  const context = { directory, host: facts.host, options: facts.options };
  const recorded: Recorded[] = [...found].map(([owner, value]) => {
    const record = value as OwnerRecord;
    try {
      return { owner, record, groups: compileRecord(record, context) };
    } catch (error) {
      return { owner, record, groups: [], damage: `its record can't be used: ${(error as Error).message}` };
    }
  });
  for (const [owner, damage] of damaged) recorded.push({ owner, groups: [], damage });
  return { directory, facts, recorded, running: runningRoles(directory) };
}

/** Who runs the roles of a deployment now. */
export const runningRoles = (directory: string): RunStatus[] =>
  ROLES.flatMap((role) => runStatus(directory, role) ?? []);
