import type { Daemon } from './daemon.ts';

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** What an agent of ours logged so far. */
export function logOf(agent: Daemon): LogLine[] {
  return agent
    .tail(50_000_000)
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as LogLine];
      } catch {
        return [];
      }
    });
}

/** Complete listings that an agent has had. */
export const fullSyncs = (agent: Daemon): number =>
  logOf(agent).filter(({ msg }) => /^full sync: all \w+ of this host are known$/.test(msg)).length;

const isComplaint = ({ level }: LogLine): boolean => level === 'warn' || level === 'error';

/** The warnings and errors that an agent logs while `work` is done. */
export async function complaintsOf(agent: Daemon, work: () => Promise<unknown>): Promise<string[]> {
  const before = logOf(agent).length;
  await work();
  return logOf(agent)
    .slice(before)
    .filter(isComplaint)
    .map(({ msg }) => msg);
}
