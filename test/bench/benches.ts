/** The benches: which variants run, in which order, how often. Their ratios come from one run, interleaved. */
import fs from 'node:fs';
import { join } from 'node:path';
import { type FloatingIpFigures, median, type RoutersFigures, rounded } from './figures.ts';
import { type Measured, sandbox } from './sandbox.ts';

export interface Bench {
  /** a directory for state and scripts */
  readonly directory: string;
  /** how often each variant is measured; the median counts */
  readonly runs: number;
  readonly progress: (line: string) => void;
}

/** An empty directory below `directory`. */
export const freshDirectory = (directory: string, name: string): string => {
  const path = join(directory, name);
  fs.rmSync(path, { recursive: true, force: true });
  fs.mkdirSync(path, { recursive: true });
  return path;
};

export const medianOf = (list: readonly Measured[], key: string): number =>
  median(list.map((measured) => measured[key] ?? Number.NaN));
export const most = (list: readonly Measured[], key: string): number =>
  Math.max(...list.map((measured) => measured[key] ?? Number.NaN));

/** N routers: cold and restart, floor and shell, each in new processes and a new sandbox. */
export async function routers(n: number, { directory, runs, progress }: Bench): Promise<RoutersFigures> {
  const count = String(n);
  const recording = join(directory, 'recording');
  const found: Found = { cold: [], restart: [], floor: [], shell: [], tight: [], together: [] };
  /** Measure a variant in a sandbox of its own, and see that it made what Viaduct makes. */
  const alone = async (variant: string, argument: string): Promise<Measured> => {
    const [measured] = await sandbox([
      [variant, count, argument],
      ['verify', count],
    ]);
    return measured!;
  };
  const scripted = (variant: string): Promise<Measured> => alone(variant, freshDirectory(directory, 'shell'));
  await sandbox([['record', count, recording]]);
  for (let run = 1; run <= runs; run++) {
    const state = freshDirectory(directory, 'state');
    const [built, again] = await sandbox([
      ['cold', count, state],
      ['restart', count, state],
      ['verify', count],
    ]);
    found.cold.push(built!);
    found.restart.push(again!);
    found.floor.push(await alone('floor', recording));
    found.shell.push(await scripted('shell'));
    found.tight.push(await scripted('shell-tight'));
    found.together.push(await scripted('shell-together'));
    const shown = Object.entries(found).map(([name, list]) => `${name} ${Math.round(list.at(-1)!.ms!)}`);
    progress(`routers ${n}, run ${run} of ${runs}: ${shown.join(', ')} ms`);
  }
  return summary(n, found);
}

type Found = Record<'cold' | 'restart' | 'floor' | 'shell' | 'tight' | 'together', Measured[]>;

function summary(n: number, { cold, restart, floor, shell, tight, together }: Found): RoutersFigures {
  const coldMs = medianOf(cold, 'ms');
  const restartMs = medianOf(restart, 'ms');
  const shellMs = medianOf(shell, 'ms');
  const floorMs = medianOf(floor, 'ms');
  const rss = medianOf(cold, 'rss');
  return {
    bench: 'routers',
    n,
    cold_ms: rounded(coldMs, 1),
    restart_ms: rounded(restartMs, 1),
    restart_writes: most(restart, 'writes'),
    restart_forks: most(restart, 'forks'),
    rss_mb: rounded(rss, 1),
    shell_ms: rounded(shellMs, 1),
    shell_tight_ms: rounded(medianOf(tight, 'ms'), 1),
    shell_together_ms: rounded(medianOf(together, 'ms'), 1),
    floor_ms: rounded(floorMs, 1),
    cold_cpu_ms: rounded(medianOf(cold, 'cpu'), 1),
    restart_cpu_ms: rounded(medianOf(restart, 'cpu'), 1),
    floor_cpu_ms: rounded(medianOf(floor, 'cpu'), 1),
    cold_writes: medianOf(cold, 'writes'),
    cold_forks: most(cold, 'forks'),
    rss_per_router_mb: rounded(rss / n, 3),
    ratio_shell: rounded(shellMs / coldMs),
    ratio_shell_tight: rounded(medianOf(tight, 'ms') / coldMs),
    ratio_floor: rounded(coldMs / floorMs),
    ratio_restart: rounded(coldMs / restartMs),
  };
}

/** One floating IP added to a router that has some: median of the additions of all runs. */
export async function floatingIpAdd(present: number, bench: Bench): Promise<FloatingIpFigures> {
  const found: Measured[] = [];
  for (let run = 1; run <= bench.runs; run++) {
    const state = freshDirectory(bench.directory, 'state');
    const [measured] = await sandbox([['fip-add', String(present), state]]);
    found.push(measured!);
    bench.progress(`fip-add ${present} present, run ${run} of ${bench.runs}: ${rounded(measured!.ms!)} ms`);
  }
  return { bench: 'fip-add', present, ms: rounded(medianOf(found, 'ms')) };
}
