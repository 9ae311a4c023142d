/**
 * Desired and actual side by side (after Felix's delta tracker). Holds what every owner wants, what was read
 * or done, and which keys are not known to agree. Pure: reading and writing are others' work.
 *
 *   desired ──┐                      ┌── actual (read once, then kept current by what was applied)
 *             ├── changes(owner) ────┤
 *   owners ───┘   only dirty keys    └── stale: keys found there that nobody wants and that are ours
 */
import type { ActualRow } from './actual.ts';
import { difference } from './difference.ts';
import { isRecognised, isStale } from './ownership.ts';
import { type Change, goesWithNamespace } from './plan.ts';
import type { DaemonRow, FileRow, NamespaceName, NetnsRow, NftTableRow, Row, RowGroup } from './rows.ts';

interface Wanted {
  row: Row;
  /** what each owner wants under this key; who asked last stands last, and its row counts */
  readonly owners: Map<string, Row>;
}

type Found = ActualRow | NftTableRow;

/** Groups of `these` that the others lack. */
function missingFrom(others: ReadonlySet<RowGroup>, these: ReadonlySet<RowGroup>): RowGroup[] {
  const missing: RowGroup[] = [];
  for (const group of these) if (!others.has(group)) missing.push(group);
  return missing;
}

/** What lives on by itself, where others can change it. */
export type StandingRow = NetnsRow | DaemonRow | FileRow;

export class Delta {
  private readonly groups = new Map<string, ReadonlySet<RowGroup>>();
  private readonly wanted = new Map<string, Wanted>();
  private readonly byNamespace = new Map<NamespaceName, Map<string, Row>>();
  private readonly actual = new Map<NamespaceName, Map<string, Found>>();
  /** owner → what of it lives on by itself and wants watching */
  private readonly standing = new Map<string, Map<string, StandingRow>>();
  /** owner → key → the row that was wanted last under that key, if it no longer is */
  private readonly dirty = new Map<string, Map<string, Row | undefined>>();

  /** Replace what an owner wants. Costs one comparison for a group that is the same array as before. */
  setDesired(owner: string, groups: readonly RowGroup[]): void {
    const before = this.groups.get(owner) ?? new Set<RowGroup>();
    const after = new Set(groups);
    const gone = missingFrom(after, before);
    const fresh = missingFrom(before, after);
    for (const row of gone.flat()) this.unwant(owner, row);
    for (const row of fresh.flat()) this.want(owner, row);
    // A row that moved from one group to another was unwanted above and may stand in a group that stayed.
    if (gone.length > 0) for (const row of this.restored(after, gone)) this.want(owner, row);
    if (after.size > 0) this.groups.set(owner, after);
    else {
      this.groups.delete(owner);
      this.standing.delete(owner);
    }
  }

  private *restored(kept: ReadonlySet<RowGroup>, gone: readonly RowGroup[]): Generator<Row> {
    const keys = new Set(
      gone.flatMap((group) => group.map((row) => row.key)).filter((key) => !this.wanted.has(key)),
    );
    if (keys.size === 0 || kept.size === 0) return;
    for (const group of kept) for (const row of group) if (keys.has(row.key)) yield row;
  }

  private mark(owner: string, key: string, former?: Row): void {
    let keys = this.dirty.get(owner);
    if (!keys) {
      keys = new Map();
      this.dirty.set(owner, keys);
    }
    keys.set(key, former ?? keys.get(key));
  }

  private want(owner: string, row: Row): void {
    const known = this.wanted.get(row.key);
    if (known) {
      known.owners.delete(owner);
      known.owners.set(owner, row);
      known.row = row;
    } else this.wanted.set(row.key, { row, owners: new Map([[owner, row]]) });
    this.index(row);
    if (row.kind === 'netns' || row.kind === 'daemon' || row.kind === 'file') {
      const rows = this.standing.get(owner);
      if (rows) rows.set(row.key, row);
      else this.standing.set(owner, new Map([[row.key, row]]));
    }
    this.mark(owner, row.key);
  }

  private index(row: Row): void {
    let rows = this.byNamespace.get(row.ns);
    if (!rows) {
      rows = new Map();
      this.byNamespace.set(row.ns, rows);
    }
    rows.set(row.key, row);
  }

  private unwant(owner: string, row: Row): void {
    this.standing.get(owner)?.delete(row.key);
    const known = this.wanted.get(row.key);
    if (!known?.owners.delete(owner)) return;
    this.mark(owner, row.key, row);
    if (known.owners.size > 0) {
      known.row = [...known.owners.values()].at(-1)!;
      this.index(known.row);
      return;
    }
    this.wanted.delete(row.key);
    const rows = this.byNamespace.get(row.ns);
    rows?.delete(row.key);
    if (rows?.size === 0) this.byNamespace.delete(row.ns);
  }

