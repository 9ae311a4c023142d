import type { ConfigProblem } from './problem.ts';

export interface Assignment {
  /** as written: `[ovs]` gives `ovs` */
  readonly section: string;
  readonly key: string;
  /** quotes around the first line removed, continuation lines joined with newlines */
  readonly value: string;
  /** 1-based, of the line with the key */
  readonly line: number;
}

export interface IniFile {
  readonly file: string;
  /** in the order of the file; a repeated key appears as often as it is written */
  readonly assignments: readonly Assignment[];
  readonly problems: readonly ConfigProblem[];
}

interface Open {
  readonly key: string;
  readonly line: number;
  readonly lines: string[];
}

/**
 * The text of an INI file as oslo.config reads it (`oslo_config/iniparser.py`, `cfg.py` ConfigParser):
 * a comment begins with `#` or `;` in the first column only, text after a value belongs to the value, an
 * indented line continues the value above (also if it looks like a comment), a blank line ends it.
 * Other than there, a byte order mark is skipped and reading goes on after a mistake, so that all are named.
 */
export function parseIni(text: string, file: string): IniFile {
  const assignments: Assignment[] = [];
  const problems: ConfigProblem[] = [];
  let section: string | undefined;
  let open: Open | undefined;
  // An indented line below a mistake belongs to the mistake.
  let broken = false;

  const report = (line: number, message: string): void => {
    problems.push({ place: `${file}:${line}`, message });
  };
  const close = (): void => {
    if (open === undefined) return;
    const { key, line, lines } = open;
    open = undefined;
    if (section === undefined) {
      report(line, `option ${key} stands before any section; write a line [DEFAULT] above it`);
    } else assignments.push({ section, key, value: lines.join('\n'), line });
  };

  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    const number = index + 1;
    const line = raw.trimEnd();
    if (line === '') {
      close();
    } else if (/^[ \t]/.test(line)) {
      if (open !== undefined) open.lines.push(line.trimStart());
      else if (!broken) report(number, 'an indented line continues a value, but there is none above it');
    } else {
      close();
      broken = false;
      if (line.startsWith('[')) {
        const name = sectionName(line);
        if (typeof name === 'string') section = name;
        else {
          report(number, name.problem);
          broken = true;
        }
      } else if (!/^[#;]/.test(line)) {
        const opened = openAssignment(line, number);
        if ('problem' in opened) {
          report(number, opened.problem);
          broken = true;
        } else open = opened;
      }
    }
  }
  close();
  return { file, assignments, problems };
}

function sectionName(line: string): string | { readonly problem: string } {
  if (!line.endsWith(']')) {
    return { problem: `section ${quoted(line)} must end with ]; a comment needs a line of its own` };
  }
  if (line.length <= 2) return { problem: 'the name of the section is empty' };
  return line.slice(1, -1);
}

function openAssignment(line: string, number: number): Open | { readonly problem: string } {
  const separator = line.search(/[:=]/);
  // The line itself is not shown: it may be half a password.
  if (separator < 0) return { problem: 'there is no = or : in this line; write option = value' };
  const key = line.slice(0, separator).trim();
  if (key === '') return { problem: 'there is no option name before the = or :' };
  return { key, line: number, lines: [unquoted(line.slice(separator + 1).trim())] };
}

/** One pair of equal quotes around the whole value is taken off. */
function unquoted(value: string): string {
  const first = value[0];
  return (first === '"' || first === "'") && value.at(-1) === first ? value.slice(1, -1) : value;
}

const quoted = (line: string): string => JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line);
