/**
 * What makes a restart cheap. Of an owner found to be exactly as wanted a seal is kept beside its record: a digest of
 * that record and of all else its rows follow from, an imprint of what the kernel holds in its namespaces, and its rows
 * outside of them. The next process that is asked for the same, and finds the same imprints, need neither compile nor
 * read and compare row by row. A seal is never needed: one that is missing, damaged or does not fit costs the
 * full way, nothing else.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { counters } from '../kernel/counters.ts';
import { namespaceImprint } from '../kernel/imprint.ts';
import { readFile } from '../kernel/libc.ts';
import type { NamespaceName, Row } from './rows.ts';

/** What is longer is no seal: that owner goes the full way. */
const CONTENT = Buffer.alloc(1024 * 1024);
const NAME = /^[A-Za-z0-9._-]{1,200}$/;
const SUFFIX = '.seal';
const END_OF_HEAD = 0x0a;

/** A namespace in which only this owner wants something. */
export interface Home {
  readonly ns: NamespaceName;
  /** names below /proc/sys of wanted parameters that belong to no device */
  readonly parameters: readonly string[];
  /** permanent or proxy neighbours are wanted there */
  readonly neighbours: boolean;
}

export interface Seal {
  /** of the record and of all else the rows follow from (`digestOf`) */
  readonly digest: string;
  /** rows in other namespaces: the host's, and those that owners share */
  readonly outside: readonly Row[];
  readonly homes: readonly (Home & { readonly imprint: Buffer })[];
}

/** How a seal begins in its file: one line of JSON; the imprints follow. */
interface Head {
  readonly digest: string;
  readonly outside: readonly Row[];
  readonly homes: readonly (Home & { readonly bytes: number })[];
}

/** @param basis stands for all that the rows follow from besides the record: options, host, program */
export const digestOf = (record: string, basis: string): string =>
  createHash('sha1').update(record).update('\0').update(basis).digest('base64');

/** Is the namespace as it was when it was sealed? */
export const isIntact = ({ imprint, ...home }: Seal['homes'][number]): boolean =>
  namespaceImprint(home)?.equals(imprint) === true;

export class Seals {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  private path(owner: string): string {
    return join(this.directory, owner + SUFFIX);
  }

  /** undefined: there is none, or it can't be understood. */
  read(owner: string): Seal | undefined {
    const content = this.content(owner);
    const end = content?.indexOf(END_OF_HEAD) ?? -1;
    if (!content || end < 0) return undefined;
    try {
      const { digest, outside, homes } = JSON.parse(content.toString('utf8', 0, end)) as Head;
      let at = end + 1;
      const withImprints = homes.map(({ bytes, ...home }) => {
        const imprint = Buffer.from(content.subarray(at, at + bytes));
        at += bytes;
        return { ...home, imprint };
      });
      return at === content.length ? { digest, outside, homes: withImprints } : undefined;
    } catch {
      return undefined;
    }
  }

  private content(owner: string): Buffer | undefined {
    if (!NAME.test(owner)) return undefined;
    const length = readFile(this.path(owner), CONTENT);
    return length < 0 || length === CONTENT.length ? undefined : CONTENT.subarray(0, length);
  }

  /** No write if nothing changed. */
  save(owner: string, { digest, outside, homes }: Seal): void {
    if (!NAME.test(owner)) return;
    const head: Head = {
      digest,
      outside,
      homes: homes.map(({ imprint, ...home }) => ({ ...home, bytes: imprint.length })),
    };
    const content = Buffer.concat([
      Buffer.from(`${JSON.stringify(head)}\n`),
      ...homes.map(({ imprint }) => imprint),
    ]);
    if (this.content(owner)?.equals(content)) return;
    fs.mkdirSync(this.directory, { recursive: true, mode: 0o750 });
    counters.writes += 1;
    fs.writeFileSync(this.path(owner), content, { mode: 0o600 });
  }

  remove(owner: string): void {
    if (NAME.test(owner)) fs.rmSync(this.path(owner), { force: true });
  }
}
