/**
 * What others change: the kernel's news are collected for a moment, what they are about is read again, and whose rows
 * differ is told. Most news of a namespace that was just built are consequences of that; they are recognised.
 */
import type { Sight } from '../kernel/monitor.ts';
import type { ActualRow } from './actual.ts';
import type { Delta } from './delta.ts';
import { readHostLink, readUnlisted } from './read.ts';
import { HOST, type NamespaceName } from './rows.ts';

/** Events settle this long before a namespace is looked at: a change often comes as several. */
const SETTLE_MS = 50;
/** A look at what was changed waits this long at most for owners being worked on. */
const PATIENCE_MS = 1_000;

/** After this long a look goes on in the next turn: each namespace costs a millisecond. */
const BUDGET_MS = 50;

export interface DriftSettings {
  readonly delta: Delta;
  readonly read: (ns: NamespaceName) => Map<string, ActualRow>;
  /** an owner rests in this namespace, and it is as that owner left it */
  readonly rests: (ns: NamespaceName) => boolean;
  /** owners being worked on */
  readonly busy: () => ReadonlySet<string>;
  /** a namespace was read again */
  readonly looked: (ns: NamespaceName) => void;
  /** what differs is marked in the delta: repair it */
  readonly repair: (busy: ReadonlySet<string>) => void;
}

export class Drift {
  private readonly settings: DriftSettings;
  private readonly namespaces = new Set<NamespaceName>();
  private readonly hostLinks = new Set<string>();
  private readonly files = new Set<string>();
  private since: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(settings: DriftSettings) {
    this.settings = settings;
  }

  /** News are being collected, or wait for owners at work. */
  get pending(): boolean {
    return this.timer !== undefined;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** Something in the namespace was changed; `sight`: what, and how it is now. */
  namespace(ns: NamespaceName, sight?: Sight): void {
    if (sight && this.isKnown(ns, sight)) return;
    this.namespaces.add(ns);
    this.soon();
  }

  /** A device of the host's namespace was made, changed or removed. */
  hostLink(name: string): void {
    if (this.settings.delta.desired(`${HOST}|link|${name}`) === undefined) return;
    this.hostLinks.add(name);
    this.soon();
  }

  /** Somebody wrote or removed the file of this row; false: it is wanted no more. */
  file(key: string): boolean {
    if (this.closed || this.settings.delta.desired(key) === undefined) return false;
    this.files.add(key);
    this.soon();
    return true;
  }

  /** Look before long, whatever was heard. */
  soon(): void {
    if (this.closed) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.look();
    }, SETTLE_MS);
  }

  /**
   * Is what the kernel shows of a device or address what we know of it anyway? It tells of carriers found, of addresses
   * checked for duplicates, and of those it made itself.
   */
  private isKnown(ns: NamespaceName, sight: Sight): boolean {
    const { delta } = this.settings;
    if (sight.link) {
      const { name, mac, mtu, up, carrier, master, addrGenMode } = sight.link;
      const known = delta.actualRow(ns, `${ns}|link|${name}`);
      if (known?.kind !== 'link' || known.master !== undefined || master !== undefined) return false;
      // A device of a switch has a carrier for as long as the switch has the device.
      if (known.type === 'abandoned' || (known.type === 'internal' && !carrier)) return false;
      const same = <T>(is: T | undefined, seen: T): boolean => is === undefined || is === seen;
      return (
        known.up === up &&
        same(known.mac, mac) &&
        same(known.mtu, mtu) &&
        same(known.addrGenMode, addrGenMode)
      );
    }
    const { ip, prefix, scope, permanent, dadFailed } = sight.address;
    return !dadFailed && (!permanent || scope === 'link' || delta.hasAddress(ns, ip, prefix));
  }

  /**
   * Owners at work are looked at once they are done; many at work (a full sync) come first for a while, because most of
   * what is heard then is what their devices bring about.
   */
  private look(): void {
    const { delta, repair } = this.settings;
    const busy = this.settings.busy();
    const now = performance.now();
    this.since ??= now;
    if (busy.size > 0 && now - this.since < PATIENCE_MS) {
      this.soon();
      return;
    }
    this.since = undefined;
    for (const ns of this.namespaces) {
      if (performance.now() - now > BUDGET_MS) break;
      this.lookAt(ns, busy);
    }
    for (const name of this.hostLinks) {
      this.hostLinks.delete(name);
      if (delta.isRead(HOST)) delta.setActualRow(HOST, `${HOST}|link|${name}`, readHostLink(name));
    }
    for (const key of this.files) this.lookAtFile(key, busy);
    repair(busy);
    if (this.namespaces.size + this.files.size > 0) this.soon();
  }

  /** What this process wrote itself turns out to be as it is wanted. */
  private lookAtFile(key: string, busy: ReadonlySet<string>): void {
    const { delta } = this.settings;
    if (delta.ownersOf(key).some((owner) => busy.has(owner))) return;
    this.files.delete(key);
    const row = delta.desired(key);
    if (row?.kind === 'file') delta.setActualRow(row.ns, key, readUnlisted([row])[0]);
  }

  private lookAt(ns: NamespaceName, busy: ReadonlySet<string>): void {
    const { delta, read, rests, looked } = this.settings;
    if (rests(ns)) {
      this.namespaces.delete(ns);
      return;
    }
    const owners = new Set(delta.desiredIn(ns).flatMap((row) => delta.ownersOf(row.key)));
    if ([...owners].some((owner) => busy.has(owner))) return;
    this.namespaces.delete(ns);
    if (owners.size > 0) delta.setActual(ns, read(ns));
    looked(ns);
  }
}
