/**
 * Owners of which there is no record, only traces on the host: Neutron's agent built them, or a state directory was
 * lost. Until a complete listing says what they are, nothing in their namespaces is called stale and nothing is touched.
 */
import { namespaceExists } from '../kernel/netns.ts';
import { type DaemonRow, type NamespaceName, netns, type RowGroup } from '../namespace/rows.ts';
import type { ReconcileResult } from './owner-queue.ts';

/** What an agent needs of the namespace library. */
export interface OwnerReconciler {
  /** Is the owner as an earlier process left it, and wanted the same? Then nothing need be set or reconciled. */
  confirm(owner: string, record: unknown, basis: string): Promise<boolean>;
  /** `record`: what the owner is remembered by; `basis`: what its rows follow from besides */
  setDesired(owner: string, groups: readonly RowGroup[], record?: unknown, basis?: string): void;
  removeOwner(owner: string): void;
  reconcile(owner: string): Promise<ReconcileResult>;
  /** somebody ended the process of this row, on purpose: if it is still wanted the next run starts it again */
  ended(row: DaemonRow): void;
}

export interface Leftovers {
  readonly owners: Iterable<string>;
  readonly namespaceOf: (owner: string) => NamespaceName;
  /** what may be there besides the namespace and what is in it: processes, files */
  readonly rowsOf: (owner: string) => RowGroup;
}

/** A reconciler that takes over what is left, or removes it: as the agent decides. */
export function withLeftovers(reconciler: OwnerReconciler, leftovers: Leftovers): OwnerReconciler {
  const untouched = new Set(leftovers.owners);
  const leaving = new Set<string>();

  /** First what is in it: a namespace takes its own devices along, but neither processes nor the ports of a switch. */
  async function sweep(owner: string): Promise<ReconcileResult> {
    const ns = leftovers.namespaceOf(owner);
    const home = [netns(ns)];
    let steps = 0;
    reconciler.setDesired(owner, [home, leftovers.rowsOf(owner)]);
    if (namespaceExists(ns)) {
      reconciler.setDesired(owner, [home]);
      const emptied = await reconciler.reconcile(owner);
      if (emptied.failures.length > 0 || !leaving.has(owner)) return emptied;
      steps = emptied.steps;
    }
    reconciler.removeOwner(owner);
    const removed = await reconciler.reconcile(owner);
    if (removed.failures.length === 0) leaving.delete(owner);
    return { ...removed, steps: steps + removed.steps };
  }

  return {
    confirm: async (owner, record, basis) =>
      !untouched.has(owner) && !leaving.has(owner) && (await reconciler.confirm(owner, record, basis)),
    setDesired(owner, groups, record, basis) {
      untouched.delete(owner);
      leaving.delete(owner);
      reconciler.setDesired(owner, groups, record, basis);
    },
    removeOwner(owner) {
      if (untouched.delete(owner)) leaving.add(owner);
      else if (!leaving.has(owner)) reconciler.removeOwner(owner);
    },
    ended: (row) => reconciler.ended(row),
    reconcile: (owner) => (leaving.has(owner) ? sweep(owner) : reconciler.reconcile(owner)),
  };
}
