import { Command } from 'commander';
import { type Topology, TopologyError } from '../../../lib/standalone/topology.ts';
import { exitCodes } from '../exit-codes.ts';
import { type Output, openOutput, printable } from '../output.ts';
import { renderProblems } from '../render/problems.ts';
import { readTopologyFile } from '../topology-file.ts';

const HELP = `
Every mistake is reported at once, as file:line:column, with what to do about it. Nothing on this host is
looked at or changed. Exit 0 when the file is good, 65 when it is not.

Examples:
  viaduct validate net.yaml
  viaduct validate --json net.yaml | jq '.problems[].line'
`;

export function validate(): Command {
  return new Command('validate')
    .description('check a topology file and report every mistake in it')
    .argument('<file>', 'topology file (YAML)')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action((file: string, options: { json?: boolean }) => {
      process.exitCode = check(file, openOutput(options));
    });
}

function check(file: string, output: Output): number {
  try {
    const topology = readTopologyFile(file);
    if (output.json) output.document({ valid: true, counts: countsOf(topology), problems: [] });
    else output.line(`${printable(file)} is valid: ${summary(topology)}`);
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    if (output.json) output.document({ valid: false, problems: error.problems });
    else for (const line of renderProblems(output, error.problems)) output.line(line);
    return exitCodes.topology;
  }
}

function countsOf(topology: Topology): Readonly<Record<string, number>> {
  return {
    networks: topology.networks.length,
    routers: topology.routers.length,
    instances: topology.instances.length,
    floating_ips: topology.floating_ips.length,
  };
}

function summary(topology: Topology): string {
  return Object.entries(countsOf(topology))
    .map(
      ([plural, n]) =>
        `${n} ${(n === 1 ? plural.slice(0, -1) : plural).replace('_', ' ').replace('ip', 'IP')}`,
    )
    .join(', ');
}
