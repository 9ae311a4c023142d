/**
 * What the L3 and the DHCP agent of this host have on record: their routers and networks, without asking a server.
 * Only what changed on disk is read again.
 */
import fs, { type FSWatcher } from 'node:fs';
import { join } from 'node:path';
import type { OwnerRecord } from '../../lib/process/agent-process.ts';
import type { MetadataInventory } from './agent.ts';

interface Known {
  /** tells one writing of the file from another */
  readonly stamp: string;
  readonly record: OwnerRecord;
}

const SUFFIX = '.json';
/** A burst of changes is one. */
const COLLECT_MS = 50;

export class RecordsView implements MetadataInventory {
  readonly #directory: string;
  #known = new Map<string, Known>();
  #dirty = true;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param directory of Records; it may not be there yet */
  constructor(directory: string) {
    this.#directory = directory;
  }

  async routers(): Promise<readonly unknown[]> {
    return this.#payloads('router');
  }

  async networks(): Promise<readonly unknown[]> {
    return this.#payloads('network');
  }

  /** The payload of one router or network; undefined: it is not on record. @throws Error naming a damaged file */
  payload(kind: OwnerRecord['kind'], id: string): unknown | undefined {
    this.#refresh();
    const record = this.#known.get(id)?.record;
    return record?.kind === kind ? record.payload : undefined;
  }

  subscribe(changed: () => void): () => void {
    fs.mkdirSync(this.#directory, { recursive: true, mode: 0o750 });
    this.#watcher = fs.watch(this.#directory, () => {
      this.#dirty = true;
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        changed();
      }, COLLECT_MS);
    });
    return () => {
      this.#watcher?.close();
      clearTimeout(this.#timer);
    };
  }

  #payloads(kind: OwnerRecord['kind']): unknown[] {
    this.#refresh();
    return [...this.#known.values()].flatMap(({ record }) => (record.kind === kind ? [record.payload] : []));
  }

  #refresh(): void {
    if (!this.#dirty) return;
    // Told anew about what changes while this reads.
    this.#dirty = this.#watcher === undefined;
    const next = new Map<string, Known>();
    for (const name of this.#names()) {
      const owner = name.slice(0, -SUFFIX.length);
      const known = this.#read(join(this.#directory, name), this.#known.get(owner));
      if (known) next.set(owner, known);
    }
    this.#known = next;
  }

  #names(): string[] {
    try {
      return fs.readdirSync(this.#directory).filter((name) => name.endsWith(SUFFIX));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  /** undefined: it has gone meanwhile */
  #read(path: string, known: Known | undefined): Known | undefined {
    try {
      const { ino, mtimeMs, size } = fs.statSync(path);
      const stamp = `${ino} ${mtimeMs} ${size}`;
      if (known?.stamp === stamp) return known;
      return { stamp, record: JSON.parse(fs.readFileSync(path, 'utf8')) as OwnerRecord };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      this.#dirty = true;
      throw new Error(`record ${path} can't be read: ${(error as Error).message}`);
    }
  }
}