  owners(): string[] {
    return [...new Set([...this.groups.keys(), ...this.dirty.keys()])];
  }

  isDirty(owner: string): boolean {
    return this.dirty.has(owner);
  }

  /** Owners with something not known to agree. */
  dirtyOwners(): string[] {
    return [...this.dirty.keys()];
  }

  namespaces(): NamespaceName[] {
    return [...new Set([...this.byNamespace.keys(), ...this.actual.keys()])];
  }

  desired(key: string): Row | undefined {
    return this.wanted.get(key)?.row;
  }

  /** All rows wanted in a namespace. */
  desiredIn(ns: NamespaceName): Row[] {
    return [...(this.byNamespace.get(ns)?.values() ?? [])];
  }

  /** Namespaces, daemons and files an owner wants; costs nothing for all its other rows. */
  standingOf(owner: string): StandingRow[] {
    return [...(this.standing.get(owner)?.values() ?? [])];
  }

  wantsNothing(owner: string): boolean {
    const groups = this.groups.get(owner);
    if (groups) for (const group of groups) if (group.length > 0) return false;
    return true;
  }

  /** Rows an owner wants. */
  desiredBy(owner: string): Row[] {
    return [...(this.groups.get(owner) ?? [])].flat();
  }

  ownersOf(key: string): readonly string[] {
    return [...(this.wanted.get(key)?.owners.keys() ?? [])];
  }

  /** Namespaces an owner's open questions are about. */
  namespacesOf(owner: string): NamespaceName[] {
    const found = new Set<NamespaceName>();
    for (const key of this.dirty.get(owner)?.keys() ?? []) found.add(key.slice(0, key.indexOf('|')));
    return [...found];
  }

  /** Rows of a namespace the owner wants, or has just wanted, and that nobody has seen there. */
  unseenBy(owner: string, ns: NamespaceName): Row[] {
    const seen = this.actual.get(ns);
    return [...(this.dirty.get(owner) ?? [])].flatMap(([key, former]) => {
      const row = this.wanted.get(key)?.row ?? former;
      return row?.ns === ns && !seen?.has(key) ? [row] : [];
    });
  }

  /** Rows whose objects can only be looked up one by one: wanted now, or until a moment ago. */
  formerIn(owner: string, ns: NamespaceName): Row[] {
    return [...(this.dirty.get(owner)?.values() ?? [])].filter(
      (row) => row !== undefined && row.ns === ns,
    ) as Row[];
  }

  /**
   * Rows this owner wanted, that nobody wants any more and that are not gone: those a later process would
   * not recognise as ours (ownership.ts).
   */
  leaving(owner: string): Row[] {
    return [...(this.dirty.get(owner)?.values() ?? [])].filter(
      (row): row is Row => row !== undefined && !this.wanted.has(row.key) && !isRecognised(row),
    );
  }

  isRead(ns: NamespaceName): boolean {
    return this.actual.has(ns);
  }

  actualRow(ns: NamespaceName, key: string): Found | undefined {
    return this.actual.get(ns)?.get(key);
  }

  /** Is this address known to be there, on whatever device? */
  hasAddress(ns: NamespaceName, ip: string, prefix: number): boolean {
    for (const row of this.actual.get(ns)?.values() ?? [])
      if (row.kind === 'address' && row.ip === ip && row.prefix === prefix) return true;
    return false;
  }

  /** What was read of a namespace: every disagreement becomes dirty, under an owner of the namespace. */
  setActual(ns: NamespaceName, rows: ReadonlyMap<string, Found>): void {
    this.actual.set(ns, new Map(rows));
    const desired = this.byNamespace.get(ns);
    let anyOwner: string | undefined;
    for (const [key, row] of desired ?? []) {
      const owner = this.ownersOf(key)[0]!;
      if (row.kind === 'netns' || anyOwner === undefined) anyOwner = owner;
      const found = rows.get(key);
      if (found !== row && (!found || difference(found, row) !== undefined)) this.mark(owner, key);
    }
    if (anyOwner === undefined) return;
    for (const [key, row] of rows) if (!desired?.has(key) && isStale(row)) this.mark(anyOwner, key);
  }

  /** One row read again (undefined: it is gone). */
  setActualRow(ns: NamespaceName, key: string, row: ActualRow | undefined): void {
    const rows = this.actual.get(ns);
    if (!rows) return;
    if (row) rows.set(key, row);
    else rows.delete(key);
    const wanted = this.wanted.get(key);
    if (wanted && (!row || difference(row, wanted.row) !== undefined)) this.mark(this.ownersOf(key)[0]!, key);
  }

