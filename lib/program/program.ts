/** The command line of an agent's own program: Neutron's configuration files, or a topology file. */
import { ConfigError } from '../config/problem.ts';
import { type NeutronAgent, runNeutronAgent, UsageError } from '../neutron/run.ts';
import type { Part } from '../process/agent-process.ts';
import { NotPermitted } from '../process/privilege.ts';
import { RoleTaken } from '../process/roles.ts';
import type { Site } from '../standalone/site.ts';
import { EXIT } from './exit-codes.ts';

export interface AgentProgram {
  readonly program: string;
  /** one sentence for --help */
  readonly does: string;
  readonly role: NeutronAgent['agent'];
  readonly standalone: (site: Site) => { part: Part; options: unknown };
  readonly neutron: NeutronAgent['create'];
}

const STANDALONE = /^(--topology|--state-dir|--once|--help|-h)(=|$)/;

/** Sets the exit code. */
export async function runAgentProgram(agent: AgentProgram, argv = process.argv.slice(2)): Promise<void> {
  try {
    process.exitCode = argv.some((argument) => STANDALONE.test(argument))
      ? await standalone(agent, argv)
      : await neutron(agent, argv);
  } catch (error) {
    process.exitCode = explain(agent.program, error);
  }
}

async function neutron({ program, role, neutron: create }: AgentProgram, argv: readonly string[]) {
  await runNeutronAgent({ program, agent: role, create }, argv);
  return EXIT.ok;
}

/** Loaded only when it is wanted: the topology's parser and what belongs to it are half of an agent's start. */
async function standalone(agent: AgentProgram, argv: readonly string[]): Promise<number> {
  const { runStandalone } = await import('./standalone.ts');
  return runStandalone(agent, argv);
}

function explain(program: string, error: unknown): number {
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`);
    return EXIT.configuration;
  }
  const expected = [RoleTaken, UsageError, NotPermitted].some((known) => error instanceof known);
  const words = error instanceof Error ? (expected ? error.message : error.stack) : String(error);
  process.stderr.write(`${program}: ${words ?? ''}\n`);
  return error instanceof UsageError ? EXIT.usage : EXIT.failed;
}
