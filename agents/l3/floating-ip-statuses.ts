import type { Router } from '../../lib/model/router.ts';
import type { FloatingIpStatus } from '../../lib/model/source.ts';
import { type AssociatedFloatingIp, associatedFloatingIps } from './compile/floating-ips.ts';
import { gatewayDevice } from './compile/gateway.ts';
import { DNAT_MAP, SNAT_MAP, TABLE } from './compile/ruleset.ts';

/** What the agent last said of a floating IP. */
export interface ReportedFloatingIp {
  readonly ip: string;
  readonly fixedIp: string;
  readonly status: FloatingIpStatus;
}

/** By floating IP id. */
export type ReportedFloatingIps = ReadonlyMap<string, ReportedFloatingIp>;

export interface StatusReport {
  /** what to send; empty: nothing to say */
  readonly changes: Readonly<Record<string, FloatingIpStatus>>;
  /** what is reported once the changes were sent */
  readonly reported: ReportedFloatingIps;
}

/**
 * Statuses to tell the server after a router was processed (contract §9): what is new or moved or differs from the
 * payload, and DOWN for what was reported and is gone.
 * @param before undefined when the agent sees this router for the first time since its start: then a floating IP
 *   the server already shows right is not news
 * @param router undefined when the router is gone
 * @param isBroken whether setting up this floating IP failed
 */
export function statusReport(
  before: ReportedFloatingIps | undefined,
  router: Router | undefined,
  isBroken: (associated: AssociatedFloatingIp) => boolean,
): StatusReport {
  const changes: Record<string, FloatingIpStatus> = {};
  const reported = new Map<string, ReportedFloatingIp>();
  for (const associated of router ? associatedFloatingIps(router) : []) {
    const { fip, ip, fixedIp } = associated;
    const status = isBroken(associated) ? 'ERROR' : 'ACTIVE';
    const last = before?.get(fip.id);
    const isNew = before !== undefined && !last;
    const changed = last && (last.status !== status || last.ip !== ip || last.fixedIp !== fixedIp);
    if (isNew || changed || fip.status !== status) changes[fip.id] = status;
    reported.set(fip.id, { ip, fixedIp, status });
  }
  for (const id of before?.keys() ?? []) {
    if (!reported.has(id)) changes[id] = 'DOWN';
  }
  return { changes, reported };
}

/** Tells from the keys of failed rows whether a floating IP is affected: by its own rows or by what all of them need. */
export function brokenBy(
  failedKeys: ReadonlySet<string>,
  router: Router,
  ns: string,
): (associated: AssociatedFloatingIp) => boolean {
  if (failedKeys.size === 0 || !router.gw_port) return () => false;
  const device = gatewayDevice(router.gw_port);
  const table = `inet ${TABLE}`;
  const essential = [`${ns}|netns`, `${ns}|nft-table|${table}`, `${ns}|link|${device}`];
  if (essential.some((key) => failedKeys.has(key))) return () => true;
  return ({ ip, fixedIp, translatesOutgoing }) =>
    failedKeys.has(`${ns}|address|${device}|${ip}/32`) ||
    failedKeys.has(`${ns}|nft-element|${table}|${DNAT_MAP}|${ip}`) ||
    (translatesOutgoing && failedKeys.has(`${ns}|nft-element|${table}|${SNAT_MAP}|${fixedIp}`));
}