  /** The namespace must be read again before the next decision. */
  forget(ns: NamespaceName): void {
    this.actual.delete(ns);
  }

  /** A step was done: actual is now what was wanted. */
  done(owner: string, change: Change): void {
    const ns = (change.desired ?? change.actual!).ns;
    const keys = this.dirty.get(owner);
    // What was wanted may be another thing since: starting a daemon takes its time.
    if (this.wanted.get(change.key)?.row === change.desired) keys?.delete(change.key);
    if (!change.desired && change.actual?.kind === 'netns') this.goneWith(ns, keys);
    if (keys?.size === 0) this.dirty.delete(owner);
    const rows = this.actual.get(ns);
    if (change.desired) rows?.set(change.key, change.desired);
    else if (change.actual?.kind === 'netns') this.actual.delete(ns);
    else rows?.delete(change.key);
  }

  private goneWith(ns: NamespaceName, keys: Map<string, Row | undefined> | undefined): void {
    for (const key of keys?.keys() ?? []) {
      const [where, kind] = key.split('|');
      if (where === ns && goesWithNamespace(kind!) && !this.wanted.has(key)) keys!.delete(key);
    }
  }

  /**
   * What an owner's dirty keys need. Keys that turn out to agree are cleared. All namespaces they are in
   * must have been read.
   */
  changes(owner: string): Change[] {
    const keys = this.dirty.get(owner);
    if (!keys) return [];
    const changes: Change[] = [];
    for (const [key, former] of keys) {
      const change = this.changeOf(key, former);
      if (change) changes.push(change);
      else keys.delete(key);
    }
    for (const change of this.elementsOfReplacedTables(changes)) changes.push(change);
    for (const change of this.endsOfNewPairs(changes)) changes.push(change);
    if (keys.size === 0) this.dirty.delete(owner);
    return changes;
  }

  private changeOf(key: string, former: Row | undefined): Change | undefined {
    const ns = key.slice(0, key.indexOf('|'));
    const actual = this.actual.get(ns)?.get(key);
    const desired = this.wanted.get(key)?.row;
    if (desired && 'keeper' in desired && desired.keeper) return undefined;
    if (!desired) {
      if (!actual || !(former || isStale(actual))) return undefined;
      // The kernel may call it a veth or a bond; it was somebody's before us, and only leaves the bridge.
      if (former?.kind === 'link' && former.type === 'physical')
        return actual.kind === 'link' && actual.master === former.master
          ? { key, actual: { ...actual, type: 'physical' }, reason: 'not wanted' }
          : undefined;
      // Its keeper has just been told; what it leaves behind is stale at the next reading.
      if (former && 'keeper' in former && former.keeper) return undefined;
      // What was wanted knows more than what can be read back (whether to drop its connections).
      return { key, actual: former && former.kind !== 'link' ? former : actual, reason: 'not wanted' };
    }
    if (actual === desired) return undefined;
    if (!actual) return { key, desired, reason: 'missing' };
    const reason = difference(actual, desired);
    return reason === undefined ? undefined : { key, desired, actual, reason };
  }

  /**
   * The other end of a veth pair comes with it, and is new even if one of that name was there: of a pair whose namespace
   * is being taken apart, which makes room.
   */
  private endsOfNewPairs(changes: readonly Change[]): Change[] {
    const known = new Set(changes.map((change) => change.key));
    return changes.flatMap(({ desired, actual }) => {
      if (desired?.kind !== 'link' || !desired.peer || actual) return [];
      const end = this.wanted.get(`${desired.peer.ns}|link|${desired.peer.name}`)?.row;
      return end && !known.has(end.key) ? [{ key: end.key, desired: end, reason: 'its pair is made' }] : [];
    });
  }

  /** A table that is replaced loses its elements: all that are wanted in it go in again. */
  private elementsOfReplacedTables(changes: readonly Change[]): Change[] {
    const known = new Set(changes.map((change) => change.key));
    const replaced = changes.filter((change) => change.desired?.kind === 'nft-table' && change.actual);
    return replaced.flatMap((change) => {
      const table = change.desired as NftTableRow;
      return this.desiredIn(table.ns).flatMap((row) =>
        row.kind === 'nft-element' &&
        row.family === table.family &&
        row.table === table.name &&
        !known.has(row.key)
          ? [{ key: row.key, desired: row, reason: 'its table is replaced' }]
          : [],
      );
    });
  }
}
