/**
 * Prefixes that were delegated to subnets of the deployment, in a file of its state directory: all its processes follow
 * it, and the next start begins with what is in it.
 */
import fs from 'node:fs';
import { isCidr } from '../model/ip.ts';
import { anyObject, readIf } from '../model/reader.ts';
import { UNDELEGATED } from '../model/subnet.ts';
import { readJson, writeAtomically } from '../process/files.ts';

/** In the deployment's state directory. */
export const DELEGATED_FILE = 'delegated.json';

/** CIDR by subnet id; of a file that is not there or damaged, none: the agent says it again. */
export function readDelegated(path: string): Map<string, string> {
  const found = Object.entries(readIf(anyObject, readJson(path)) ?? {});
  return new Map(found.every((entry): entry is [string, string] => isCidr(entry[1])) ? found : []);
}

/** Adds prefixes; UNDELEGATED takes one away. @returns whether that changed something */
export function noteDelegated(path: string, prefixes: Readonly<Record<string, string>>): boolean {
  const known = readDelegated(path);
  const before = JSON.stringify([...known]);
  for (const [subnet, cidr] of Object.entries(prefixes)) {
    if (cidr === UNDELEGATED) known.delete(subnet);
    else known.set(subnet, cidr);
  }
  if (JSON.stringify([...known]) === before) return false;
  if (known.size === 0) fs.rmSync(path, { force: true });
  else writeAtomically(path, `${JSON.stringify(Object.fromEntries(known), null, 2)}\n`);
  return true;
}
