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

type Visit = (fip: FloatingIp, fixedIp: string, translatesOutgoing: boolean) => void;

/** Without an object for each: of a thousand floating IPs one is new. */
function visitAssociated(router: Router, visit: Visit): void {
  if (!router.gw_port) return;
  const addresses = new Set<string>();
  const fixedIps = new Set<string>();
  for (const fip of router._floatingips) {
    const { floating_ip_address: ip, fixed_ip_address: fixedIp } = fip;
    if (!fixedIp || addresses.has(ip)) continue;
    const isFirst = !fixedIps.has(fixedIp);
    addresses.add(ip);
    if (isFirst) fixedIps.add(fixedIp);
    visit(fip, fixedIp, isFirst);
  }
}

/**
 * The floating IPs a router carries out: those with a fixed address, each address once, and none at all without a
 * gateway to put them on.
 */
export function associatedFloatingIps(router: Router): AssociatedFloatingIp[] {
  const result: AssociatedFloatingIp[] = [];
  visitAssociated(router, (fip, fixedIp, translatesOutgoing) =>
    result.push({ fip, ip: fip.floating_ip_address, fixedIp, translatesOutgoing }),
  );
  return result;
}

interface Place {
  readonly ns: string;
  readonly dev: string;
  readonly translatesOutgoing: boolean;
}

const floatingIp = byObject((fip: FloatingIp, { ns, dev, translatesOutgoing }: Place): RowGroup => {
  const { floating_ip_address: ip, fixed_ip_address: fixedIp } = fip;
  if (!fixedIp) return [];
  const map = { ns, family: 'inet', table: TABLE, flushConntrack: ip } as const;
  return [
    nftElement({ ...map, set: DNAT_MAP, element: ip, value: fixedIp }),
    ...(translatesOutgoing ? [nftElement({ ...map, set: SNAT_MAP, element: fixedIp, value: ip })] : []),
    address({ ns, dev, ip, prefix: 32, family: 4, announce: true, flushConntrack: true }),
  ];
});

/** One group per floating IP: its two translations, and its address as /32 on the gateway device. */
export function floatingIps(router: Router, ns: string, dev: string): RowGroup[] {
  const both = { ns, dev, translatesOutgoing: true };
  const inOnly = { ns, dev, translatesOutgoing: false };
  const [bothText, inText] = [`${ns}|${dev}|both`, `${ns}|${dev}|in`];
  const groups: RowGroup[] = [];
  visitAssociated(router, (fip, _fixedIp, outgoing) =>
    groups.push(outgoing ? floatingIp(fip, both, bothText) : floatingIp(fip, inOnly, inText)),
  );
  return groups;
}
