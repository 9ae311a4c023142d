/** When programs have done what they had to do, seen from outside: by the processor time they take. */
import { readFileSync } from 'node:fs';
import { pause } from '../../e2e/shell.ts';
import type { FoundProcess } from '../../neutron/cloud/processes.ts';

const TICKS_PER_SECOND = 100;
/** They rest when they have taken less than this part of one processor. */
const QUIET_PART = 0.06;

export interface Watching {
  /** so long must they rest */
  readonly quietMs: number;
  readonly sampleMs: number;
  /** ends the watching by an error */
  readonly signal?: AbortSignal;
}

const USUAL: Watching = { quietMs: 3_000, sampleMs: 100 };

/** User and system time of these and of children they have waited for, by pid; milliseconds. Source: proc(5). */
function processorTimes(processes: readonly FoundProcess[]): Map<number, number> {
  const found = new Map<number, number>();
  for (const { pid } of processes) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      found.set(pid, (ticks * 1000) / TICKS_PER_SECOND);
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

interface Sample {
  readonly at: number;
  /** processor milliseconds taken since the first sample */
  readonly taken: number;
}

/**
 * Watches until a quiet time is over. @returns performance.now() of its beginning
 * @throws Error when that takes longer than `patience` ms
 */
export async function atRest(
  processes: () => readonly FoundProcess[],
  patience: number,
  { quietMs, sampleMs, signal }: Watching = USUAL,
): Promise<number> {
  const deadline = performance.now() + patience;
  const samples: Sample[] = [{ at: performance.now(), taken: 0 }];
  let before = processorTimes(processes());
  while (performance.now() < deadline) {
    await pause(sampleMs);
    signal?.throwIfAborted();
    const now = processorTimes(processes());
    let taken = samples.at(-1)!.taken;
    for (const [pid, time] of now) taken += Math.max(0, time - (before.get(pid) ?? 0));
    before = now;
    const last = { at: performance.now(), taken };
    samples.push(last);
    while (samples.length > 1 && last.at - samples[1]!.at >= quietMs) samples.shift();
    const first = samples[0]!;
    const quiet = last.at - first.at >= quietMs && taken - first.taken < QUIET_PART * quietMs;
    if (quiet) return lastWork(samples);
  }
  throw new Error(`no rest within ${patience} ms`);
}

/** Within the quiet time, the end of the last sample in which most of a processor was at work: work's tail is work. */
function lastWork(samples: readonly Sample[]): number {
  let { at } = samples[0]!;
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1];
    if (before && sample.taken - before.taken > (sample.at - before.at) / 2) at = sample.at;
  }
  return at;
}
