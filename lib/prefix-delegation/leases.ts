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
  /** subnet ids by router: read once, as most routers have none and are asked about again and again */
  private known: Map<string, Set<string>> | undefined;

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
    this.routers.set(router, new Set([...this.of(router), subnet]));
    writeAtomically(this.path(router, subnet), `${JSON.stringify({ client, ...lease })}\n`);
  }

  /** Of the last one the router's directory goes, too. */
  remove(router: string, subnet: string): void {
    const left = this.routers.get(router);
    if (!left?.delete(subnet)) return;
    fs.rmSync(this.path(router, subnet), { force: true });
    if (left.size > 0) return;
    this.routers.delete(router);
    fs.rmSync(join(this.directory, router), { recursive: true, force: true });
  }

  /** Subnet ids with a lease. */
  of(router: string): string[] {
    return [...(this.routers.get(router) ?? [])];
  }

  private get routers(): Map<string, Set<string>> {
    this.known ??= new Map(
      namesIn(this.directory)
        .filter((name) => UUID.test(name))
        .map((router) => [router, new Set(namesIn(join(this.directory, router)).flatMap(subnetIn))]),
    );
    return this.known;
  }

  private path(router: string, subnet: string): string {
    return join(this.directory, router, `${subnet}.json`);
  }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const subnetIn = (name: string): string[] =>
  name.endsWith('.json') && UUID.test(name.slice(0, -5)) ? [name.slice(0, -5)] : [];

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
