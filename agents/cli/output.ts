/** Where the result of a command goes, and how it may look there. */
export interface Output {
  /** characters per line; Infinity when nobody looks at it */
  readonly width: number;
  readonly color: boolean;
  readonly json: boolean;
  /** Writes a line of the result to standard output. */
  line(text?: string): void;
  /** Writes the result as JSON, the stable form for programs. */
  document(value: unknown): void;
  /** Writes a remark to standard error, which is not part of the result. */
  note(text: string): void;
}

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

const CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** The part of a stream that matters here, so that tests can have their own. */
export interface Sink {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

interface Settings {
  readonly json?: boolean;
  readonly stdout?: Sink;
  readonly stderr?: Sink;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Colour only on a terminal, never with NO_COLOR (https://no-color.org) or TERM=dumb; lines are cut to the
 * width only on a terminal, so that pipes get everything.
 */
export function openOutput(settings: Settings = {}): Output {
  const { json = false, stdout = process.stdout, stderr = process.stderr, env = process.env } = settings;
  const terminal = stdout.isTTY === true;
  return {
    json,
    width: terminal ? stdout.columns || 80 : Number.POSITIVE_INFINITY,
    color: terminal && !json && !env.NO_COLOR && env.TERM !== 'dumb',
    line: (text = '') => {
      stdout.write(`${text}\n`);
    },
    document: (value) => {
      stdout.write(`${JSON.stringify(value, null, 2)}\n`);
    },
    note: (text) => {
      stderr.write(`${text}\n`);
    },
  };
}

export function paint(color: boolean, style: Style, text: string): string {
  return color ? `\u001b[${CODES[style]}m${text}\u001b[0m` : text;
}

/** Makes text from outside (names in a topology, words of the kernel) harmless on a terminal. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}
