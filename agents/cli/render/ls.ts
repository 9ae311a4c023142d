import { type Output, printable, type Style } from '../output.ts';
import { title } from '../subject.ts';
import { type Cell, renderTable } from '../table.ts';
import type { Thing } from '../things.ts';
import { driftOf, type Health, healthOf, type OwnerState } from './state.ts';

const STYLES: Readonly<Record<Health, Style>> = {
  converged: 'green',
  drifted: 'red',
  absent: 'red',
  unknown: 'yellow',
};

/** The stable form of `viaduct ls --json`: one object per owner, without its rows. */
export const listDocument = (owners: readonly OwnerState[]): unknown =>
  owners.map((owner) => ({
    kind: owner.kind,
    id: owner.id,
    name: owner.name ?? null,
    namespace: owner.namespace,
    state: healthOf(owner),
    rows: owner.rows.length,
    drift: healthOf(owner) === 'unknown' ? null : driftOf(owner),
    changed: owner.changed ?? null,
  }));

/** One line per router, network and instance. `now` is milliseconds since the epoch. */
export function renderList(
  output: Pick<Output, 'width' | 'color'>,
  owners: readonly OwnerState[],
  now: number,
): string[] {
  if (owners.length === 0) return ['nothing is built on this host'];
  const rows = owners.map((owner) => {
    const health = healthOf(owner);
    const state: Cell = { text: health, style: STYLES[health] };
    const drift = health === 'unknown' ? '?' : String(driftOf(owner));
    const changed = owner.changed === undefined ? '-' : `${age(owner.changed, now)} ago`;
    return [
      owner.kind,
      owner.name ?? '-',
      owner.namespace || '-',
      state,
      String(owner.rows.length),
      drift,
      changed,
    ];
  });
  const heads = ['kind', 'name', 'namespace', 'state', 'rows', 'drift', 'changed'];
  const reasons = owners.flatMap((owner) =>
    owner.unreadable === undefined ? [] : [`${title(owner)}: ${owner.unreadable}`],
  );
  return [...renderTable(output, heads, rows), ...reasons.map(printable)];
}

/** '12s', '5m', '3h', '9d' */
export function age(since: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000));
  if (!Number.isFinite(seconds)) return '?';
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)}m`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)}h` : `${Math.round(seconds / 86_400)}d`;
}

/** A port or floating IP, and whether what names it is as it should be. */
export interface Part {
  readonly thing: Thing;
  readonly state: Health;
}

/** One line per port or floating IP. */
export function renderParts(output: Pick<Output, 'width' | 'color'>, parts: readonly Part[]): string[] {
  if (parts.length === 0) return ['none'];
  const rows = parts.map(({ thing, state }) => [
    { text: state, style: STYLES[state] },
    thing.addresses.join(thing.kind === 'floating-ip' ? ' → ' : ', ') || '-',
    `${thing.holder.split(' ')[0]} ${thing.holderName}`,
    thing.device ?? '-',
    thing.mac ?? '-',
    thing.id,
  ]);
  return renderTable(output, ['state', 'addresses', 'of', 'device', 'mac', 'id'], rows);
}

export const partsDocument = (parts: readonly Part[]): unknown =>
  parts.map(({ thing, state }) => {
    const { identifiers: _, ...shown } = thing;
    return { ...shown, state };
  });
