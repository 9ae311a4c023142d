import { cidrContains, ipFamily, parseCidr, parseIp } from '../../../lib/model/ip.ts';
import type { Router } from '../../../lib/model/router.ts';
import type { RouterPort } from '../../../lib/model/router-port.ts';
import {
  type Family,
  type Nexthop,
  type RouteRow,
  type RowGroup,
  route,
} from '../../../lib/namespace/rows.ts';
import type { L3Options } from '../options.ts';
import { defaultGateway, gatewayDevice } from './gateway.ts';
import { byValue } from './memo.ts';

const ANYWHERE = { 4: '0.0.0.0/0', 6: '::/0' } as const;
const LINK_LOCAL = 'fe80::/10';

/** Plain data, so that the routes of a router are made anew only when something in here changed. */
interface RouteInput {
  readonly ns: string;
  /** gateway device; absent without a gateway */
  readonly dev?: string;
  /** gateways no subnet of the gateway port covers */
  readonly offSubnetGateways: readonly string[];
  /** CIDRs of the external network on which the gateway port has no address */
  readonly extraSubnets: readonly string[];
  readonly defaults: { readonly 4?: string; readonly 6?: string };
  readonly extraRoutes: readonly { readonly destination: string; readonly nexthop: string }[];
}

const offSubnetGateways = (port: RouterPort): string[] =>
  port.subnets
    .filter(({ cidr, gateway_ip }) => gateway_ip != null && !cidrContains(cidr, gateway_ip))
    .map(({ gateway_ip }) => parseIp(gateway_ip!).text)
    // fe80::/64 is on every link already
    .filter((ip) => !cidrContains(LINK_LOCAL, ip));

/** Reached directly on the device. The kernel has no scopes for IPv6 routes and reads them back as global. */
const onLink = (ns: string, dev: string, destination: string): RouteRow => {
  const { family, text } = parseCidr(destination);
  return route({
    ns,
    family,
    destination: text,
    nexthops: [{ dev, weight: 1 }],
    scope: family === 4 ? 'link' : 'global',
  });
};

const hostCidr = (ip: string): string => `${ip}/${ipFamily(ip) === 4 ? 32 : 128}`;

function defaultRoute(input: RouteInput, dev: string, family: Family): RouteRow[] {
  const via = input.defaults[family];
  if (via === undefined) return [];
  const onlink = input.offSubnetGateways.includes(parseIp(via).text);
  return [
    route({
      ns: input.ns,
      family,
      destination: ANYWHERE[family],
      nexthops: [{ via, dev, weight: 1 }],
      onlink,
    }),
  ];
}

/**
 * The tenant's routes. Entries with the same destination share one multipath route; next hops are sorted, so
 * that their order in the payload does not matter. The kernel finds the device. A next hop of
 * another family than its destination can't be expressed and is left out.
 */
function extraRoutes({ ns, extraRoutes }: RouteInput): RouteRow[] {
  const nexthopsOf = new Map<string, { family: Family; vias: Set<string> }>();
  for (const { destination, nexthop } of extraRoutes) {
    const { family, text } = parseCidr(destination);
    const via = parseIp(nexthop);
    if (via.family !== family) continue;
    const entry = nexthopsOf.get(text) ?? { family, vias: new Set() };
    entry.vias.add(via.text);
    nexthopsOf.set(text, entry);
  }
  return [...nexthopsOf].map(([destination, { family, vias }]) => {
    const nexthops = [...vias].sort().map((via): Nexthop => ({ via, weight: 1 }));
    return route({ ns, family, destination, nexthops, tolerant: true });
  });
}

const routesOf = byValue((input: RouteInput): RowGroup => {
  const { dev, ns } = input;
  const wanted = new Map<string, RouteRow>();
  const add = (rows: readonly RouteRow[]) => {
    for (const row of rows) wanted.set(row.key, row);
  };
  if (dev !== undefined) {
    add(input.offSubnetGateways.map((ip) => onLink(ns, dev, hostCidr(ip))));
    add(input.extraSubnets.map((cidr) => onLink(ns, dev, cidr)));
    add(defaultRoute(input, dev, 4));
    add(defaultRoute(input, dev, 6));
  }
  // Last, as an extra route replaces what stands in its place: 0.0.0.0/0 the gateway's default route.
  add(extraRoutes(input));
  return [...wanted.values()];
});

/** All routes of a router but the kernel's own connected ones (contract §6, §7, §11, §17). */
export function routes(router: Router, ns: string, options: L3Options): RowGroup {
  const port = router.gw_port ?? undefined;
  return routesOf({
    ns,
    ...(port && { dev: gatewayDevice(port) }),
    offSubnetGateways: port ? offSubnetGateways(port) : [],
    extraSubnets: port ? port.extra_subnets.map(({ cidr }) => cidr) : [],
    defaults: port ? { 4: defaultGateway(port, 4, options), 6: defaultGateway(port, 6, options) } : {},
    extraRoutes: router.routes.map(({ destination, nexthop }) => ({ destination, nexthop })),
  });
}
