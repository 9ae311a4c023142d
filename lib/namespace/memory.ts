/** What owners are remembered by over restarts: written before the kernel is touched for a new one, else in bursts. */
import type { Delta } from './delta.ts';
import type { Change } from './plan.ts';
import type { Records } from './records.ts';
import { HOST, type RowGroup } from './rows.ts';

const DELAY_MS = 500;

export class Memory {
  private readonly records: Records;
  private readonly delta: Delta;
  private readonly recalled = new Set<string>();
  private readonly unsaved = new Map<string, unknown>();
  private timer: NodeJS.Timeout | undefined;

  constructor(records: Records, delta: Delta) {
    this.records = records;
    this.delta = delta;
  }

  /** What the owner is to be remembered by, once it comes to that. */
  note(owner: string, record: unknown): void {
    this.unsaved.set(owner, record);
  }

  drop(owner: string): void {
    this.unsaved.delete(owner);
  }

  /** What an earlier process was about to remove for this owner was wanted until now. */
  recall(owner: string, groups: readonly RowGroup[]): void {
    if (this.recalled.has(owner)) return;
    this.recalled.add(owner);
    const leaving = this.records.leaving(owner);
    if (leaving.length > 0) this.delta.setDesired(owner, [leaving, ...groups]);
  }

  /**
   * Before the kernel is touched a new owner must be on record, and whatever is added to the host's
   * namespace, where names alone prove nothing. All else is written a moment later: a burst costs one write.
   */
  before(owner: string, changes: readonly Change[]): void {
    if (!this.unsaved.has(owner)) return;
    const onHost = changes.some((change) => change.desired?.ns === HOST && !change.actual);
    if (onHost || !this.records.has(owner)) this.save(owner);
  }

  /** Work for the owner has ended for now. */
  after(owner: string): void {
    if (this.delta.wantsNothing(owner) && !this.delta.isDirty(owner)) this.records.remove(owner);
    else if (this.delta.leaving(owner).length === 0) this.records.finish(owner);
    if (this.unsaved.has(owner)) this.timer ??= setTimeout(() => this.flush(), DELAY_MS);
  }

  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    for (const owner of [...this.unsaved.keys()]) this.save(owner);
  }

  private save(owner: string): void {
    const record = this.unsaved.get(owner);
    this.unsaved.delete(owner);
    if (record !== undefined) this.records.save(owner, record, this.delta.leaving(owner));
  }
}
