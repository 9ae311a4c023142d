/**
 * Which namespaces have a valid seal, and sealing the others a while after their last change, one at a time between
 * other work (seals.ts says what a seal is).
 */
import type { ActualRow } from './actual.ts';
import type { Delta } from './delta.ts';
import { HOST, type NamespaceName, type Row } from './rows.ts';
import { Seals } from './seals.ts';

/** Longer than duplicate address detection takes: what it makes appear would break the seal at once. */
const DELAY_MS = 3_000;
/** Between two namespaces: each costs two to three milliseconds. */
const PAUSE_MS = 10;

export interface SealingSettings {
  readonly directory: string;
  readonly delta: Delta;
  readonly read: (ns: NamespaceName) => Map<string, ActualRow>;
  /** the reading before a seal found something that is not as wanted */
  readonly drifted: () => void;
}

export class Sealing {
  private readonly settings: SealingSettings;
  private readonly seals: Seals;
  private readonly sealed = new Set<NamespaceName>();
  private readonly waiting = new Set<NamespaceName>();
  private timer: NodeJS.Timeout | undefined;

  constructor(settings: SealingSettings) {
    this.settings = settings;
    this.seals = new Seals(settings.directory);
  }

  /** All rows of the namespace as they are wanted, if its seal tells that they are there and nothing else of ours. */
  rows(ns: NamespaceName): Map<string, Row> | undefined {
    const wanted = this.settings.delta.desiredIn(ns);
    if (!Seals.fits(ns, wanted) || !this.seals.isIntact(ns, wanted)) return undefined;
    this.sealed.add(ns);
    return new Map(wanted.map((row) => [row.key, row]));
  }

  /** Something was done or found there: its seal is of the past. */
  broken(ns: NamespaceName): void {
    this.sealed.delete(ns);
  }

  /** The namespace was removed. */
  gone(ns: NamespaceName): void {
    this.sealed.delete(ns);
    this.waiting.delete(ns);
    this.seals.remove(ns);
  }

  /** Work on the namespace is done for now. */
  soon(ns: NamespaceName): void {
    if (ns === HOST || this.sealed.has(ns)) return;
    this.waiting.delete(ns);
    this.waiting.add(ns);
    this.timer ??= setTimeout(() => this.next(), DELAY_MS).unref();
  }

  /** Seal all that wait for it, now. */
  finish(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const ns of this.waiting) this.seal(ns);
    this.waiting.clear();
  }

  private next(): void {
    this.timer = undefined;
    const [ns] = this.waiting;
    if (ns === undefined) return;
    this.waiting.delete(ns);
    this.seal(ns);
    if (this.waiting.size > 0) this.timer = setTimeout(() => this.next(), PAUSE_MS).unref();
  }

  /** The imprint counts only if a reading between two equal ones found the namespace to be as wanted. */
  private seal(ns: NamespaceName): void {
    const { delta, read, drifted } = this.settings;
    const wanted = delta.desiredIn(ns);
    const imprint = Seals.of(ns, wanted);
    if (imprint === undefined) {
      this.seals.remove(ns);
      return;
    }
    const before = Buffer.from(imprint);
    delta.setActual(ns, read(ns));
    if (wanted.some((row) => delta.ownersOf(row.key).some((owner) => delta.isDirty(owner)))) drifted();
    else if (Seals.of(ns, wanted)?.equals(before)) {
      this.seals.save(ns, before);
      this.sealed.add(ns);
    }
  }
}
