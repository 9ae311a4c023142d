import { type Output, paint } from '../output.ts';
import { renderRow } from './show.ts';
import { healthOf, type OwnerState } from './state.ts';

/**
 * Only what differs, by owner: `- missing` should be there, `+ extra` should not, `~ changed` is there with
 * other values. An owner that could not be read is named, never silently equal.
 */
export function renderDiff({ color }: Pick<Output, 'color'>, owners: readonly OwnerState[]): string[] {
  const lines: string[] = [];
  for (const owner of owners) {
    const health = healthOf(owner);
    if (health === 'converged') continue;
    lines.push(
      paint(color, 'bold', `${owner.namespace || 'host'} (${owner.kind} ${owner.name ?? owner.id})`),
    );
    if (health === 'unknown') lines.push(`  unknown: ${owner.unreadable ?? 'not read yet'}`);
    for (const row of owner.rows) {
      if (row.state === 'ok' || row.state === 'unknown') continue;
      lines.push(...renderRow(color, owner.namespace, row).map((line) => `  ${line}`));
    }
  }
  return lines.length > 0 ? lines : ['no difference'];
}

/** True when something differs or could not be compared. */
export const differs = (owners: readonly OwnerState[]): boolean =>
  owners.some((owner) => healthOf(owner) !== 'converged');

/** The stable form of `viaduct diff --json`: one object per difference, and one per owner that could not be read. */
export const diffDocument = (owners: readonly OwnerState[]): unknown =>
  owners.flatMap(({ kind, id, name, rows, unreadable }): unknown[] => {
    const owner = { kind, id, name: name ?? null };
    if (unreadable !== undefined) return [{ owner, state: 'unknown', reason: unreadable }];
    return rows.filter((row) => row.state !== 'ok').map((row) => ({ owner, ...row }));
  });
