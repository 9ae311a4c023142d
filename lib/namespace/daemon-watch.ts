/** The ends of daemons: each is heard at once (pidfd), and the daemon wanted again, at once or with growing pauses. */
import { runningDaemon } from '../daemon/control.ts';
import type { Monitor } from '../kernel/monitor.ts';
import type { Delta } from './delta.ts';
import { backoffDelay, DEFAULT_BACKOFF } from './queue.ts';
import type { DaemonRow } from './rows.ts';

/** A daemon that lived shorter than this is restarted with backoff. */
const QUICK_DEATH_MS = 5_000;

export interface DaemonWatchSettings {
  readonly delta: Delta;
  readonly monitor: Monitor;
  /** reconcile the owner in so many milliseconds */
  readonly again: (owner: string, delay: number) => void;
  /** 'leave': the end was meant, or is somebody else's affair */
  readonly onEnd?: (row: DaemonRow) => 'respawn' | 'leave';
  readonly onError?: (message: string) => void;
}

export class DaemonWatch {
  private readonly settings: DaemonWatchSettings;
  private readonly watched = new Map<string, { pid: number; stop: () => void }>();
  /** daemons that ended soon after their start: how many times in a row */
  private readonly quickDeaths = new Map<string, number>();

  constructor(settings: DaemonWatchSettings) {
    this.settings = settings;
  }

  close(): void {
    for (const { stop } of this.watched.values()) stop();
    this.watched.clear();
  }

  /** It is about to be stopped: that is no news. */
  forget(row: DaemonRow): void {
    this.watched.get(row.key)?.stop();
    this.watched.delete(row.key);
    this.quickDeaths.delete(row.key);
  }

  /** Hear of its end from now on. */
  follow(owner: string, row: DaemonRow): void {
    const found = runningDaemon(row);
    const known = this.watched.get(row.key);
    if (found && known?.pid === found.pid) return;
    known?.stop();
    if (!found) {
      if (this.settings.delta.actualRow(row.ns, row.key)) this.ended(owner, row, 0);
      return;
    }
    const since = Date.now();
    const stop = this.settings.monitor.watchProcess(found.pid, () =>
      this.ended(owner, row, Date.now() - since),
    );
    this.watched.set(row.key, { pid: found.pid, stop });
  }

  /** Started again: at once if it lived for a while, else later each time. */
  private ended(owner: string, row: DaemonRow, livedMs: number): void {
    const { delta, again, onEnd, onError } = this.settings;
    this.watched.delete(row.key);
    if (delta.desired(row.key) === undefined) return;
    delta.setActualRow(row.ns, row.key, undefined);
    // Looked for again before it is started: it may be slow to write its pid file.
    delta.forget(row.ns);
    if (onEnd?.(row) === 'leave') return;
    const deaths = livedMs > QUICK_DEATH_MS ? 0 : (this.quickDeaths.get(row.key) ?? 0) + 1;
    this.quickDeaths.set(row.key, deaths);
    if (deaths > 0) onError?.(`${row.service} of ${row.id} ended soon after its start (${deaths} times)`);
    again(owner, deaths === 0 ? 0 : backoffDelay(deaths, DEFAULT_BACKOFF, Math.random()));
  }
}
