import pino, { type Logger, type LoggerOptions } from 'pino';
import { formatLine } from './log-line.ts';
import { maskCredentials, secretPaths } from './secrets.ts';

export type { Logger } from 'pino';

export type LogFormat = 'auto' | 'line' | 'json';

export interface LogSettings {
  /** 'viaduct-l3-agent' */
  readonly program: string;
  /** 'debug', 'info' (default), 'warn', 'error' */
  readonly level?: string;
  /** auto: lines for people on a terminal, one JSON object per line otherwise */
  readonly format?: LogFormat;
  /** receives whole lines; default: standard error, synchronously, so that nothing is lost at a crash */
  readonly write?: (line: string) => void;
}

/**
 * The log of a program. Everything goes to standard error (standard output belongs to the results of
 * commands), written synchronously and in this thread: a pino transport would start a worker, and a thread
 * started at the wrong moment stays in a router's namespace for ever.
 */
export function createLog(settings: LogSettings): Logger {
  const people = settings.format === 'line' || (settings.format !== 'json' && process.stderr.isTTY === true);
  const write = settings.write ?? standardError();
  const options: LoggerOptions = {
    level: settings.level ?? 'info',
    base: { program: settings.program, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: secretPaths, censor: '***' },
  };
  return pino(options, {
    write: (line: string) => {
      const safe = maskCredentials(line);
      write(people ? formatLine(safe) : safe);
    },
  });
}

/** A log that says on every line which router it is about. */
export const routerLog = (log: Logger, id: string): Logger => log.child({ router: id });

/** A log that says on every line which network it is about. */
export const networkLog = (log: Logger, id: string): Logger => log.child({ network: id });

function standardError(): (line: string) => void {
  const destination = pino.destination({ fd: 2, sync: true });
  return (line) => {
    destination.write(line);
  };
}
