/** Delegated prefixes on disk, one file each: `<directory>/<router id>/<subnet id>.json`. They outlive the agent. */
import fs from 'node:fs';
import { join } from 'node:path';
import { cidr, fields, integer, matching, orNull, readIf } from '../model/reader.ts';
import { readJson, writeAtomically } from '../process/files.ts';
import type { Lease } from './exchange.ts';

const moment = orNull(integer(0, Number.MAX_SAFE_INTEGER));
const duid = matching(/^([0-9a-f]{2}){3,130}$/, 'must be a DUID');
const file = fields({
  /** DUID it was given to */
  client: duid,
  prefix: cidr,
  server: duid,
  renewAt: moment,
  rebindAt: moment,
  validUntil: moment,
});

export class Leases {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** undefined: there is none, or it is nobody's: damaged, or given to a client with another identifier. */
  read(router: string, subnet: string, client: string): Lease | undefined {
    const found = readIf(file, readJson(this.path(router, subnet)));
    if (found?.client !== client) return undefined;
    const { client: _, ...lease } = found;
    return lease;
  }

  write(router: string, subnet: string, client: string, lease: Lease): void {
    writeAtomically(this.path(router, subnet), `${JSON.stringify({ client, ...lease })}\n`);
  }

  /** Of the last one the router's directory goes, too. */
  remove(router: string, subnet: string): void {
    fs.rmSync(this.path(router, subnet), { force: true });
    if (this.of(router).length === 0)
      fs.rmSync(join(this.directory, router), { recursive: true, force: true });
  }

  /** Subnet ids with a lease. */
  of(router: string): string[] {
    try {
      const names = fs.readdirSync(join(this.directory, router));
      return names.flatMap((name) => /^([0-9a-f-]{36})\.json$/.exec(name)?.[1] ?? []);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  private path(router: string, subnet: string): string {
    return join(this.directory, router, `${subnet}.json`);
  }
}
