/** Deployments as they lie on disk, opened without any agent: facts, records with their rows, who runs. */
import { hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Reconciler } from '../../lib/namespace/reconciler.ts';
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
import { CommandFailure } from './exit-codes.ts';
import { compileRecord, ROLES } from './parts.ts';

/** A record and what it means. */
export interface Recorded {
  /** name of the record: router, network or instance id, or 'segment-' + network id */
  readonly owner: string;
  readonly record?: OwnerRecord;
  readonly groups: readonly RowGroup[];
  /** rows of an earlier state whose removal was interrupted */
  readonly leaving?: RowGroup;
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
  const records = new Records(join(directory, 'records'));
  const { found, damaged } = readRecords(records);
  const context = { directory, host: facts.host, options: facts.options };
  const recorded: Recorded[] = [...found].map(([owner, value]) => {
    const record = value as OwnerRecord;
    try {
      return { owner, record, groups: compileRecord(record, context), leaving: records.leaving(owner) };
    } catch (error) {
      return { owner, record, groups: [], damage: `its record can't be used: ${(error as Error).message}` };
    }
  });
  for (const [owner, damage] of damaged) recorded.push({ owner, groups: [], damage });
  return { directory, facts, recorded, running: runningRoles(directory) };
}

function readRecords(records: Records): ReturnType<Records['read']> {
  try {
    return records.read();
  } catch (error) {
    throw new CommandFailure(`cannot read the records in ${records.directory}: ${(error as Error).message}`);
  }
}

/** Has a reconciler know what is wanted, and what was until now. */
export function recall(reconciler: Reconciler, { owner, groups, leaving = [] }: Recorded): void {
  if (leaving.length > 0) reconciler.setDesired(owner, [leaving, ...groups]);
  reconciler.setDesired(owner, groups);
}

/** Who runs the roles of a deployment now. */
export const runningRoles = (directory: string): RunStatus[] =>
  ROLES.flatMap((role) => runStatus(directory, role) ?? []);
