/**
 * What hosts have been told and must hear the end of: announced so far (the radvd.conf on disk, ours or Neutron's)
 * less what is announced from now on. Pure.
 */
import { isCidr, parseCidr } from '../model/ip.ts';
import type { Advertisement } from './advertisement.ts';

/** One device of a radvd.conf as it is on disk. */
export interface Announced {
  readonly device: string;
  readonly managed: boolean;
  readonly otherConfig: boolean;
  /** hosts have it as default router */
  readonly defaultRouter: boolean;
  /** those in which hosts made themselves addresses */
  readonly prefixes: readonly string[];
}

const flag = (block: string, name: string): boolean => new RegExp(`\\b${name}\\s+on\\s*;`).test(block);

/** Reads what of a radvd.conf matters here; what is not understood is passed over. */
export function announcedIn(conf: string): Announced[] {
  return conf
    .split(/^\s*interface\s+/m)
    .slice(1)
    .flatMap((block) => {
      const device = /^[A-Za-z0-9_.-]{1,15}/.exec(block)?.[0];
      if (device === undefined) return [];
      const prefixes = [...block.matchAll(/\bprefix\s+([0-9a-fA-F:./]+)\s*\{([^}]*)\}/g)]
        .filter(([, cidr, body]) => isCidr(cidr) && flag(body!, 'AdvAutonomous'))
        .map(([, cidr]) => parseCidr(cidr!).text);
      return [
        {
          device,
          managed: flag(block, 'AdvManagedFlag'),
          otherConfig: flag(block, 'AdvOtherConfigFlag'),
          defaultRouter: !/\bAdvDefaultLifetime\s+0\s*;/.test(block),
          prefixes,
        },
      ];
    });
}

/** What one device has to say once more. */
export interface Withdrawal {
  readonly device: string;
  /** it announces nothing any more and is no router */
  readonly leaves: boolean;
  readonly managed: boolean;
  readonly otherConfig: boolean;
  readonly defaultRouter: boolean;
  /** no addresses are to be made in these any more, and those there are not used for new connections */
  readonly prefixes: readonly string[];
}

/** Prefixes in which hosts (go on to) make themselves addresses. */
const autonomous = (one: Advertisement | undefined, elsewhere: readonly string[]): ReadonlySet<string> =>
  new Set([...(one?.prefixes ?? []).flatMap((p) => (p.autonomous ? [p.prefix] : [])), ...elsewhere]);

/**
 * @param elsewhere prefixes that somebody else announces from now on
 */
export function withdrawals(
  before: readonly Announced[],
  wanted: readonly Advertisement[],
  elsewhere: readonly string[] = [],
): Withdrawal[] {
  return before.flatMap((known) => {
    const next = wanted.find(({ device }) => device === known.device);
    const kept = autonomous(next, elsewhere);
    const prefixes = known.prefixes.filter((prefix) => !kept.has(prefix));
    const leaves = next === undefined;
    if (prefixes.length === 0 && !(leaves && known.defaultRouter)) return [];
    const { managed, otherConfig, defaultRouter } = next ?? { ...known, defaultRouter: false };
    return [{ device: known.device, leaves, managed, otherConfig, defaultRouter, prefixes }];
  });
}

/** What of these is still to be said again, now that this is announced. */
export const stillGone = (
  gone: readonly Withdrawal[],
  wanted: readonly Advertisement[],
  elsewhere: readonly string[] = [],
): Withdrawal[] =>
  gone.flatMap((one) => {
    const next = wanted.find(({ device }) => device === one.device);
    const kept = autonomous(next, elsewhere);
    const prefixes = one.prefixes.filter((prefix) => !kept.has(prefix));
    if (!next || prefixes.length === 0) return [];
    const { managed, otherConfig, defaultRouter } = next;
    return [{ ...one, managed, otherConfig, defaultRouter, prefixes }];
  });
