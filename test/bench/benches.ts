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
  const cold: Measured[] = [];
  const restart: Measured[] = [];
  const floor: Measured[] = [];
  const shell: Measured[] = [];
  const together: Measured[] = [];
  await sandbox([['record', count, recording]]);
  for (let run = 1; run <= runs; run++) {
    const state = freshDirectory(directory, 'state');
    const [built, again] = await sandbox([
      ['cold', count, state],
      ['restart', count, state],
      ['verify', count],
    ]);
    cold.push(built!);
    restart.push(again!);
    const [replayed] = await sandbox([
      ['floor', count, recording],
      ['verify', count],
    ]);
    floor.push(replayed!);
    const [scripted] = await sandbox([
      ['shell', count, freshDirectory(directory, 'shell')],
      ['verify', count],
    ]);
    shell.push(scripted!);
    const [atOnce] = await sandbox([
      ['shell-together', count, freshDirectory(directory, 'shell')],
      ['verify', count],
    ]);
    together.push(atOnce!);
    const ms = [built, again, replayed, scripted, atOnce].map((measured) => Math.round(measured!.ms!));
    progress(
      `routers ${n}, run ${run} of ${runs}: cold ${ms[0]}, restart ${ms[1]}, floor ${ms[2]}, shell ${ms[3]}, shell at once ${ms[4]} ms`,
    );
  }
  return summary(n, cold, restart, floor, shell, together);
}

function summary(
  n: number,
  cold: readonly Measured[],
  restart: readonly Measured[],
  floor: readonly Measured[],
  shell: readonly Measured[],
  together: readonly Measured[],
): RoutersFigures {
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
    shell_together_ms: rounded(medianOf(together, 'ms'), 1),
    floor_ms: rounded(floorMs, 1),
    cold_cpu_ms: rounded(medianOf(cold, 'cpu'), 1),
    restart_cpu_ms: rounded(medianOf(restart, 'cpu'), 1),
    floor_cpu_ms: rounded(medianOf(floor, 'cpu'), 1),
    cold_writes: medianOf(cold, 'writes'),
    cold_forks: most(cold, 'forks'),
    rss_per_router_mb: rounded(rss / n, 3),
    ratio_shell: rounded(shellMs / coldMs),
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
