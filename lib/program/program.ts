/** The command line of an agent's own program: Neutron's configuration files, or a topology file. */
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/problem.ts';
import { type NeutronAgent, runNeutronAgent, UsageError } from '../neutron/run.ts';
import type { Part } from '../process/agent-process.ts';
import { RoleTaken } from '../process/roles.ts';
import { DEFAULT_ROOT } from '../standalone/deployment.ts';
import { problemText, TopologyError } from '../standalone/problem.ts';
import { runSite } from '../standalone/run.ts';
import type { Site } from '../standalone/site.ts';
import { createLog } from '../telemetry/log.ts';

export interface AgentProgram {
  readonly program: string;
  /** one sentence for --help */
  readonly does: string;
  readonly role: NeutronAgent['agent'];
  readonly standalone: (site: Site) => { part: Part; options: unknown };
  readonly neutron: NeutronAgent['create'];
}

/** As sysexits.h has them: 64 usage, 65 data, 78 configuration. */
const EXIT = { ok: 0, failed: 1, usage: 64, topology: 65, configuration: 78 };

interface Flags {
  readonly topology: string;
  readonly stateDir: string;
  readonly once?: boolean;
  readonly debug?: boolean;
}

const helpText = (program: string, role: string): string => `
With a neutron-server, all is in Neutron's own files; its command lines work as they are:
  --config-file <file>  read this file; repeatable, the later wins
  --config-dir <dir>    read its *.conf, sorted
  --debug, --nodebug    overrides the files
Without any argument Neutron's own places are read: /etc/neutron/neutron.conf and the agent's file.

Stops at SIGTERM; everything it built stays and is adopted at the next start.

Examples:
  ${program} --config-file /etc/neutron/neutron.conf --config-file /etc/neutron/${role}_agent.ini
  ${program} --topology net.yaml          stay, repair drift, follow edits of the file
  ${program} --topology net.yaml --once   build, wait until all is done, end (exit 1 if something could not be)
`;

function parseStandalone({ program, does, role }: AgentProgram, argv: readonly string[]): Flags {
  const command = new Command(program)
    .description(does)
    .requiredOption('--topology <file>', 'topology file (YAML): work without a server')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .option('--once', 'build once and end')
    .option('--debug', 'log more')
    .addHelpText('after', helpText(program, role))
    .exitOverride();
  command.parse(argv, { from: 'user' });
  return command.opts<Flags>();
}

const STANDALONE = /^(--topology|--state-dir|--once|--help|-h)(=|$)/;

/**
 * Sets the exit code: 0 ended as asked, 1 something is not as wanted, 64 usage, 65 the topology has errors, 78 the
 * configuration has.
 */
export async function runAgentProgram(agent: AgentProgram, argv = process.argv.slice(2)): Promise<void> {
  try {
    if (argv.some((argument) => STANDALONE.test(argument))) process.exitCode = await standalone(agent, argv);
    else {
      await runNeutronAgent({ program: agent.program, agent: agent.role, create: agent.neutron }, argv);
      process.exitCode = EXIT.ok;
    }
  } catch (error) {
    process.exitCode = explain(agent.program, error);
  }
}

async function standalone(agent: AgentProgram, argv: readonly string[]): Promise<number> {
  const flags = parseStandalone(agent, argv);
  const log = createLog({ program: agent.program, level: flags.debug ? 'debug' : 'info' });
  const problems = await runSite({
    file: flags.topology,
    root: flags.stateDir,
    roles: [agent.role],
    log,
    once: flags.once === true,
    parts: (site) => {
      const { part, options } = agent.standalone(site);
      return { parts: [part], options: { [agent.role]: options } };
    },
  });
  for (const [owner, problem] of Object.entries(problems)) log.error({ owner }, problem);
  return flags.once && Object.keys(problems).length > 0 ? EXIT.failed : EXIT.ok;
}

function explain(program: string, error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof TopologyError) {
    for (const problem of error.problems) process.stderr.write(`${problemText(problem)}\n`);
    return EXIT.topology;
  }
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return EXIT.configuration;
  }
  const expected = error instanceof RoleTaken || error instanceof UsageError;
  const text = expected ? error.message : error instanceof Error ? (error.stack ?? '') : String(error);
  process.stderr.write(`${program}: ${text}\n`);
  return error instanceof UsageError ? EXIT.usage : EXIT.failed;
}
