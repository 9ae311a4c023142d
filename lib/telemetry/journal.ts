import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

/** One change of one router or network: why, what was decided, what was done, how long it took. */
export interface JournalEntry {
  /** ISO 8601, UTC */
  readonly at: string;
  /** what started it: 'routers_updated', 'full sync', 'drift: address 10.0.0.1/24 missing' */
  readonly cause: string;
  /** 'reconcile', 'remove', 'nothing to do', … */
  readonly decision: string;
  /** the steps in the operator's terms, in order */
  readonly operations: readonly string[];
  readonly ms: number;
  readonly outcome: 'done' | 'failed';
  readonly error?: string;
}

export interface Journal {
  /** One synchronous write; the entry is on its way to the disk when this returns. */
  append(owner: string, entry: Omit<JournalEntry, 'at'> & { readonly at?: string }): void;
  /** Oldest first. Empty for an owner that has none. */
  read(owner: string): JournalEntry[];
  /** Routers and networks that have a journal, sorted. */
  owners(): string[];
  /** Removes the journal of an owner. */
  forget(owner: string): void;
}

/** More operations than this are counted, not listed: the first ones tell the story. */
const OPERATIONS_KEPT = 100;
const NEWER = '.jsonl';
const OLDER = '.older.jsonl';

/**
 * The flight recorder: a small ring on disk per owner, readable with any agent dead and after a restart.
 *
 * A ring is two files of JSON lines, `<owner>.jsonl` and `<owner>.older.jsonl`. When the newer one has reached
 * `halfBytes`, it becomes the older one, and what was older goes. So a ring holds between one and two halves,
 * nothing is ever rewritten in place, and a process killed mid-write loses at most its last line.
 */
export function openJournal(directory: string, halfBytes = 32 * 1024): Journal {
  const pathOf = (owner: string, suffix: string): string => join(directory, fileName(owner) + suffix);
  let made = false;

  const append: Journal['append'] = (owner, entry) => {
    if (!made) {
      mkdirSync(directory, { recursive: true, mode: 0o750 });
      made = true;
    }
    const text = serialize(entry);
    const path = pathOf(owner, NEWER);
    const file = openSync(path, 'a+', 0o640);
    try {
      const { size } = fstatSync(file);
      writeSync(file, endsTorn(file, size) ? `\n${text}` : text);
      if (size + Buffer.byteLength(text) >= halfBytes) renameSync(path, pathOf(owner, OLDER));
    } finally {
      closeSync(file);
    }
  };

  return {
    append,
    read: (owner) => [...readEntries(pathOf(owner, OLDER)), ...readEntries(pathOf(owner, NEWER))],
    owners: () => listOwners(directory),
    forget: (owner) => {
      for (const suffix of [NEWER, OLDER]) rmSync(pathOf(owner, suffix), { force: true });
    },
  };
}

/** Ids come from payloads and topology files: whatever they contain, they stay in the journal's folder. */
function fileName(owner: string): string {
  const name = encodeURIComponent(owner).replaceAll('.', '%2E');
  if (name === '' || name.length > 200) {
    throw new RangeError(`journal: "${owner.slice(0, 40)}" cannot name a journal (1 to 200 characters)`);
  }
  return name;
}

function serialize(entry: Parameters<Journal['append']>[1]): string {
  const extra = entry.operations.length - OPERATIONS_KEPT;
  const operations =
    extra > 0 ? [...entry.operations.slice(0, OPERATIONS_KEPT), `… and ${extra} more`] : entry.operations;
  const { at = new Date().toISOString(), ...rest } = entry;
  return `${JSON.stringify({ at, ...rest, operations, ms: Math.round(entry.ms * 100) / 100 })}\n`;
}

/** True when the last line was cut off by a crash: the next entry must not be glued to it. */
function endsTorn(file: number, size: number): boolean {
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last[0] !== 0x0a;
}

function readEntries(path: string): JournalEntry[] {
  return readText(path)
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as JournalEntry];
      } catch {
        return [];
      }
    });
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

function listOwners(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const owners = names
    .filter((name) => name.endsWith(NEWER))
    .map((name) => decodeURIComponent(name.replace(/(\.older)?\.jsonl$/, '')));
  return [...new Set(owners)].sort();
}
