import { nearest } from '../standalone/problem.ts';
import { normalGroup, type OptionDeclaration, optionLabel } from './option.ts';
import { knownSections, ownerElsewhere } from './options/elsewhere.ts';
import { removedOption } from './options/removed.ts';
import { allOptions } from './options/table.ts';
import type { IniFile } from './parser.ts';

export interface UnknownOption {
  readonly section: string;
  /** absent: the whole section is unknown */
  readonly name?: string;
  readonly file: string;
  readonly line: number;
  /** what may have been meant, or what became of it */
  readonly hint?: string;
}

/**
 * Options in the files that no agent and no other program around Neutron has, with what may have been meant:
 * a slip of the pen, the wrong section, or `[default]` for `[DEFAULT]`. An unknown section is named once.
 */
export function unknownOptions(files: readonly IniFile[]): UnknownOption[] {
  const known = new Map<string, OptionDeclaration[]>();
  for (const option of allOptions) {
    for (const { group = option.group, name = option.name } of [{}, ...option.formerly]) {
      const section = normalGroup(group);
      known.set(section, [...(known.get(section) ?? []), { ...option, group, name }]);
    }
  }
  const unknown: UnknownOption[] = [];
  const sections = new Set<string>();
  for (const { file, assignments } of files) {
    for (const { section, key: name, line } of assignments) {
      const here = known.get(normalGroup(section));
      if (here?.some((option) => option.name === name) || ownerElsewhere(section, name)) continue;
      if (here)
        unknown.push({
          section,
          name,
          file,
          line,
          hint: removedOption(section, name) ?? hintFor(name, here),
        });
      else if (!sections.has(section)) {
        sections.add(section);
        unknown.push({ section, file, line, hint: sectionHint(section, [...known.keys()]) });
      }
    }
  }
  return unknown;
}

function hintFor(name: string, here: readonly OptionDeclaration[]): string | undefined {
  const elsewhere = allOptions.find((option) => option.name === name);
  if (elsewhere) return `it belongs in [${elsewhere.group}]`;
  const guess = nearest(
    name.replaceAll('-', '_'),
    here.map((option) => option.name),
  );
  if (guess !== undefined) return `did you mean ${guess}?`;
  const far = nearest(
    name,
    allOptions.map((option) => option.name),
  );
  const option = allOptions.find((candidate) => candidate.name === far);
  return option && `did you mean ${optionLabel(option)}?`;
}

function sectionHint(section: string, known: readonly string[]): string | undefined {
  if (section.trim().toUpperCase() === 'DEFAULT') return 'write [DEFAULT], in capitals and without spaces';
  const guess = nearest(section, [...known, ...knownSections()]);
  return guess === undefined ? undefined : `did you mean [${guess}]?`;
}

/** All unknown options in one line, or undefined. */
export function unknownWarning(unknown: readonly UnknownOption[]): string | undefined {
  if (unknown.length === 0) return undefined;
  const each = unknown.map(({ section, name, file, line, hint }) => {
    const what = name === undefined ? `section [${section}]` : `[${section}] ${name}`;
    return `${what} (${file}:${line}${hint === undefined ? '' : `; ${hint}`})`;
  });
  return `unknown options are ignored: ${each.join(', ')}`;
}
