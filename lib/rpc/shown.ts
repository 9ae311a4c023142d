const MOST = 80;

/** A value from outside for people, as far as it fits into a log line; whatever it is. */
export function shown(value: unknown): string {
  try {
    const text = JSON.stringify(typeof value === 'string' ? value.slice(0, MOST) : value) ?? 'nothing';
    return text.slice(0, MOST);
  } catch {
    return 'something nested too deep to show';
  }
}
