/**
 * Owners that an earlier process left exactly as wanted, and that nobody has disturbed since: they are known by their
 * seals, and their rows are made when something is to be done about them. Rows outside of their namespaces are in the
 * delta all the time, because others may share them.
 */
import type { NamespaceName, RowGroup } from './rows.ts';
import { isIntact, type Seal } from './seals.ts';

interface Rest {
  readonly seal: Seal;
  readonly rows: () => readonly RowGroup[];
}

export class Resting {
  private readonly owners = new Map<string, Rest>();
  private readonly homes = new Map<NamespaceName, string>();

  add(owner: string, seal: Seal, rows: () => readonly RowGroup[]): void {
    this.owners.set(owner, { seal, rows });
    for (const { ns } of seal.homes) this.homes.set(ns, owner);
  }

  has(owner: string): boolean {
    return this.owners.has(owner);
  }

  /** Its own namespaces. */
  namespacesOf(owner: string): NamespaceName[] {
    return this.owners.get(owner)?.seal.homes.map(({ ns }) => ns) ?? [];
  }

  namespaces(): Iterable<NamespaceName> {
    return this.homes.keys();
  }

  /** The owner whose namespace it is. */
  ownerIn(ns: NamespaceName): string | undefined {
    return this.homes.get(ns);
  }

  /** Are its namespaces as they were sealed? */
  isIntact(owner: string): boolean {
    return this.owners.get(owner)?.seal.homes.every(isIntact) === true;
  }

  /** What it wants, all of it; it rests no more. undefined: it did not rest. */
  wake(owner: string): readonly RowGroup[] | undefined {
    const rest = this.owners.get(owner);
    if (!rest) return undefined;
    this.owners.delete(owner);
    for (const { ns } of rest.seal.homes) this.homes.delete(ns);
    return rest.rows();
  }
}
