/**
 * What an agent was last asked to build, on disk: one JSON file for each router or network. Written before the
 * kernel is touched for a new one, so that a crash leaves nothing nobody remembers; read at start (what
 * is ours to remove) and by the operator's command with no agent running.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { counters } from '../kernel/counters.ts';
import type { Row } from './rows.ts';

const NAME = /^[A-Za-z0-9._-]{1,200}$/;
const SUFFIX = '.json';
/** Member of a record's file; records have none of that name. */
const LEAVING = 'leaving';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export class Records {
  readonly directory: string;
  private readonly texts = new Map<string, string>();
  /** what each record with rows on their way out says besides them */
  private readonly unfinished = new Map<string, { record: unknown; leaving: readonly Row[] }>();
  private made = false;

  constructor(directory: string) {
    this.directory = directory;
  }

  private path(owner: string): string {
    if (!NAME.test(owner)) throw new RangeError(`not fit to name a record: ${JSON.stringify(owner)}`);
    return join(this.directory, owner + SUFFIX);
  }

  /** All records; a file that can't be understood is an error naming it (nothing is guessed away). */
  load(): Map<string, unknown> {
    const { found, damaged } = this.read();
    for (const reason of damaged.values()) throw new Error(reason);
    return found;
  }

  /** All records that can be understood, and why the others can't, by owner. */
  read(): { found: Map<string, unknown>; damaged: Map<string, string> } {
    const found = new Map<string, unknown>();
    const damaged = new Map<string, string>();
    for (const name of this.names()) {
      const path = join(this.directory, name);
      const owner = name.slice(0, -SUFFIX.length);
      const text = fs.readFileSync(path, 'utf8');
      try {
        found.set(owner, this.understood(owner, JSON.parse(text)));
        this.texts.set(owner, text);
      } catch {
        damaged.set(owner, `${path} is damaged: move it away and remove by hand what it was for`);
      }
    }
    return { found, damaged };
  }

  private understood(owner: string, parsed: unknown): unknown {
    if (!isObject(parsed) || !Array.isArray(parsed[LEAVING])) return parsed;
    const { [LEAVING]: leaving, ...record } = parsed;
    this.unfinished.set(owner, { record, leaving: leaving as Row[] });
    return record;
  }

  private names(): string[] {
    try {
      return fs.readdirSync(this.directory).filter((name) => name.endsWith(SUFFIX));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  /**
   * Atomic; no write if nothing changed. `leaving`: rows of an earlier record that are still to be removed and
   * that nobody would know without this one.
   */
  save(owner: string, record: unknown, leaving: readonly Row[] = []): void {
    const unfinished = leaving.length > 0 && isObject(record);
    if (unfinished) this.unfinished.set(owner, { record, leaving });
    else this.unfinished.delete(owner);
    const text = JSON.stringify(unfinished ? { ...record, [LEAVING]: leaving } : record);
    if (this.texts.get(owner) === text) return;
    if (!this.made) {
      fs.mkdirSync(this.directory, { recursive: true, mode: 0o750 });
      this.made = true;
    }
    const path = this.path(owner);
    counters.writes += 1;
    fs.writeFileSync(`${path}.new`, text, { mode: 0o600 });
    fs.renameSync(`${path}.new`, path);
    this.texts.set(owner, text);
  }

  /** Rows on their way out when the record was written. */
  leaving(owner: string): readonly Row[] {
    return this.unfinished.get(owner)?.leaving ?? [];
  }

  /** All that was on its way out is gone. */
  finish(owner: string): void {
    const known = this.unfinished.get(owner);
    if (known) this.save(owner, known.record);
  }

  has(owner: string): boolean {
    return this.texts.has(owner);
  }

  /** The record as it stands on disk. */
  text(owner: string): string | undefined {
    return this.texts.get(owner);
  }

  remove(owner: string): void {
    this.unfinished.delete(owner);
    if (!this.texts.delete(owner)) return;
    counters.writes += 1;
    fs.rmSync(this.path(owner), { force: true });
  }
}
