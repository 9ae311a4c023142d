/** The DHCP benches: which variants run, in which order, how often. Their ratio comes from one run, interleaved. */
import fs from 'node:fs';
import { join } from 'node:path';
import { type Bench, freshDirectory, medianOf, most } from './benches.ts';
import type { DhcpFigures, LoadFigures, PortFigures } from './dhcp-figures.ts';
import { rounded } from './figures.ts';
import { type Measured, sandbox } from './sandbox.ts';

/** What a dnsmasq that runs writes itself. */
const OWN_FILES = /\/(pid|leases)$/;

/** N networks: cold and restart, and the floor, each in new processes and a new sandbox. */
export async function dhcp(n: number, { directory, runs, progress }: Bench): Promise<DhcpFigures> {
  const count = String(n);
  const recording = join(directory, 'recording');
  const recorded = freshDirectory(directory, 'recorded');
  const state = join(directory, 'state');
  await sandbox([
    ['dhcp-record', count, state, recording],
    ['dhcp-end', state],
  ]);
  fs.cpSync(state, recorded, { recursive: true });
  const cold: Measured[] = [];
  const restart: Measured[] = [];
  const floor: Measured[] = [];
  for (let run = 1; run <= runs; run++) {
    freshDirectory(directory, 'state');
    const [built, again] = await sandbox([
      ['dhcp-cold', count, state],
      ['dhcp-restart', count, state],
      ['dhcp-verify', count, state],
      ['dhcp-end', state],
    ]);
    cold.push(built!);
    restart.push(again!);
    freshDirectory(directory, 'state');
    fs.cpSync(recorded, state, { recursive: true, filter: (path) => !OWN_FILES.test(path) });
    const [replayed] = await sandbox([
      ['dhcp-floor', state, recording],
      ['dhcp-verify', count, state],
      ['dhcp-end', state],
    ]);
    floor.push(replayed!);
    const ms = [built, again, replayed].map((measured) => Math.round(measured!.ms!));
    progress(`dhcp ${n}, run ${run} of ${runs}: cold ${ms[0]}, restart ${ms[1]}, floor ${ms[2]} ms`);
  }
  return summary(n, cold, restart, floor);
}

function summary(
  n: number,
  cold: readonly Measured[],
  restart: readonly Measured[],
  floor: readonly Measured[],
): DhcpFigures {
  const coldMs = medianOf(cold, 'ms');
  const floorMs = medianOf(floor, 'ms');
  return {
    bench: 'dhcp',
    n,
    cold_ms: rounded(coldMs, 1),
    restart_ms: rounded(medianOf(restart, 'ms'), 1),
    restart_writes: most(restart, 'writes'),
    restart_forks: most(restart, 'forks'),
    restart_files: most(restart, 'files'),
    restart_daemons: most(restart, 'daemons'),
    floor_ms: rounded(floorMs, 1),
    ratio: rounded(coldMs / floorMs),
    cold_cpu_ms: rounded(medianOf(cold, 'cpu'), 1),
    restart_cpu_ms: rounded(medianOf(restart, 'cpu'), 1),
    floor_cpu_ms: rounded(medianOf(floor, 'cpu'), 1),
    cold_writes: medianOf(cold, 'writes'),
    cold_forks: most(cold, 'forks'),
    rss_mb: rounded(medianOf(cold, 'rss'), 1),
  };
}

/** One port added to a network that has some: median of the additions of all runs. */
export async function portAdd(present: number, bench: Bench): Promise<PortFigures> {
  const found: Measured[] = [];
  for (let run = 1; run <= bench.runs; run++) {
    const state = freshDirectory(bench.directory, 'state');
    const [measured] = await sandbox([
      ['dhcp-port-add', String(present), state],
      ['dhcp-end', state],
    ]);
    found.push(measured!);
    bench.progress(
      `dhcp-port-add ${present} present, run ${run} of ${bench.runs}: ${rounded(measured!.ms!)} ms`,
    );
  }
  return { bench: 'dhcp-port-add', present, ms: rounded(medianOf(found, 'ms')) };
}

const STAYING = 50;
const ADDED = 1000;
const SECONDS = 10;

/** Ports added to one network while clients renew; once, for it is a story rather than a figure. */
export async function load(bench: Bench): Promise<LoadFigures> {
  const state = freshDirectory(bench.directory, 'state');
  const [measured] = await sandbox([['dhcp-load', state, ...[STAYING, ADDED, SECONDS].map(String)]]);
  const of = (key: string): number => rounded(measured![key] ?? Number.NaN, 1);
  bench.progress(`dhcp-load: ${of('added')} ports in ${of('added_ms')} ms`);
  return {
    bench: 'dhcp-load',
    added: of('added'),
    clients: STAYING,
    offer_p50_ms: of('offer_p50_ms'),
    offer_p99_ms: of('offer_p99_ms'),
    renewals: of('renewals'),
    renewal_p99_ms: of('renewal_p99_ms'),
    naks: of('naks'),
    wrong: of('wrong'),
    unanswered: of('unanswered'),
    restarts: of('restarts'),
    signals: of('signals'),
    agent_cpu_ms: of('agent_cpu_ms'),
    dnsmasq_cpu_ms: of('dnsmasq_cpu_ms'),
  };
}
