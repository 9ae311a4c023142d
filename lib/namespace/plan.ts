/**
 * The difference, ordered: creates along dependencies, removals in reverse, adds before removes so that no
 * traffic breaks in between. Pure; `viaduct plan`, `viaduct diff` and the agents use the same.
 */
import type { ActualRow } from './actual.ts';
import { HOST, type NftTableRow, type Row } from './rows.ts';

/** One key that is not as it should be. */
export interface Change {
  readonly key: string;
  /** undefined: nobody wants it (any more) */
  readonly desired?: Row;
  /** undefined: it isn't there */
  readonly actual?: ActualRow | NftTableRow;
  /** why, in words: 'missing', 'mtu is 1500, wanted 1400', 'not wanted' */
  readonly reason: string;
}

export type Step =
  | {
      readonly action: 'create' | 'change';
      readonly row: Row;
      readonly was?: ActualRow | NftTableRow;
      readonly reason: string;
    }
  | { readonly action: 'remove'; readonly row: ActualRow | NftTableRow; readonly reason: string };

/**
 * Order of creation. Translation stands before addresses: an address must not answer before its packets
 * are translated (feature C8). One ruleset comes before the other goes: a connection is translated by the first that
 * knows it, so that both may stand side by side. Host ends of veth pairs (`peer` undefined) come after the ends that
 * create the pair. A port of a switch comes before the device the switch makes for it, and after the one it
 * is to take.
 */
const STAGES = [
  'netns',
  'host sysctl',
  'nft-table',
  'nft-element',
  'xtables',
  'bridge',
  'internal port',
  'link',
  'link sysctl',
  'link end',
  'port',
  'device sysctl',
  'address',
  'neighbour',
  'link route',
  'route',
  'rule',
  'file',
  'daemon',
] as const;

export type Stage = (typeof STAGES)[number];

/** The stage a row belongs to. */
export function stageOf(row: Row | ActualRow): Stage {
  switch (row.kind) {
    case 'sysctl':
      // Before the device is up: it makes itself an address at once.
      if (row.ns === HOST && row.name.endsWith('/disable_ipv6')) return 'link sysctl';
      return /\/(all|default|lo)\/|^net\/(ipv4|netfilter)\/[^/]+$/.test(row.name)
        ? 'host sysctl'
        : 'device sysctl';
    case 'link':
      if (row.type === 'bridge' || row.type === 'loopback') return 'bridge';
      return row.peer || row.type === 'internal' ? 'link' : 'link end';
    case 'ovs-port':
      return row.type === 'internal' ? 'internal port' : 'port';
    case 'route':
      return row.nexthops.some((hop) => hop.via) ? 'route' : 'link route';
    default:
      return row.kind;
  }
}

const position = new Map<Stage, number>(STAGES.map((stage, i) => [stage, i]));
const order = (step: Step): number => position.get(stageOf(step.row as Row))!;

/** Kinds that vanish with their namespace: removing each on its own would be wasted work. */
const GONE_WITH_NAMESPACE: ReadonlySet<string> = new Set([
  'sysctl',
  'nft-table',
  'nft-element',
  'xtables',
  'address',
  'neighbour',
  'route',
  'rule',
]);

export const goesWithNamespace = (kind: string): boolean => GONE_WITH_NAMESPACE.has(kind);

/** Ordered steps that turn actual into desired. Empty for no difference. */
export function plan(changes: readonly Change[]): Step[] {
  const forward: Step[] = [];
  const backward: Step[] = [];
  const leaving = new Set(
    changes.flatMap((c) => (!c.desired && c.actual?.kind === 'netns' ? [c.actual.ns] : [])),
  );
  for (const change of changes) {
    const { desired, actual, reason } = change;
    if (desired && actual) forward.push({ action: 'change', row: desired, was: actual, reason });
    else if (desired) forward.push({ action: 'create', row: desired, reason });
    else if (actual && !(leaving.has(actual.ns) && GONE_WITH_NAMESPACE.has(actual.kind)))
      backward.push({ action: 'remove', row: actual, reason });
  }
  forward.sort((a, b) => order(a) - order(b));
  backward.sort((a, b) => order(b) - order(a));
  return [...forward, ...backward];
}
