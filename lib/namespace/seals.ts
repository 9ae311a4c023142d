/**
 * What makes a restart cheap: for each namespace found to be exactly as wanted, what is wanted and an imprint of what
 * the kernel holds. The next process that wants the same and finds the same imprint need not read and compare row by
 * row. A seal is never needed: one that is missing, damaged or does not fit costs the full reading, nothing else.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { counters } from '../kernel/counters.ts';
import { namespaceImprint } from '../kernel/imprint.ts';
import { readFile } from '../kernel/libc.ts';
import { HOST, type NamespaceName, type Row } from './rows.ts';

/** What is longer is no seal: that namespace is read row by row. */
const CONTENT = Buffer.alloc(1024 * 1024);
const NAME = /^[A-Za-z0-9._-]{1,200}$/;
const SUFFIX = '.seal';

/** Kinds that an imprint covers whole. Files and daemons are outside of the namespace. */
const COVERED: ReadonlySet<Row['kind']> = new Set([
  'netns',
  'link',
  'address',
  'route',
  'rule',
  'neighbour',
  'sysctl',
  'nft-table',
  'nft-element',
]);

/** Parameters of a device come with the device, but for those of its neighbour table. */
const OF_DEVICE = /^net\/ipv[46]\/conf\/(?!(?:all|default)\/)/;

const isCovered = (row: Row): boolean =>
  COVERED.has(row.kind) && !(row.kind === 'link' && row.checksumOffload === false);

const parametersOf = (rows: readonly Row[]): string[] =>
  rows.flatMap((row) => (row.kind === 'sysctl' && !OF_DEVICE.test(row.name) ? [row.name] : []));

export class Seals {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  private path(ns: NamespaceName): string {
    return join(this.directory, ns + SUFFIX);
  }

  /** Can there be one for a namespace of which these rows are wanted? */
  static fits(ns: NamespaceName, wanted: readonly Row[]): boolean {
    return ns !== HOST && NAME.test(ns) && wanted.length > 0 && wanted.every(isCovered);
  }

  /** The seal of the namespace as it is now, valid until the next is made; undefined if there can be none. */
  static of(ns: NamespaceName, wanted: readonly Row[]): Buffer | undefined {
    if (!Seals.fits(ns, wanted)) return undefined;
    return namespaceImprint(ns, parametersOf(wanted), JSON.stringify(wanted));
  }

  /** Was exactly this wanted, and found, when the namespace was sealed? */
  isIntact(ns: NamespaceName, wanted: readonly Row[]): boolean {
    const kept = this.read(ns);
    return kept !== undefined && Seals.of(ns, wanted)?.equals(kept) === true;
  }

  private read(ns: NamespaceName): Buffer | undefined {
    if (!NAME.test(ns)) return undefined;
    const length = readFile(this.path(ns), CONTENT);
    return length < 0 || length === CONTENT.length ? undefined : CONTENT.subarray(0, length);
  }

  save(ns: NamespaceName, seal: Buffer): void {
    if (this.read(ns)?.equals(seal)) return;
    fs.mkdirSync(this.directory, { recursive: true, mode: 0o750 });
    counters.writes += 1;
    fs.writeFileSync(this.path(ns), seal, { mode: 0o600 });
  }

  remove(ns: NamespaceName): void {
    if (NAME.test(ns)) fs.rmSync(this.path(ns), { force: true });
  }
}
