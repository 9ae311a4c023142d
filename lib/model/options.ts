/** Options as they come from configuration files, read into what an agent works with. Pure. */
import { Invalid, type Reader } from './reader.ts';

export interface OptionsSubject {
  /** first words of an error: 'L3 option ' */
  readonly subject: string;
  /** options whose values are secret, or all: errors do not show them */
  readonly secret?: readonly string[] | 'all';
}

/** @throws TypeError naming option, value and what is wrong with it */
export function readOptions<T>(
  reader: Reader<T>,
  given: Readonly<Record<string, unknown>>,
  { subject, secret = [] }: OptionsSubject,
): T {
  try {
    return reader(given);
  } catch (error) {
    if (!(error instanceof Invalid)) throw error;
    const name = String(error.path[0] ?? 'options');
    const hidden = secret === 'all' || secret.includes(name);
    throw new TypeError(
      `${subject}${name}${hidden ? '' : ` = ${JSON.stringify(given[name])}`}: ${error.problem}`,
    );
  }
}
