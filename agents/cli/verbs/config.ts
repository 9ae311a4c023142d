import { Command, Option } from 'commander';
import type { ConfigArgument } from '../../../lib/config/arguments.ts';
import { type ConfigReading, readConfig } from '../../../lib/config/load.ts';
import { optionLabel } from '../../../lib/config/option.ts';
import { type AgentName, agentNames } from '../../../lib/config/options/table.ts';
import { originText } from '../../../lib/config/problem.ts';
import { type EffectiveOption, isWithoutEffect } from '../../../lib/config/resolve.ts';
import { shown } from '../../../lib/config/secrets.ts';
import { exitCodes } from '../exit-codes.ts';
import { type Output, openOutput, paint, printable } from '../output.ts';
import { renderTable } from '../table.ts';

const HELP = `
Reads the files that the agents of a Neutron node read, and prints the value of every option that is set, with
the file and line it comes from; --all adds defaults and what has no effect here. Passwords are masked. Without
--config-file and --config-dir: Neutron's own places, /etc/neutron/neutron.conf and the agent's file. Options can
also be given as environment variables, OS_<SECTION>__<OPTION>. Nothing is changed.

Exit 0 when all values are good, 78 when something is wrong with them: each mistake is named with file and line.

Examples:
  viaduct config
  viaduct config --agent l3 --all
  viaduct config --agent dhcp --config-file /etc/neutron/neutron.conf --config-file dhcp_agent.ini
  viaduct config --json | jq '.agents.l3.options[] | select(.name == "agent_mode")'
`;

interface Flags {
  readonly agent?: AgentName;
  readonly all?: boolean;
  readonly json?: boolean;
}

export function config(): Command {
  // Files and directories are read in the order they are written, so that both flags fill one list.
  const given: ConfigArgument[] = [];
  const collect = (kind: 'file' | 'directory') => (path: string) => {
    given.push({ kind, path });
    return path;
  };
  return new Command('config')
    .description('print the effective configuration of the agents and where each value comes from')
    .addOption(new Option('--agent <name>', 'only this agent').choices(agentNames))
    .option('--config-file <path>', 'read this file; repeatable, the later wins', collect('file'))
    .option('--config-dir <path>', 'read its *.conf, sorted; repeatable', collect('directory'))
    .option('--all', 'also defaults, and options that have no effect here')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action((flags: Flags) => {
      process.exitCode = print(flags, given, openOutput(flags));
    });
}

function print(flags: Flags, given: readonly ConfigArgument[], output: Output): number {
  const names = flags.agent ? [flags.agent] : agentNames;
  const readings = names.map((agent) => ({ agent, reading: readConfig({ agent, given }) }));
  if (output.json) {
    const agents = readings.map(({ agent, reading }) => [agent, document(reading, flags.all === true)]);
    output.document({ agents: Object.fromEntries(agents) });
  } else {
    for (const [index, { agent, reading }] of readings.entries()) {
      if (index > 0) output.line();
      for (const line of lines(agent, reading, flags.all === true, output)) output.line(line);
    }
  }
  return readings.some(({ reading }) => reading.problems.length > 0) ? exitCodes.configuration : exitCodes.ok;
}

const isShown = (all: boolean) => {
  return ({ option, origin }: EffectiveOption) =>
    all || (option.unused === undefined && origin.kind !== 'default');
};

function document(reading: ConfigReading, all: boolean): unknown {
  return {
    files: reading.files,
    options: reading.effective.filter(isShown(all)).map(({ option, value, origin }) => ({
      group: option.group,
      name: option.name,
      value: shown(option, value),
      from: originText(origin),
      honoured: option.unused === undefined,
      ...(option.unused === undefined ? {} : { reason: option.unused }),
      help: option.help,
    })),
    problems: reading.problems,
    warnings: reading.warnings,
    without_effect: reading.effective.filter(isWithoutEffect).map(({ option, origin }) => ({
      group: option.group,
      name: option.name,
      from: originText(origin),
      reason: option.unused,
    })),
  };
}

function* lines(agent: AgentName, reading: ConfigReading, all: boolean, output: Output): Generator<string> {
  const files =
    reading.files.length === 0 ? 'no configuration file, defaults only' : reading.files.join(', ');
  yield `${paint(output.color, 'bold', `${agent} agent`)}: ${printable(files)}`;
  const chosen = reading.effective.filter(isShown(all));
  if (chosen.length > 0) {
    yield* renderTable(
      output,
      ['option', 'value', 'from'],
      chosen.map(({ option, value, origin }) => [
        optionLabel(option),
        valueText(shown(option, value)),
        option.unused === undefined
          ? originText(origin)
          : { text: `${originText(origin)}, without effect: ${option.unused}`, style: 'dim' },
      ]),
    );
  }
  const atDefault = reading.effective.filter(({ origin }) => origin.kind === 'default').length;
  if (!all) yield paint(output.color, 'dim', `${atDefault} options at their defaults (--all shows them)`);
  if (reading.withoutEffect !== undefined) yield printable(reading.withoutEffect);
  for (const warning of reading.warnings)
    yield `${paint(output.color, 'yellow', 'warning')}: ${printable(warning)}`;
  for (const { place, message } of reading.problems) {
    yield `${paint(output.color, 'red', 'error')}: ${printable(`${place}: ${message}`)}`;
  }
}

function valueText(value: EffectiveOption['value']): string {
  if (value === null) return '(not set)';
  if (value === '' || (Array.isArray(value) && value.length === 0)) return '(empty)';
  return Array.isArray(value) ? value.join(',') : String(value);
}
