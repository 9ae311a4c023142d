import { type OptionDeclaration, optionLabel } from './option.ts';
import type { ConfigProblem } from './problem.ts';

/** One thing the command line says about the configuration. Their order matters: later ones win. */
export type ConfigArgument =
  | { readonly kind: 'file'; readonly path: string }
  /** all its *.conf, sorted */
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 'value';
      readonly flag: string;
      readonly group: string;
      readonly name: string;
      readonly text: string;
    };

export interface ParsedArguments {
  readonly config: readonly ConfigArgument[];
  /** what is not about the configuration, in its order */
  readonly rest: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

/**
 * Takes the flags of Neutron's agents from a command line, so that the arguments of a distribution's service
 * file can stay: `--config-file F`, `--config-dir D`, and the options that have a flag (`--log-file F`,
 * `--debug`, `--nodebug`…), each also as `--flag=value`.
 */
export function parseConfigArguments(
  argv: readonly string[],
  options: readonly OptionDeclaration[],
): ParsedArguments {
  const config: ConfigArgument[] = [];
  const rest: string[] = [];
  const problems: ConfigProblem[] = [];
  const flags = flagsOf(options);
  const remaining = [...argv];
  while (remaining.length > 0) {
    const argument = remaining.shift()!;
    if (argument === '--') {
      rest.push(argument, ...remaining);
      break;
    }
    const [, flag = argument, joined] = /^(--[^=]+)=(.*)$/s.exec(argument) ?? [];
    const option = flags.get(flag);
    const isPath = flag === '--config-file' || flag === '--config-dir';
    if (option?.fixed !== undefined && joined === undefined) {
      config.push({ kind: 'value', flag, group: option.group, name: option.name, text: option.fixed });
    } else if (isPath || (option && option.fixed === undefined)) {
      const text = joined ?? remaining.shift();
      if (text === undefined || text === '') {
        problems.push({
          place: flag,
          message: isPath ? 'needs a path' : `needs a value for ${option!.label}`,
        });
      } else if (isPath) {
        config.push({ kind: flag === '--config-file' ? 'file' : 'directory', path: text });
      } else config.push({ kind: 'value', flag, group: option!.group, name: option!.name, text });
    } else rest.push(argument);
  }
  return { config, rest, problems };
}

interface Flag {
  readonly group: string;
  readonly name: string;
  readonly label: string;
  /** the value of a flag that takes none */
  readonly fixed?: string;
}

function flagsOf(options: readonly OptionDeclaration[]): ReadonlyMap<string, Flag> {
  const flags = new Map<string, Flag>();
  for (const option of options) {
    const { group, name, flag, type } = option;
    if (flag === undefined) continue;
    const base = { group, name, label: optionLabel(option) };
    flags.set(flag, type.kind === 'boolean' ? { ...base, fixed: 'true' } : base);
    if (type.kind === 'boolean') flags.set(flag.replace('--', '--no'), { ...base, fixed: 'false' });
  }
  return flags;
}
