import type { FloatingIp } from '../../../lib/model/floating-ip.ts';
import type { Router } from '../../../lib/model/router.ts';
import { address, nftElement, type RowGroup } from '../../../lib/namespace/rows.ts';
import { byObject } from './memo.ts';
import { DNAT_MAP, SNAT_MAP, TABLE } from './ruleset.ts';

export interface AssociatedFloatingIp {
  readonly fip: FloatingIp;
  readonly ip: string;
  readonly fixedIp: string;
  /** false: an earlier floating IP of the same fixed address already translates what leaves it */
  readonly translatesOutgoing: boolean;
}

/**
 * The floating IPs a router carries out: those with a fixed address, each address once, and none at all without a
 * gateway to put them on.
 */
export function associatedFloatingIps(router: Router): AssociatedFloatingIp[] {
  if (!router.gw_port) return [];
  const result: AssociatedFloatingIp[] = [];
  const addresses = new Set<string>();
  const fixedIps = new Set<string>();
  for (const fip of router._floatingips) {
    const { floating_ip_address: ip, fixed_ip_address: fixedIp } = fip;
    if (!fixedIp || addresses.has(ip)) continue;
    result.push({ fip, ip, fixedIp, translatesOutgoing: !fixedIps.has(fixedIp) });
    addresses.add(ip);
    fixedIps.add(fixedIp);
  }
  return result;
}

interface Place {
  readonly ns: string;
  readonly dev: string;
  readonly associated: AssociatedFloatingIp;
}

const floatingIp = byObject((_fip: FloatingIp, { ns, dev, associated }: Place): RowGroup => {
  const { ip, fixedIp, translatesOutgoing } = associated;
  const map = { ns, family: 'inet', table: TABLE, flushConntrack: ip } as const;
  return [
    nftElement({ ...map, set: DNAT_MAP, element: ip, value: fixedIp }),
    ...(translatesOutgoing ? [nftElement({ ...map, set: SNAT_MAP, element: fixedIp, value: ip })] : []),
    address({ ns, dev, ip, prefix: 32, family: 4, announce: true, flushConntrack: true }),
  ];
});

/** One group per floating IP: its two translations, and its address as /32 on the gateway device. */
export function floatingIps(router: Router, ns: string, dev: string): RowGroup[] {
  const bothWays = `${ns}|${dev}|both`;
  const inOnly = `${ns}|${dev}|in`;
  return associatedFloatingIps(router).map((associated) => {
    const text = associated.translatesOutgoing ? bothWays : inOnly;
    return floatingIp(associated.fip, { ns, dev, associated }, text);
  });
}
