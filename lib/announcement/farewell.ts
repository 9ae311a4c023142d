/**
 * Tells hosts of what radvd announced and will not announce any more. radvd itself forgets without a word what left
 * its file, and hosts would go on using it for hours.
 */
import fs from 'node:fs';
import { endDaemon, runningDaemon } from '../daemon/control.ts';
import { sendAdvertisement } from '../kernel/router-advertisement.ts';
import type { RowGroup } from '../namespace/rows.ts';
import type { Advertisement } from './advertisement.ts';
import { type AnnouncementOptions, routerLifetime } from './options.ts';
import { type RadvdPlace, radvdRows } from './radvd.ts';
import { announcedIn, stillGone, type Withdrawal, withdrawals } from './withdrawal.ts';

/** Rounds for a device that stays, and milliseconds between them. One that leaves can speak once only. */
const ROUNDS = 3;
const APART_MS = 2_000;

export interface Leaving {
  readonly place: RadvdPlace;
  /** announced from now on */
  readonly wanted: readonly Advertisement[];
  readonly options: AnnouncementOptions;
  /** prefixes that somebody else announces from now on */
  readonly elsewhere?: readonly string[];
}

/** What an agent needs of it, before it changes a router or a network. */
export interface Farewell {
  /**
   * Returns when the first round is out. Nothing is said if nothing was announced, or all of it stays. A radvd that
   * would answer hosts on a device that leaves was ended before.
   * @returns true: radvd was ended and has more to announce; it must be started again, with its new file
   */
  say(leaving: Leaving): boolean;
  close(): void;
}

interface Pending {
  gone: readonly Withdrawal[];
  round: number;
  timer: NodeJS.Timeout;
}

export class Withdrawals implements Farewell {
  /** by configuration file */
  private readonly pending = new Map<string, Pending>();
  private readonly warn: (id: string, message: string) => void;

  constructor(warn: (id: string, message: string) => void) {
    this.warn = warn;
  }

  say({ place, wanted, options, elsewhere = [] }: Leaving): boolean {
    const conf = textOf(place.confPath);
    const gone = conf === undefined ? [] : withdrawals(announcedIn(conf), wanted, elsewhere);
    const known = this.pending.get(place.confPath);
    // What is announced again must not be withdrawn once more.
    if (known) known.gone = stillGone(known.gone, wanted, elsewhere);
    if (gone.length === 0 || !runningDaemon(place)) return false;
    // It would answer a host that asks a moment later as it did before, and take the word back. Telling it of its new
    // file is not enough: nothing shows when it has read that.
    const ended = gone.some(({ leaves }) => leaves) && endDaemon(place);
    clearTimeout(known?.timer);
    this.round(place, options, { gone: [...(known?.gone ?? []), ...gone], round: 1 });
    return ended && wanted.length > 0;
  }

  close(): void {
    for (const { timer } of this.pending.values()) clearTimeout(timer);
    this.pending.clear();
  }

  private round(place: RadvdPlace, options: AnnouncementOptions, now: Omit<Pending, 'timer'>): void {
    this.pending.delete(place.confPath);
    for (const one of now.gone) this.send(place, one, options);
    const gone = now.gone.filter(({ leaves }) => !leaves);
    if (now.round === ROUNDS || gone.length === 0) return;
    const next: Pending = {
      gone,
      round: now.round + 1,
      timer: setTimeout(() => this.round(place, options, next), APART_MS).unref(),
    };
    this.pending.set(place.confPath, next);
  }

  /** A failure costs hosts a stale address or router, which the change itself must not wait for. */
  private send(place: RadvdPlace, one: Withdrawal, options: AnnouncementOptions): void {
    try {
      sendAdvertisement(place.ns, one.device, {
        managed: one.managed,
        otherConfig: one.otherConfig,
        preference: options.adv_default_preference,
        routerLifetime: one.defaultRouter ? routerLifetime(options) : 0,
        endingPrefixes: one.prefixes,
      });
    } catch (error) {
      this.warn(
        place.id,
        `hosts could not be told on ${one.device} what is gone: ${(error as Error).message}`,
      );
    }
  }
}

/** undefined: there is no such file */
function textOf(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Rows of a radvd that an earlier agent, ours or Neutron's, may have left there: to be wanted for a moment, so that
 * what is wanted afterwards ends it.
 */
export const radvdLeft = (place: RadvdPlace): RowGroup[] =>
  fs.existsSync(place.confPath) ? [radvdRows(place, '', '')] : [];
