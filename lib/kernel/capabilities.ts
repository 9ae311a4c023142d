/** What this process may do beyond its user (capabilities(7)), and what the programs it starts may. */
import fs from 'node:fs';
import * as libc from './libc.ts';

/** Bits of `linux/capability.h`, those that agents have to do with. */
const BITS = {
  CAP_DAC_OVERRIDE: 1,
  CAP_KILL: 5,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_BROADCAST: 11,
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
} as const;
export type Capability = keyof typeof BITS;

const MOST_BITS = 64;

/** Those of `wanted` that this process does not have in force. */
export function missingCapabilities(wanted: readonly Capability[]): Capability[] {
  const status = fs.readFileSync('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  return wanted.filter((name) => ((effective >> BigInt(BITS[name])) & 1n) === 0n);
}

/**
 * Programs started from now on get no other capabilities from this process. Only of use where it has its own by
 * inheritance (AmbientCapabilities= of systemd): a program started by root has all, and gives up what it does not need.
 */
export function grantChildren(kept: readonly Capability[]): void {
  const bits = new Set<number>(kept.map((name) => BITS[name]));
  for (let bit = 0; bit < MOST_BITS; bit++)
    if (!bits.has(bit) && libc.hasAmbient(bit)) libc.lowerAmbient(bit);
}
