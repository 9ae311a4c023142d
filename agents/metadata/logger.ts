/** What this agent needs of a logger; a pino logger is one. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

const MAX_SUBJECTS = 256;

/**
 * Lets one message per `subject` through in `milliseconds`, with the number of those held back: instances
 * can provoke errors at will, and must not be able to fill the host's log.
 */
export function createThrottle(
  milliseconds: number,
): (subject: string) => { readonly held: number } | undefined {
  const subjects = new Map<string, { since: number; held: number }>();
  return (subject) => {
    const now = Date.now();
    const last = subjects.get(subject);
    if (last && now - last.since < milliseconds) {
      last.held += 1;
      return undefined;
    }
    // Subjects hold error texts, of which there may be any number.
    if (subjects.size >= MAX_SUBJECTS) subjects.clear();
    subjects.set(subject, { since: now, held: 0 });
    return { held: last?.held ?? 0 };
  };
}
