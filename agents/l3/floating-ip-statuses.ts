import type { Router } from '../../lib/model/router.ts';
import type { FloatingIpStatus } from '../../lib/model/source.ts';
import type { Row, RowGroup, RowKind } from '../../lib/namespace/rows.ts';
import { type AssociatedFloatingIp, associatedFloatingIps } from './compile/floating-ips.ts';
import { gatewayDevice } from './compile/gateway.ts';
import { routerNamespace } from './compile/namespace.ts';
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

/** Kinds of rows without which no floating IP of the router works. */
const ESSENTIAL: ReadonlySet<RowKind> = new Set(['netns', 'nft-table']);

/** Tells from the keys of failed rows whether a floating IP is affected. */
export function brokenBy(
  failed: readonly Row[],
  router: Router,
): (associated: AssociatedFloatingIp) => boolean {
  if (failed.length === 0 || !router.gw_port) return () => false;
  const ns = routerNamespace(router.id);
  const device = gatewayDevice(router.gw_port);
  const keys = new Set(failed.map(({ key }) => key));
  if (failed.some((row) => ESSENTIAL.has(row.kind)) || keys.has(`${ns}|link|${device}`)) return () => true;
  return ({ ip, fixedIp, translatesOutgoing }) =>
    keys.has(`${ns}|address|${device}|${ip}/32`) ||
    keys.has(`${ns}|nft-element|inet ${TABLE}|${DNAT_MAP}|${ip}`) ||
    (translatesOutgoing && keys.has(`${ns}|nft-element|inet ${TABLE}|${SNAT_MAP}|${fixedIp}`));
}

/** The wanted rows among failures, less those whose failure is the tenant's own (an extra route to nowhere). */
export function failedRows(groups: readonly RowGroup[], keys: ReadonlySet<string>): Row[] {
  if (keys.size === 0) return [];
  return groups.flat().filter((row) => keys.has(row.key) && !(row.kind === 'route' && row.tolerant));
}
