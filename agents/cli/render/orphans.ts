import type { Orphan } from '../orphans.ts';
import { type Output, paint, printable } from '../output.ts';
import { plural } from '../subject.ts';

/** One line for each namespace without a record, then how many go. */
export function renderOrphans(
  { color }: Pick<Output, 'color'>,
  orphans: readonly Orphan[],
  goes: (orphan: Orphan) => boolean,
  dryRun: boolean,
): string[] {
  const lines = orphans.map((orphan) => {
    const sign = goes(orphan) ? paint(color, 'red', '-') : ' ';
    const insist = !goes(orphan) && orphan.spared === 'use' ? ' (--force removes it)' : '';
    return `${sign} ${printable(`${orphan.namespace}: ${orphan.why}${insist}`)}`;
  });
  const going = orphans.filter(goes).length;
  const verb = dryRun ? 'to remove; nothing was done' : 'removed';
  return [...lines, `${plural(going, 'namespace')} ${verb}, ${orphans.length - going} kept`];
}

/** The stable form of `viaduct gc --json`. */
export const orphansDocument = (
  orphans: readonly Orphan[],
  goes: (orphan: Orphan) => boolean,
  dryRun: boolean,
): unknown => ({
  dry_run: dryRun,
  namespaces: orphans.map((orphan) => ({
    namespace: orphan.namespace,
    id: orphan.id,
    removed: !dryRun && goes(orphan),
    would_be_removed: goes(orphan),
    why: orphan.why,
    devices: orphan.devices,
    processes: orphan.processes.map(({ pid, argv }) => ({ pid, argv })),
  })),
});
