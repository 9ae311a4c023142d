/**
 * Tells when somebody touched one of the files that are rows: by inotify on their directories, all through the one
 * instance of this process's event loop. What else happens in a directory (a daemon writes its leases) is no news.
 */
import fs from 'node:fs';
import { basename, dirname } from 'node:path';
import type { FileRow } from './rows.ts';

interface Watched {
  readonly watcher: fs.FSWatcher;
  /** row keys by file name */
  readonly files: Map<string, string>;
}

export class FileWatch {
  private readonly directories = new Map<string, Watched>();
  private readonly changed: (key: string) => boolean;

  /** `changed` is called with a row's key, also for what this process writes itself; false: nobody wants that row. */
  constructor(changed: (key: string) => boolean) {
    this.changed = changed;
  }

  /** A directory that can't be watched (the kernel's limit is reached) is not: its files are seen at the next reading. */
  watch({ path, key }: Pick<FileRow, 'path' | 'key'>): void {
    const directory = dirname(path);
    const known = this.directories.get(directory);
    if (known) known.files.set(basename(path), key);
    else this.open(directory, new Map([[basename(path), key]]));
  }

  close(): void {
    for (const directory of [...this.directories.keys()]) this.drop(directory);
  }

  private open(directory: string, files: Map<string, string>): void {
    try {
      const watcher = fs.watch(directory, { persistent: false }, (_event, name) =>
        this.heard(directory, files, name),
      );
      watcher.on('error', () => this.drop(directory));
      this.directories.set(directory, { watcher, files });
    } catch {
      // Gone already, or one watch too many.
    }
  }

  private heard(directory: string, files: Map<string, string>, name: string | null): void {
    const key = name === null ? undefined : files.get(name);
    if (name !== null && key !== undefined) {
      if (!this.changed(key)) files.delete(name);
    } else if (name === null || name === basename(directory)) this.lost(directory, files);
  }

  /** The directory itself went: whoever makes its files again watches again. */
  private lost(directory: string, files: ReadonlyMap<string, string>): void {
    if (fs.existsSync(directory)) return;
    this.drop(directory);
    for (const key of files.values()) this.changed(key);
  }

  private drop(directory: string): void {
    this.directories.get(directory)?.watcher.close();
    this.directories.delete(directory);
  }
}
