import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { ConfigArgument } from '../../../lib/config/arguments.ts';
import { loadConfig } from '../../../lib/config/load.ts';
import { ConfigError } from '../../../lib/config/problem.ts';
import { STATE_NAME } from '../../../lib/neutron/node.ts';
import { DEFAULT_ROOT, deployments } from '../../../lib/standalone/deployment.ts';
import { CommandFailure, exitCodes } from '../exit-codes.ts';
import { findOrphans, type Orphan, removeOrphan } from '../orphans.ts';
import { type Output, openOutput } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { orphansDocument, renderOrphans } from '../render/orphans.ts';

const HELP = `
Removes namespaces of routers and networks (qrouter-, qdhcp-, snat-, fip-) that no record of any deployment on this
host names and that nothing is in: no process, no device. A running agent removes such leftovers itself once its server
has listed everything; this is for a host whose agents or server are gone.

One that has processes or devices is named and kept; --force ends what runs in it and removes it. While Neutron's own
L3 or DHCP agent runs, what it may have built is kept in any case. Ports of Open vSwitch stay in its database.

Examples:
  viaduct gc --dry-run        what would go, what would stay, and why; exit 2 if anything would go
  viaduct gc --force          also those that something is in
`;

interface Flags {
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly stateDir: string;
}

export function gc(): Command {
  const given: ConfigArgument[] = [];
  const collect = (kind: 'file' | 'directory') => (path: string) => {
    given.push({ kind, path });
    return path;
  };
  return new Command('gc')
    .description('remove namespaces of routers and networks that nobody has any more')
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--force', 'also remove those with processes or devices in them')
    .option('--config-file <path>', "the agents' configuration; repeatable, the later wins", collect('file'))
    .option('--config-dir <path>', 'read its *.conf, sorted; repeatable', collect('directory'))
    .option('--state-dir <directory>', 'where deployments of topology files keep their state', DEFAULT_ROOT)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      process.exitCode = await run(flags, given);
    });
}

async function run(flags: Flags, given: readonly ConfigArgument[]): Promise<number> {
  const { statePath, suffix } = settings(given);
  requireRoot('gc');
  const output = openOutput(flags);
  const neutron = join(statePath, STATE_NAME);
  const directories = [...deployments(flags.stateDir), ...(existsSync(neutron) ? [neutron] : [])];
  const orphans = findOrphans(directories, suffix);
  const goes = ({ spared }: Orphan): boolean =>
    spared === undefined || (spared === 'use' && flags.force === true);
  if (!flags.dryRun) for (const orphan of orphans.filter(goes)) await removeOrphan(orphan);
  show(output, orphans, goes, flags.dryRun === true);
  return flags.dryRun && orphans.some(goes) ? exitCodes.changes : exitCodes.ok;
}

function show(
  output: Output,
  orphans: readonly Orphan[],
  goes: (orphan: Orphan) => boolean,
  dryRun: boolean,
): void {
  if (output.json) output.document(orphansDocument(orphans, goes, dryRun));
  else for (const line of renderOrphans(output, orphans, goes, dryRun)) output.line(line);
}

/** @throws CommandFailure naming what is wrong in the configuration */
function settings(given: readonly ConfigArgument[]): { statePath: string; suffix: string } {
  try {
    const { values } = loadConfig({ agent: 'l3', given });
    return {
      statePath: String(values.DEFAULT?.state_path),
      suffix: String(values.DEFAULT?.namespace_suffix ?? ''),
    };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CommandFailure(error.message, exitCodes.configuration);
  }
}
