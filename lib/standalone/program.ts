/** The command line of an agent's own program: one role of a topology file. */
import { Command, CommanderError } from 'commander';
import { createLog } from '../telemetry/log.ts';
import { DEFAULT_ROOT, type Role, RoleTaken } from './deployment.ts';
import { problemText, TopologyError } from './problem.ts';
import { runSite } from './run.ts';
import type { Part, Site } from './site.ts';

export interface AgentProgram {
  readonly program: string;
  /** one sentence for --help */
  readonly does: string;
  readonly role: Role;
  readonly create: (site: Site) => { part: Part; options: unknown };
}

const EXIT = { ok: 0, failed: 1, usage: 64, topology: 65 };

interface Flags {
  readonly topology: string;
  readonly stateDir: string;
  readonly once?: boolean;
  readonly debug?: boolean;
}

const helpText = (program: string): string => `
Stops at SIGTERM; everything it built stays and is adopted at the next start.

Examples:
  ${program} --topology net.yaml          stay, repair drift, follow edits of the file
  ${program} --topology net.yaml --once   build, wait until all is done, end (exit 1 if something could not be)
`;

function parse({ program, does }: AgentProgram, argv: readonly string[]): Flags {
  const command = new Command(program)
    .description(does)
    .requiredOption('--topology <file>', 'topology file (YAML)')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .option('--once', 'build once and end')
    .option('--debug', 'log more')
    .addHelpText('after', helpText(program))
    .exitOverride();
  command.parse(argv, { from: 'user' });
  return command.opts<Flags>();
}

/** Sets the exit code: 0 ended as asked, 1 something is not as wanted, 64 usage, 65 the file has errors. */
export async function runAgentProgram(agent: AgentProgram): Promise<void> {
  try {
    const flags = parse(agent, process.argv.slice(2));
    const log = createLog({ program: agent.program, level: flags.debug ? 'debug' : 'info' });
    const problems = await runSite({
      file: flags.topology,
      root: flags.stateDir,
      roles: [agent.role],
      log,
      once: flags.once === true,
      parts: (site) => {
        const { part, options } = agent.create(site);
        return { parts: [part], options: { [agent.role]: options } };
      },
    });
    for (const [owner, problem] of Object.entries(problems)) log.error({ owner }, problem);
    process.exitCode = flags.once && Object.keys(problems).length > 0 ? EXIT.failed : EXIT.ok;
  } catch (error) {
    process.exitCode = explain(agent.program, error);
  }
}

function explain(program: string, error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof TopologyError) {
    for (const problem of error.problems) process.stderr.write(`${problemText(problem)}\n`);
    return EXIT.topology;
  }
  const text =
    error instanceof RoleTaken ? error.message : error instanceof Error ? (error.stack ?? '') : String(error);
  process.stderr.write(`${program}: ${text}\n`);
  return EXIT.failed;
}
