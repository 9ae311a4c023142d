/** What JSON leaves as it is though terminals obey it or logs break at it: DEL, C1 controls, line separators. */
const OBEYED = /[\x7f-\x9f\u2028\u2029]/g;

/** A value as a message shows it: in one line, and nothing in it is obeyed by whatever displays it. */
export const quoted = (value: unknown): string =>
  (JSON.stringify(value) ?? String(value)).replace(
    OBEYED,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
