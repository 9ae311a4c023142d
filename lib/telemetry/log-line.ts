/** Level names of oslo.log, which operators filter by. */
const LEVELS: Readonly<Record<string, string>> = {
  trace: 'DEBUG',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARNING',
  error: 'ERROR',
  fatal: 'CRITICAL',
};

/** Fields that have a place of their own in the line. */
const PLACED = new Set(['level', 'time', 'pid', 'program', 'router', 'network', 'msg', 'err']);

/**
 * One JSON log record as a line in oslo.log's order: time, pid, level, program, what it is about, message,
 * then the other fields as key=value, then the stack of an error on lines of its own.
 * What is not a JSON record is returned as it is.
 */
export function formatLine(json: string): string {
  let record: Record<string, unknown>;
  try {
    record = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return json;
  }
  const about = ['router', 'network']
    .filter((key) => key in record)
    .map((key) => `${key} ${plain(record[key])}`);
  const rest = Object.keys(record)
    .filter((key) => !PLACED.has(key))
    .map((key) => `${key}=${plain(record[key])}`);
  const words = [
    plain(record.time).replace('T', ' ').replace('Z', ''),
    plain(record.pid),
    LEVELS[plain(record.level)] ?? plain(record.level),
    plain(record.program),
    about.length > 0 ? `[${about.join(', ')}]` : '[-]',
    plain(record.msg),
    ...rest,
  ];
  return `${oneLine(words.filter((word) => word !== '').join(' '))}\n${stackOf(record.err)}`;
}

function plain(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  return JSON.stringify(value) ?? '';
}

/** Text from outside (payloads, tools) must not be able to fake a second line or to steer the terminal. */
function oneLine(text: string): string {
  return text.replace(/\r?\n/g, ' | ').replace(/\p{Cc}/gu, '?');
}

function stackOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { stack, message } = error as { stack?: unknown; message?: unknown };
  const text = typeof stack === 'string' ? stack : typeof message === 'string' ? message : '';
  return text === '' ? '' : `${text.replace(/^/gm, '    ')}\n`;
}
