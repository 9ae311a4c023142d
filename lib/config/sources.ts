/** Reads configuration files. The only file of lib/config that touches the disk. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { ConfigArgument } from './arguments.ts';
import type { AgentName } from './options/table.ts';
import { type IniFile, parseIni } from './parser.ts';
import type { ConfigProblem } from './problem.ts';

/** Where values come from, the weakest first. */
export type Layer =
  | { readonly kind: 'file'; readonly ini: IniFile }
  | Extract<ConfigArgument, { readonly kind: 'value' }>;

export interface Sources {
  readonly layers: readonly Layer[];
  /** absolute paths of the files read, in that order */
  readonly files: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

/**
 * Reads what the arguments name, in their order. A file or directory that is named must be there; of
 * Neutron's default places (without any --config-file and --config-dir) those are read that exist.
 */
export function readSources(agent: AgentName, given: readonly ConfigArgument[]): Sources {
  const named = given.some(({ kind }) => kind !== 'value');
  const layers: Layer[] = [];
  const files: string[] = [];
  const problems: ConfigProblem[] = [];

  const read = (path: string): void => {
    try {
      const ini = parseIni(readFileSync(path, 'utf8'), path);
      files.push(path);
      problems.push(...ini.problems);
      layers.push({ kind: 'file', ini });
    } catch (error) {
      problems.push({ place: path, message: reason(error, 'configuration file') });
    }
  };
  for (const argument of named ? given : [...defaultArguments(agent), ...given]) {
    if (argument.kind === 'value') layers.push(argument);
    else if (argument.kind === 'file') read(absolute(argument.path));
    else {
      const directory = absolute(argument.path);
      try {
        for (const name of configNames(directory)) read(join(directory, name));
      } catch (error) {
        problems.push({ place: directory, message: reason(error, 'configuration directory') });
      }
    }
  }
  return { layers, files, problems };
}

/** `*.conf` as glob and sort give them in Python: no hidden ones, by code point. */
function configNames(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.conf') && !name.startsWith('.'))
    .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/**
 * What the service files of the distributions pass, of which `root` ('/' but in tests) has something:
 * Debian and Ubuntu: neutron.conf, agent.conf.d (L3 only), the agent's file. RDO (known by its
 * neutron-dist.conf): l3_agent.ini comes before neutron.conf, the others' files after it, then conf.d.
 */
export function defaultArguments(agent: AgentName, root = '/'): readonly ConfigArgument[] {
  const share = join(root, 'usr/share/neutron');
  const etc = join(root, 'etc/neutron');
  const main: ConfigArgument = { kind: 'file', path: join(etc, 'neutron.conf') };
  const own: ConfigArgument = { kind: 'file', path: join(etc, `${agent}_agent.ini`) };
  const dist = join(share, 'neutron-dist.conf');
  const candidates: readonly ConfigArgument[] = existsSync(dist)
    ? [
        { kind: 'file', path: dist },
        ...(agent === 'l3' ? [own, main] : [main, own]),
        { kind: 'directory', path: join(etc, 'conf.d/common') },
        { kind: 'directory', path: join(etc, `conf.d/neutron-${agent}-agent`) },
      ]
    : [
        main,
        ...(agent === 'l3' ? [{ kind: 'directory' as const, path: join(etc, 'agent.conf.d') }] : []),
        own,
      ];
  return candidates.filter((argument) => argument.kind !== 'value' && existsSync(argument.path));
}

const absolute = (path: string): string => resolve(path.replace(/^~(?=\/|$)/, () => homedir()));

function reason(error: unknown, what: string): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'ENOENT') return `there is no such ${what}; correct the path or create it`;
  if (code === 'EACCES') return `this ${what} may not be read; give the agent's user permission`;
  return `this ${what} cannot be read: ${code}`;
}
