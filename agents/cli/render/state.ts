import type { Row } from '../../../lib/namespace/rows.ts';

/** A router, network or instance with its rows, as the verbs show it. Plain data: also the `--json` form. */
export interface OwnerState {
  /** 'record': a record too damaged to tell what it is about */
  readonly kind: 'router' | 'network' | 'instance' | 'record';
  readonly id: string;
  readonly name?: string;
  /** '' if it has none of its own (a network without DHCP is a bridge of the host) */
  readonly namespace: string;
  /** ISO 8601; undefined when nothing was recorded */
  readonly changed?: string;
  readonly rows: readonly RowState[];
  /** Why the kernel could not be read. The rows are then 'unknown', which is not the same as missing. */
  readonly unreadable?: string;
}

/** What should be next to what is. */
export type RowState =
  | { readonly state: 'ok' | 'unknown'; readonly desired: Row }
  | { readonly state: 'missing'; readonly desired: Row }
  | {
      readonly state: 'changed';
      readonly desired: Row;
      readonly actual: Row;
      /** the first difference, in words */
      readonly reason: string;
    }
  | { readonly state: 'extra'; readonly actual: Row };

export type Health = 'converged' | 'drifted' | 'absent' | 'unknown';

/** One word for an owner: absent when nothing of it is there, unknown when that could not be seen. */
export function healthOf({ rows, unreadable }: OwnerState): Health {
  if (unreadable !== undefined || rows.some((row) => row.state === 'unknown')) return 'unknown';
  if (rows.every((row) => row.state === 'ok')) return 'converged';
  return rows.every((row) => row.state === 'missing') ? 'absent' : 'drifted';
}

export const driftOf = ({ rows }: OwnerState): number =>
  rows.filter((row) => row.state !== 'ok' && row.state !== 'unknown').length;

/** The row a state is about: as it should be, or as it is where it should not. */
export const rowOf = (row: RowState): Row => (row.state === 'extra' ? row.actual : row.desired);
