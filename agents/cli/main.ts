#!/usr/bin/env -S node --max-semi-space-size=4
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { TopologyError } from '../../lib/standalone/problem.ts';
import { CommandFailure, exitCodes } from './exit-codes.ts';
import { openOutput } from './output.ts';
import { renderProblems } from './render/problems.ts';
import { verbs } from './verbs.ts';

const EXAMPLES = `
Examples:
  viaduct validate net.yaml          find every mistake in a topology file, change nothing
  viaduct plan net.yaml              show what would change on this host; exit 2 if anything would
  viaduct up net.yaml                build it, keep it so, follow edits of the file
  viaduct ls                         one line per router, network and instance
  viaduct show 203.0.113.10          what should be, beside what is: for a name, id, address or MAC
  viaduct diff --exit-code           where the kernel differs from what should be
  viaduct exec r1 -- ip route        run a command in the namespace of a router or network
  viaduct events r1 --since 10m      what was changed when and why
  viaduct down net.yaml              remove everything again
  viaduct release                    give this node back to Neutron's agents
  viaduct gc --dry-run               namespaces that nobody has any more, and why

Exit codes:
  0  done        1  failed        2  something to change (plan, diff --exit-code, --dry-run)
  64 wrong usage   65 the topology file has errors   78 the agents' configuration has errors
`;

function program(): Command {
  const command = new Command('viaduct')
    .description('Routers, NAT, DHCP and metadata on this host: build them, look at them, compare them.')
    .version(version(), '-V, --version')
    .helpCommand(true)
    .showHelpAfterError('(viaduct --help shows the verbs)')
    .configureHelp({ sortSubcommands: false })
    .addHelpText('after', EXAMPLES);
  for (const verb of verbs) command.addCommand(verb());
  for (const each of [command, ...command.commands]) each.exitOverride();
  return command;
}

function version(): string {
  // Two levels up in the sources, three in dist/.
  for (const place of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as {
        name: string;
        version: string;
      };
      if (name === 'viaduct') return version;
    } catch {
      // Not here: try the next place.
    }
  }
  return 'unknown';
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    await program().parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? exitCodes.ok);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (error instanceof TopologyError) {
      const output = openOutput();
      for (const line of renderProblems({ color: false }, error.problems)) output.note(line);
      return exitCodes.topology;
    }
    if (error instanceof CommandFailure) {
      process.stderr.write(`viaduct: ${error.message}\n`);
      return error.exitCode;
    }
    process.stderr.write(
      `viaduct: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return exitCodes.failed;
  }
}

// "viaduct ls | head": who reads has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

process.exitCode = await main(process.argv.slice(2));
