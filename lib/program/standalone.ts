/** An agent's own program on a topology file. */
import { Command, CommanderError } from 'commander';
import { DEFAULT_ROOT } from '../standalone/deployment.ts';
import { problemText, TopologyError } from '../standalone/problem.ts';
import { runSite } from '../standalone/run.ts';
import { createLog } from '../telemetry/log.ts';
import { EXIT } from './exit-codes.ts';
import type { AgentProgram } from './program.ts';

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

function parse({ program, does, role }: AgentProgram, argv: readonly string[]): Flags {
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

/**
 * Runs until a signal, or once.
 * @returns the exit code; faults of the command line and of the topology are told on standard error
 */
export async function runStandalone(agent: AgentProgram, argv: readonly string[]): Promise<number> {
  try {
    return await run(agent, parse(agent, argv));
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (!(error instanceof TopologyError)) throw error;
    for (const problem of error.problems) process.stderr.write(`${problemText(problem)}\n`);
    return EXIT.topology;
  }
}

async function run(agent: AgentProgram, flags: Flags): Promise<number> {
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
