/** Whether a router is complete on this node, looked up in the kernel: the same for whoever built it. */
import fs from 'node:fs';
import { readAddresses } from '../../../lib/kernel/address.ts';
import { readLinks } from '../../../lib/kernel/link.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../../lib/kernel/netlink.ts';
import { inNamespace, namespaceExists } from '../../../lib/kernel/netns.ts';
import { NftablesError, nft } from '../../../lib/kernel/nftables.ts';
import { readRoutes } from '../../../lib/kernel/route.ts';
import { pause } from '../../e2e/shell.ts';
import { EXTERNAL, type NatPair, type WantedRouter } from './site.ts';

const METADATA_PORT = 9697;
const TCP_LISTEN = '0A';
const LOOK_AGAIN_MS = 10;
const deviceOf = (prefix: string, portId: string): string => `${prefix}${portId.slice(0, 11)}`;

/** Somebody listens on this TCP port in the namespace. Source: proc(5), /proc/net/tcp. */
function listens(ns: string, port: number): boolean {
  const local = new RegExp(
    `: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, '0')} \\S+ ${TCP_LISTEN} `,
  );
  const tables = inNamespace(ns, () =>
    ['tcp', 'tcp6'].map((name) => fs.readFileSync(`/proc/thread-self/net/${name}`, 'utf8')).join(''),
  );
  return local.test(tables);
}

/** A rule `… FLOATING … dnat to FIXED`, or an element `FLOATING : FIXED` of a map. */
const translates = (ruleset: string, { floating, fixed }: NatPair): boolean => {
  const [from, to] = [floating, fixed].map((address) => address.replaceAll('.', '\\.'));
  return new RegExp(`\\b${from}(?![\\d.])(?: : |[^\\n]* dnat to )${to}(?![\\d.])`).test(ruleset);
};

/** Neutron's rules for packets from the router itself: the list of all would have libnftables complain of others. */
const THEIR_CHAIN = 'list chain ip nat neutron-l3-agent-OUTPUT';

function translations(ns: string): string {
  const theirs = nft(ns, 'list tables').includes('table ip nat');
  try {
    return nft(ns, theirs ? THEIR_CHAIN : 'list ruleset');
  } catch (error) {
    // The chain is not there yet.
    if (error instanceof NftablesError) return '';
    throw error;
  }
}

/** What is still missing, the cheapest to see first; undefined: nothing. */
export function missingOfRouter(router: WantedRouter): string | undefined {
  const ns = `qrouter-${router.id}`;
  if (!namespaceExists(ns)) return 'namespace';
  const { gateway } = router;
  const wanted = [
    { device: deviceOf('qg-', gateway.portId), ip: gateway.address, prefix: EXTERNAL.prefix },
    ...router.interfaces.map((p) => ({ device: deviceOf('qr-', p.portId), ip: p.address, prefix: 24 })),
    ...router.floatingIps.map((f) => ({
      device: deviceOf('qg-', gateway.portId),
      ip: f.floating,
      prefix: 32,
    })),
  ];
  {
    using socket = new NetlinkSocket(NETLINK_ROUTE, ns);
    const links = new Map(readLinks(socket).map((link) => [link.name, link]));
    const addresses = readAddresses(socket);
    for (const { device, ip, prefix } of wanted) {
      const link = links.get(device);
      if (!link?.up) return `${device} up`;
      const here = addresses.some((a) => a.index === link.index && a.ip === ip && a.prefix === prefix);
      if (!here) return `${ip}/${prefix} on ${device}`;
    }
    const byGateway = readRoutes(socket).some(
      (route) =>
        route.destination === '0.0.0.0/0' && route.nexthops.some(({ via }) => via === EXTERNAL.gateway),
    );
    if (!byGateway) return 'default route';
  }
  if (!listens(ns, METADATA_PORT)) return 'metadata';
  const ruleset = translations(ns);
  const open = router.floatingIps.find((pair) => !translates(ruleset, pair));
  return open && `NAT of ${open.floating}`;
}

/**
 * Looks until all are complete; each is looked at until it is, and all once more at the end.
 * @returns performance.now() of the moment when the last one was seen complete
 * @throws Error naming what is missing when it takes longer than `patience` ms
 */
export async function routersComplete(
  routers: readonly WantedRouter[],
  patience: number,
  signal?: AbortSignal,
): Promise<number> {
  const deadline = performance.now() + patience;
  let waiting = [...routers];
  for (;;) {
    const missing = waiting.map((router) => ({ router, what: missingOfRouter(router) }));
    waiting = missing.filter(({ what }) => what !== undefined).map(({ router }) => router);
    const now = performance.now();
    if (waiting.length === 0) {
      for (const router of routers) {
        const what = missingOfRouter(router);
        if (what !== undefined) throw new Error(`router ${router.id} was complete and has lost: ${what}`);
      }
      return now;
    }
    if (now > deadline) {
      const first = missing.find(({ what }) => what !== undefined)!;
      throw new Error(`${waiting.length} routers are not complete; ${first.router.id} lacks: ${first.what}`);
    }
    await pause(LOOK_AGAIN_MS);
    signal?.throwIfAborted();
  }
}
