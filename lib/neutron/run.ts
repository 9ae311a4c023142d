/** An agent's own program on a Neutron node: Neutron's configuration files in, until a signal. */
import { parseConfigArguments } from '../config/arguments.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { type AgentName, optionsOf } from '../config/options/table.ts';
import { ConfigError } from '../config/problem.ts';
import type { Part } from '../process/agent-process.ts';
import { findPackageRoot, live, signalled } from '../process/life.ts';
import { takePrivileges } from '../process/privilege.ts';
import { createLog } from '../telemetry/log.ts';
import { NeutronNode } from './node.ts';

export interface NeutronAgent {
  readonly program: string;
  readonly agent: AgentName;
  /** the part, and the options to remember with the records (no secrets) */
  readonly create: (node: NeutronNode) => { part: Part; options: unknown };
}

/** The command line says something that no agent understands, or there is nothing to read. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/**
 * Resolves after a signal ended it.
 * @throws UsageError, ConfigError, NotPermitted, RoleTaken before anything was changed
 */
export async function runNeutronAgent(agent: NeutronAgent, argv: readonly string[]): Promise<void> {
  const started = performance.now();
  const ending = signalled();
  const config = configOf(agent.agent, argv);
  const { values } = config;
  const log = createLog({ program: agent.program, level: values.DEFAULT?.debug === true ? 'debug' : 'info' });
  log.info(`configuration: ${config.files.join(', ')}`);
  for (const warning of config.warnings) log.warn(warning);
  if (config.withoutEffect !== undefined) log.info(config.withoutEffect);
  takePrivileges(agent.agent);
  const node = await NeutronNode.open({
    program: agent.program,
    role: agent.agent,
    values,
    packageRoot: findPackageRoot(),
    log,
  });
  await live(node, {
    log,
    started,
    ending,
    once: false,
    async start() {
      const { part, options } = agent.create(node);
      await node.start(part, options);
    },
  });
}

function configOf(agent: AgentName, argv: readonly string[]): LoadedConfig {
  const { config, rest, problems } = parseConfigArguments(argv, optionsOf(agent));
  if (rest.length > 0) throw new UsageError(`unknown argument ${rest.join(' ')}: see --help`);
  if (problems.length > 0) throw new ConfigError(problems);
  const loaded = loadConfig({ agent, given: config });
  if (loaded.files.length === 0)
    throw new UsageError(
      'no configuration: give --config-file (Neutron) or --topology (without a server); see --help',
    );
  return loaded;
}
