/**
 * Sealing owners a while after their last change, one at a time between other work (seals.ts says what a seal is).
 */

import { namespaceImprint } from '../kernel/imprint.ts';
import type { ActualRow } from './actual.ts';
import type { Delta } from './delta.ts';
import type { Records } from './records.ts';
import type { NamespaceName, Row } from './rows.ts';
import { digestOf, type Home, isIntact, type Seal, Seals } from './seals.ts';

/** Longer than duplicate address detection takes: what it makes appear would break the seal at once. */
const DELAY_MS = 3_000;
/** Between two owners: each costs two to three milliseconds. */
const PAUSE_MS = 10;

/** Kinds that an imprint covers whole. Files and daemons are outside of the namespace. */
const COVERED: ReadonlySet<Row['kind']> = new Set([
  'netns',
  'link',
  'address',
  'route',
  'rule',
  'neighbour',
  'sysctl',
  'nft-table',
  'nft-element',
]);

/** Parameters of a device come with the device, but for those of its neighbour table. */
const OF_DEVICE = /^net\/ipv[46]\/conf\/(?!(?:all|default)\/)/;

const isCovered = (row: Row): boolean =>
  COVERED.has(row.kind) && !(row.kind === 'link' && row.checksumOffload === false);

const homeOf = (ns: NamespaceName, rows: readonly Row[]): Home => ({
  ns,
  parameters: rows.flatMap((row) => (row.kind === 'sysctl' && !OF_DEVICE.test(row.name) ? [row.name] : [])),
  neighbours: rows.some((row) => row.kind === 'neighbour'),
});

export interface SealingSettings {
  readonly records: Records;
  readonly delta: Delta;
  readonly read: (ns: NamespaceName) => Map<string, ActualRow>;
  /** the reading before a seal found something that is not as wanted */
  readonly drifted: () => void;
}

export class Sealing {
  private readonly settings: SealingSettings;
  private readonly seals: Seals;
  /** owners that can be sealed → what their rows follow from besides their record */
  private readonly bases = new Map<string, string>();
  private readonly waiting = new Set<string>();
  private timer: NodeJS.Timeout | undefined;

  constructor(settings: SealingSettings) {
    this.settings = settings;
    this.seals = new Seals(settings.records.directory);
  }

  /** What the owner's rows follow from besides its record; undefined: it is not sealed. */
  based(owner: string, basis: string | undefined): void {
    if (basis === undefined) this.bases.delete(owner);
    else this.bases.set(owner, basis);
  }

  isBased(owner: string, basis: string): boolean {
    return this.bases.get(owner) === basis;
  }

  /** The seal an earlier process left of the owner as it is on record. */
  recall(owner: string, basis: string): Seal | undefined {
    const { records } = this.settings;
    const text = records.text(owner);
    if (text === undefined || records.leaving(owner).length > 0) return undefined;
    const seal = this.seals.read(owner);
    return seal?.digest === digestOf(text, basis) ? seal : undefined;
  }

  /** Nothing of the owner is left. */
  gone(owner: string): void {
    this.bases.delete(owner);
    this.waiting.delete(owner);
    this.seals.remove(owner);
  }

  /** Work on the owner is done for now, or something was found in its namespaces. */
  soon(owner: string): void {
    if (!this.bases.has(owner)) return;
    this.waiting.delete(owner);
    this.waiting.add(owner);
    this.timer ??= setTimeout(() => this.next(), DELAY_MS).unref();
  }

  /** Seal all that wait for it, now. */
  finish(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const owner of this.waiting) this.seal(owner);
    this.waiting.clear();
  }

  private next(): void {
    this.timer = undefined;
    const [owner] = this.waiting;
    if (owner === undefined) return;
    this.waiting.delete(owner);
    this.seal(owner);
    if (this.waiting.size > 0) this.timer = setTimeout(() => this.next(), PAUSE_MS).unref();
  }

  /** Namespaces the owner has for itself; undefined if there are none, or one holds what no imprint covers. */
  private homes(owner: string): Home[] | undefined {
    const { delta } = this.settings;
    const homes: Home[] = [];
    for (const { kind, ns } of delta.standingOf(owner)) {
      if (kind !== 'netns') continue;
      const rows = delta.desiredIn(ns);
      if (!rows.every(({ key }) => delta.ownersOf(key).length === 1)) continue;
      if (!rows.every(isCovered)) return undefined;
      homes.push(homeOf(ns, rows));
    }
    return homes.length > 0 ? homes : undefined;
  }

  /** The owner as it is now. */
  private draft(owner: string): Seal | undefined {
    const { delta, records } = this.settings;
    const [text, basis, homes] = [records.text(owner), this.bases.get(owner), this.homes(owner)];
    if (text === undefined || basis === undefined || !homes) return undefined;
    const inside = new Set(homes.map(({ ns }) => ns));
    const sealed: Seal['homes'][number][] = [];
    for (const home of homes) {
      const imprint = namespaceImprint(home);
      if (!imprint) return undefined;
      sealed.push({ ...home, imprint: Buffer.from(imprint) });
    }
    const outside = delta.desiredBy(owner).filter(({ ns }) => !inside.has(ns));
    return { digest: digestOf(text, basis), outside, homes: sealed };
  }

  /** An imprint counts only if a reading between two equal ones found the namespace to be as wanted. */
  private seal(owner: string): void {
    const { delta, read, drifted } = this.settings;
    const draft = this.draft(owner);
    if (!draft) {
      this.seals.remove(owner);
      return;
    }
    for (const { ns } of draft.homes) delta.setActual(ns, read(ns));
    if (delta.isDirty(owner)) drifted();
    else if (draft.homes.every(isIntact)) this.seals.save(owner, draft);
  }
}
