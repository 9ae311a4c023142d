import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import type { ConfigArgument } from '../../../lib/config/arguments.ts';
import { loadConfig } from '../../../lib/config/load.ts';
import { type AgentName, agentNames } from '../../../lib/config/options/table.ts';
import { ConfigError } from '../../../lib/config/problem.ts';
import { STATE_NAME } from '../../../lib/neutron/node.ts';
import { openDeployment } from '../deployment.ts';
import { CommandFailure, exitCodes } from '../exit-codes.ts';
import { type Output, openOutput } from '../output.ts';
import type { Plan } from '../planned.ts';
import { requireRoot } from '../privilege.ts';
import { type Progress, showProgress } from '../progress.ts';
import { planRelease, type Released, release as releaseNode } from '../release.ts';
import { planDocument, renderPlan } from '../render/plan.ts';
import { releaseDocument, renderRelease } from '../render/release.ts';

const HELP = `
Gives this node back to Neutron's agents. What they look for is where they look: namespaces, devices, addresses and
routes stay untouched; each router gets the iptables rules Neutron's L3 agent would write, and only then our nftables
table goes, so that no connection is lost; dnsmasq and radvd go on running with their files and pid files. What
Viaduct remembered of the node (state_path/viaduct) is removed.

Agents of ours that still run are ended first; they must not be started again (systemctl disable --now
viaduct-l3-agent …). Afterwards start Neutron's, with the same configuration files. Metadata is not answered between
the two. The other way needs no command: stop Neutron's agents, start Viaduct's.

What could not be given back is named, exit 1, and stays on record: run it again. Repeating it does no harm.

Examples:
  viaduct release                                    all three agents, Neutron's own places for their files
  viaduct release --dry-run                          show every change, make none; exit 2 if there is any
  viaduct release --agent l3                         only the L3 agent: routers
  viaduct release --config-file /etc/neutron/neutron.conf && systemctl start neutron-l3-agent
`;

interface Flags {
  readonly agent?: AgentName;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

export function release(): Command {
  const given: ConfigArgument[] = [];
  const collect = (kind: 'file' | 'directory') => (path: string) => {
    given.push({ kind, path });
    return path;
  };
  return new Command('release')
    .description("give this node back to Neutron's agents, without losing a packet")
    .addOption(new Option('--agent <name>', 'only what this agent built').choices(agentNames))
    .option('--config-file <path>', "the agents' configuration; repeatable, the later wins", collect('file'))
    .option('--config-dir <path>', 'read its *.conf, sorted; repeatable', collect('directory'))
    .option('--dry-run', 'show what would be done, and do nothing')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action(async (flags: Flags) => {
      process.exitCode = await run(flags, given);
    });
}

const silent: Progress = { step: async (_title, work) => work() };

async function run(flags: Flags, given: readonly ConfigArgument[]): Promise<number> {
  const agents = flags.agent ? [flags.agent] : agentNames;
  const directories = [...new Set(agents.map((agent) => stateDirectory(agent, given)))];
  requireRoot('release');
  const output = openOutput(flags);
  const known = directories.filter((directory) => existsSync(join(directory, 'deployment.json')));
  if (known.length === 0 && !output.json)
    output.line(`nothing to give back: Viaduct's agents have nothing in ${directories.join(', ')}`);
  if (flags.dryRun) return await dryRun(known, agents, output);
  const progress = output.json ? silent : showProgress(output);
  const results: Released[] = [];
  for (const directory of known) results.push(await releaseNode({ directory, agents }, progress));
  if (output.json) output.document(releaseDocument(results));
  else for (const line of renderRelease(output, results)) output.line(line);
  const failed = results.some(({ given: all }) => all.some(({ problems }) => problems.length > 0));
  return failed ? exitCodes.failed : exitCodes.ok;
}

/** Where an agent keeps its records. @throws CommandFailure naming what is wrong in its configuration */
function stateDirectory(agent: AgentName, given: readonly ConfigArgument[]): string {
  try {
    const { values } = loadConfig({ agent, given });
    return join(String(values.DEFAULT?.state_path), STATE_NAME);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new CommandFailure(error.message, exitCodes.configuration);
  }
}

async function dryRun(
  directories: readonly string[],
  agents: readonly AgentName[],
  output: Output,
): Promise<number> {
  const plans: Plan[] = [];
  for (const directory of directories) {
    const deployment = openDeployment(directory);
    const all = await planRelease(deployment, agents);
    const owners = all.filter(({ steps, unreadable }) => steps.length > 0 || unreadable !== undefined);
    plans.push({ deployment: deployment.facts.name, owners });
  }
  if (output.json) output.document({ plans: plans.map(planDocument) });
  else for (const plan of plans) for (const line of renderPlan(output, plan)) output.line(line);
  const changes = plans.some(({ owners }) => owners.some(({ steps }) => steps.length > 0));
  return changes ? exitCodes.changes : exitCodes.ok;
}
