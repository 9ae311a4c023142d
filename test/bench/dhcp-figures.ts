/** What the DHCP benches found, as JSON lines and as tables. Milliseconds are for all networks together. */
import type { TableRow } from '../../agents/cli/table.ts';
import { rounded } from './figures.ts';

export interface DhcpFigures {
  readonly bench: 'dhcp';
  readonly n: number;
  readonly cold_ms: number;
  /** a restart of the agent that finds nothing changed */
  readonly restart_ms: number;
  /** changes asked of the kernel and of the disk, as the agent counts them */
  readonly restart_writes: number;
  readonly restart_forks: number;
  /** files of networks that were written, made or removed, seen from outside */
  readonly restart_files: number;
  /** dnsmasq processes that ended or began */
  readonly restart_daemons: number;
  /** the kernel's work replayed, and as many dnsmasq started with files that are there already */
  readonly floor_ms: number;
  /** times slower than the floor */
  readonly ratio: number;
  /** processor time of the agent alone, user and kernel */
  readonly cold_cpu_ms: number;
  readonly restart_cpu_ms: number;
  readonly floor_cpu_ms: number;
  readonly cold_writes: number;
  readonly cold_forks: number;
  /** growth of the agent's resident memory */
  readonly rss_mb: number;
}

export interface PortFigures {
  readonly bench: 'dhcp-port-add';
  readonly present: number;
  /** from the controller's word to dnsmasq's files, the median */
  readonly ms: number;
}

/** Ports added to a network in ten seconds, while clients renew. */
export interface LoadFigures {
  readonly bench: 'dhcp-load';
  readonly added: number;
  readonly clients: number;
  /** from a new port's first question, when the agent has just heard of it, to the offer */
  readonly offer_p50_ms: number;
  readonly offer_p99_ms: number;
  readonly renewals: number;
  readonly renewal_p99_ms: number;
  readonly naks: number;
  /** answers with another's address */
  readonly wrong: number;
  readonly unanswered: number;
  readonly restarts: number;
  readonly signals: number;
  /** processor time while the ports came */
  readonly agent_cpu_ms: number;
  readonly dnsmasq_cpu_ms: number;
}

export const LOAD_HEADS = [
  'ports added',
  'clients',
  'offer p50 ms',
  'p99 ms',
  'renewals',
  'p99 ms',
  'NAKs',
  'wrong',
  'unanswered',
  'restarts',
  'signals',
  'agent CPU ms',
  'dnsmasq CPU ms',
] as const;

export const loadRow = ({ bench: _, ...figures }: LoadFigures): TableRow =>
  Object.values(figures).map(String);

export const DHCP_HEADS = [
  'networks',
  'cold ms',
  'floor ms',
  'cold/floor',
  'ms/network',
  'restart ms',
  'writes',
  'forks',
  'files',
  'dnsmasq',
  'RSS MB',
] as const;

export const dhcpRow = (f: DhcpFigures): TableRow =>
  [
    f.n,
    f.cold_ms,
    f.floor_ms,
    `${f.ratio}x`,
    rounded(f.cold_ms / f.n),
    f.restart_ms,
    f.restart_writes,
    f.restart_forks,
    f.restart_files,
    f.restart_daemons,
    f.rss_mb,
  ].map(String);

export const PORT_HEADS = ['ports present', 'ms for one more', 'to the first'] as const;

export const portRow = (f: PortFigures, first: PortFigures): TableRow =>
  [f.present, f.ms, `${rounded(f.ms / first.ms)}x`].map(String);
