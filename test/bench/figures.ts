/** What the benches found, as JSON lines and as tables. Milliseconds are for all routers together. */
import type { TableRow } from '../../agents/cli/table.ts';
import type { DhcpFigures, LoadFigures, PortFigures } from './dhcp-figures.ts';

export interface RoutersFigures {
  readonly bench: 'routers';
  readonly n: number;
  readonly cold_ms: number;
  readonly restart_ms: number;
  readonly restart_writes: number;
  readonly restart_forks: number;
  /** growth of resident memory from before the first router to after the last */
  readonly rss_mb: number;
  /** the scripts of shell-script.ts: plain, tight, and tight with the devices of all routers in one batch */
  readonly shell_ms: number;
  readonly shell_tight_ms: number;
  readonly shell_together_ms: number;
  readonly floor_ms: number;
  /** processor time, user and kernel, of the same runs */
  readonly cold_cpu_ms: number;
  readonly restart_cpu_ms: number;
  readonly floor_cpu_ms: number;
  readonly cold_writes: number;
  readonly cold_forks: number;
  readonly rss_per_router_mb: number;
  /** times faster than the plain script, and the tight one */
  readonly ratio_shell: number;
  readonly ratio_shell_tight: number;
  /** times slower than the kernel floor */
  readonly ratio_floor: number;
  /** times a restart is faster than cold */
  readonly ratio_restart: number;
}

export interface FloatingIpFigures {
  readonly bench: 'fip-add';
  readonly present: number;
  readonly ms: number;
}

export type Figures = RoutersFigures | FloatingIpFigures | DhcpFigures | PortFigures | LoadFigures;

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

export const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits));

export const ROUTER_HEADS = [
  'routers',
  'cold ms',
  'restart ms',
  'writes',
  'forks',
  'RSS MB',
  'shell ms',
  'tight ms',
  'floor ms',
  'ms/router',
  'MB/router',
  'shell/cold',
  'tight/cold',
  'cold/floor',
  'cold/restart',
] as const;

export const routersRow = (f: RoutersFigures): TableRow =>
  [
    f.n,
    f.cold_ms,
    f.restart_ms,
    f.restart_writes,
    f.restart_forks,
    f.rss_mb,
    f.shell_ms,
    f.shell_tight_ms,
    f.floor_ms,
    rounded(f.cold_ms / f.n),
    f.rss_per_router_mb,
    `${f.ratio_shell}x`,
    `${f.ratio_shell_tight}x`,
    `${f.ratio_floor}x`,
    `${f.ratio_restart}x`,
  ].map(String);

export const FLOATING_IP_HEADS = ['floating IPs present', 'ms for one more', 'to the first'] as const;

export const floatingIpRow = (f: FloatingIpFigures, first: FloatingIpFigures): TableRow =>
  [f.present, f.ms, `${rounded(f.ms / first.ms)}x`].map(String);
