import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListenerKernel } from '../../../agents/metadata/listeners.ts';
import { listenTcp } from '../../../lib/kernel/socket.ts';

/** Namespaces that are files in a directory; sockets that are this process's own, on 127.0.0.1. */
export interface PretendKernel extends ListenerKernel {
  /** a file without a namespace behind it, as there is one for a moment while a namespace is made */
  makeFile(ns: string): void;
  mount(ns: string): void;
  make(ns: string): void;
  delete(ns: string): void;
  /** the next openings in this namespace fail */
  breakNamespace(ns: string, error: string | undefined): void;
  openings(ns: string): number;
  cleanup(): void;
}

export function pretendKernel(): PretendKernel {
  const directory = mkdtempSync(join(tmpdir(), 'vdt-netns-'));
  const mounted = new Set<string>();
  const broken = new Map<string, string>();
  const openings = new Map<string, number>();
  const path = (ns: string) => join(directory, ns);
  const kernel: PretendKernel = {
    directory,
    namespaceInode: (ns) => (mounted.has(ns) && existsSync(path(ns)) ? statSync(path(ns)).ino : undefined),
    listenTcp({ ns, port, backlog }) {
      openings.set(ns, (openings.get(ns) ?? 0) + 1);
      const error = broken.get(ns);
      if (error) throw new Error(error);
      return listenTcp({ ns: '', address: '127.0.0.1', port, backlog });
    },
    inNamespace: (_, fn) => fn(),
    makeFile: (ns) => writeFileSync(path(ns), ''),
    mount: (ns) => mounted.add(ns),
    make(ns) {
      mounted.add(ns);
      // Written aside first: an inode number that was just freed would be given out again.
      writeFileSync(path(`${ns}.new`), '');
      renameSync(path(`${ns}.new`), path(ns));
    },
    delete(ns) {
      mounted.delete(ns);
      rmSync(path(ns));
    },
    breakNamespace: (ns, error) => void (error ? broken.set(ns, error) : broken.delete(ns)),
    openings: (ns) => openings.get(ns) ?? 0,
    cleanup: () => rmSync(directory, { recursive: true }),
  };
  return kernel;
}

/** A port that is free at the moment. */
export function freePort(): number {
  return 20_000 + Math.floor(Math.random() * 10_000);
}
