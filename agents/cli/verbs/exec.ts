import { constants } from 'node:os';
import { Command } from 'commander';
import { execa } from 'execa';
import { inNamespace, namespaceExists } from '../../../lib/kernel/netns.ts';
import { DEFAULT_ROOT } from '../../../lib/standalone/deployment.ts';
import { CommandFailure } from '../exit-codes.ts';
import { printable } from '../output.ts';
import { requireRoot } from '../privilege.ts';
import { resolveThing } from '../resolve.ts';

const HELP = `
Runs a command in the network namespace of a router, network or instance (or of whatever has the port, address
or MAC that is named). It has your terminal, and its exit code is passed on: 126 when it may not be run,
127 when there is no such command.

Examples:
  viaduct exec r1 -- ip route
  viaduct exec vm-a -- ping -c1 10.0.0.1
  viaduct exec 203.0.113.10 -- tcpdump -ni any icmp
  viaduct exec r1 -- bash
`;

interface Flags {
  readonly stateDir: string;
}

export function exec(): Command {
  return new Command('exec')
    .description('run a command in the namespace of a router, network or instance')
    .argument('<name>', 'any name show takes')
    .argument('<command...>', 'the command and its arguments, after --')
    .option('--state-dir <directory>', 'where deployments keep their state', DEFAULT_ROOT)
    .addHelpText('after', HELP)
    .action(async (name: string, command: string[], flags: Flags) => {
      requireRoot('exec');
      process.exitCode = await run(name, command, flags);
    });
}

async function run(name: string, argv: readonly string[], { stateDir }: Flags): Promise<number> {
  const { thing } = resolveThing(stateDir, name);
  const { namespace, holder, holderName } = thing;
  const subject = `${holder.split(' ')[0]} ${printable(holderName)}`;
  if (namespace === '')
    throw new CommandFailure(`${subject} has no namespace of its own on this host: run the command as it is`);
  if (!namespaceExists(namespace))
    throw new CommandFailure(`${subject} has no namespace now (${namespace}): "viaduct up" builds it again`);
  return runInside(namespace, argv);
}

const SHELL_NOT_EXECUTABLE = 126;
const SHELL_NOT_FOUND = 127;
const SHELL_SIGNALLED = 128;

/** The child is born where the thread is; the terminal's signals go to it, and this process waits for it. */
async function runInside(namespace: string, argv: readonly string[]): Promise<number> {
  const [program, ...args] = argv;
  const ignore = (): void => {};
  for (const name of ['SIGINT', 'SIGQUIT'] as const) process.on(name, ignore);
  const { child } = inNamespace(namespace, () => ({
    child: execa(program!, args, { stdio: 'inherit', reject: false }),
  }));
  for (const name of ['SIGTERM', 'SIGHUP'] as const) process.on(name, () => child.kill(name));
  const { exitCode, signal, code, shortMessage } = await child;
  if (exitCode !== undefined) return exitCode;
  if (signal !== undefined) return SHELL_SIGNALLED + constants.signals[signal as NodeJS.Signals];
  const missing = code === 'ENOENT';
  const why = missing
    ? `there is no command ${printable(program!)}`
    : (shortMessage ?? `cannot run ${program}`);
  throw new CommandFailure(why, missing ? SHELL_NOT_FOUND : SHELL_NOT_EXECUTABLE);
}
