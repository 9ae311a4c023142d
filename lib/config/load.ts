import { availableParallelism, hostname } from 'node:os';
import type { ConfigArgument } from './arguments.ts';
import { type HostFacts, optionLabel } from './option.ts';
import { type AgentName, optionsOf } from './options/table.ts';
import { ConfigError, type ConfigProblem } from './problem.ts';
import { relationProblems } from './relations.ts';
import { type ConfigValues, type EffectiveOption, isWithoutEffect, resolveOptions } from './resolve.ts';
import { readSources } from './sources.ts';
import { unknownOptions, unknownWarning } from './unknown.ts';

export interface LoadedConfig {
  readonly values: ConfigValues;
  readonly effective: readonly EffectiveOption[];
  /** absolute paths of the files read, the weakest first */
  readonly files: readonly string[];
  /** for the log, one line each; unknown options are one line together */
  readonly warnings: readonly string[];
  /** options that are set but have no effect here, in one line for the log at level info */
  readonly withoutEffect: string | undefined;
}

export interface ConfigReading extends LoadedConfig {
  readonly problems: readonly ConfigProblem[];
}

export interface ConfigRequest {
  readonly agent: AgentName;
  /** from parseConfigArguments; without a file or directory in it Neutron's default places are read */
  readonly given?: readonly ConfigArgument[];
  /** default: of this process */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** default: of this machine */
  readonly facts?: HostFacts;
}

/** The configuration of an agent. @throws ConfigError naming all that is wrong, each with its place */
export function loadConfig(request: ConfigRequest): LoadedConfig {
  const { problems, ...loaded } = readConfig(request);
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}

/** The same with the problems beside the values, for looking at it. Values that are bad are absent. */
export function readConfig({
  agent,
  given = [],
  environment = process.env,
  facts,
}: ConfigRequest): ConfigReading {
  const { layers, files, problems } = readSources(agent, given);
  const resolution = resolveOptions({
    options: optionsOf(agent),
    layers,
    environment,
    facts: facts ?? { hostname: hostname(), cpus: availableParallelism() },
  });
  const inis = layers.flatMap((layer) => (layer.kind === 'file' ? [layer.ini] : []));
  const unknown = unknownWarning(unknownOptions(inis));
  return {
    values: resolution.values,
    effective: resolution.effective,
    files,
    warnings: [...(unknown === undefined ? [] : [unknown]), ...resolution.warnings],
    withoutEffect: withoutEffectText(resolution.effective),
    problems: [...problems, ...resolution.problems, ...relationProblems(resolution.effective)],
  };
}

function withoutEffectText(effective: readonly EffectiveOption[]): string | undefined {
  const byReason = new Map<string, string[]>();
  for (const { option } of effective.filter(isWithoutEffect)) {
    const reason = option.unused ?? '';
    byReason.set(reason, [...(byReason.get(reason) ?? []), optionLabel(option)]);
  }
  if (byReason.size === 0) return undefined;
  const each = [...byReason].map(([reason, names]) => `${names.join(', ')} (${reason})`);
  return `options without effect here: ${each.join('; ')}`;
}
