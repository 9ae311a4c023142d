/**
 * Whole states of one or two routers, from payloads in the server's shape, and what the kernel shows of them:
 * listings of iproute2 and nft, not our own reading.
 */
import { execFileSync } from 'node:child_process';
import { compileRouter } from '../../agents/l3/compile/router.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { inNamespace, listNamespaces, namespaceExists } from '../../lib/kernel/netns.ts';
import { nft } from '../../lib/kernel/nftables.ts';
import { readSysctl } from '../../lib/kernel/sysctl.ts';
import { parseRouter } from '../../lib/model/router.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { floatingIp, routerPayload, testId } from './routers.ts';

type Payload = ReturnType<typeof routerPayload>;
type Port = Payload['gw_port'];

/** Numbers no other test uses: names of devices and namespaces come from them. */
const FIRST = 0x7301;
const SECOND = 0x7302;
export const ROUTERS = [testId(0x40, FIRST), testId(0x40, SECOND)] as const;
const EXTERNAL = testId(0xe7, FIRST);

export const groupsOf = (payload: unknown): RowGroup[] =>
  compileRouter({ router: parseRouter(payload), host: { name: 'vdt' }, options: l3Options() });

/** A router on networks of its own (the generator's external network is shared with other tests). */
function router(n = FIRST, floatingIps = 0): Payload {
  const text = JSON.stringify(routerPayload(n, { floatingIps }));
  return JSON.parse(text.replaceAll(testId(0xe0, 0), EXTERNAL)) as Payload;
}

function changed(payload: Payload, change: (router: Payload) => void): Payload {
  change(payload);
  return payload;
}

function subnet(port: Port, n: number, ip: string, cidr: string, gateway: string): void {
  const id = testId(0x5e, FIRST, n);
  port.fixed_ips.push({ subnet_id: id, ip_address: ip, prefixlen: Number(cidr.split('/')[1]) });
  const first = port.subnets[0]!;
  port.subnets.push({ ...first, id, cidr, gateway_ip: gateway });
}

const withoutGateway = (payload: Payload): object => ({ ...payload, gw_port: null, gw_port_id: null });

const dualStack = (): Payload =>
  changed(router(), (r) => {
    subnet(r._interfaces[0]!, 1, 'fd00:1::1', 'fd00:1::/64', 'fd00:1::1');
    subnet(r._interfaces[1]!, 2, 'fd00:2::1', 'fd00:2::/64', 'fd00:2::1');
    subnet(r.gw_port, 3, '2001:db8::5', '2001:db8::/64', '2001:db8::1');
    r.routes = [{ destination: '2001:db8:5::/48', nexthop: 'fd00:1::9' }];
  });

/** Payloads by router; a router that is not in it does not exist in that state. */
const STATES: Record<string, () => object[]> = {
  empty: () => [],
  'internal only': () => [withoutGateway(router())],
  gateway: () => [router()],
  'SNAT off': () => [
    changed(router(), (r) => {
      r.enable_snat = false;
    }),
  ],
  '1 floating IP': () => [router(FIRST, 1)],
  '5 floating IPs': () => [router(FIRST, 5)],
  'floating IPs moved, SNAT off': () => [
    changed(router(FIRST, 3), (r) => {
      const [a, b] = r._floatingips as [ReturnType<typeof floatingIp>, ReturnType<typeof floatingIp>];
      [a.fixed_ip_address, b.fixed_ip_address] = [b.fixed_ip_address, a.fixed_ip_address];
      r._floatingips[2]!.fixed_ip_address = '10.1.77.7';
      r.enable_snat = false;
    }),
  ],
  'extra routes': () => [
    changed(router(FIRST, 1), (r) => {
      r.routes = [
        { destination: '198.51.100.0/24', nexthop: '10.0.0.9' },
        { destination: '192.0.2.0/24', nexthop: '10.0.0.9' },
        { destination: '192.0.2.0/24', nexthop: '10.1.0.9' },
      ];
    }),
  ],
  'other extra routes': () => [
    changed(router(FIRST, 1), (r) => {
      r.routes = [
        { destination: '198.51.100.0/24', nexthop: '10.0.0.8' },
        { destination: '198.51.100.0/24', nexthop: '10.0.0.7' },
        { destination: '192.0.2.0/24', nexthop: '10.1.0.9' },
        { destination: '0.0.0.0/0', nexthop: '10.1.0.9' },
      ];
    }),
  ],
  'another subnet': () => [
    changed(router(FIRST, 2), (r) => {
      const port = r._interfaces[1]!;
      port.id = testId(0xd7, FIRST, 7);
      port.network_id = testId(0xa7, FIRST);
      port.fixed_ips[0]!.ip_address = '10.7.0.1';
      port.subnets[0]!.cidr = '10.7.0.0/16';
      port.subnets[0]!.gateway_ip = '10.7.0.1';
    }),
  ],
  'same ports, other addresses, MACs and MTU': () => [
    changed(router(FIRST, 2), (r) => {
      for (const [i, port] of [...r._interfaces, r.gw_port].entries()) {
        port.mtu = 1400;
        port.mac_address = `fa:16:3e:73:00:0${i}`;
      }
      r._interfaces[0]!.fixed_ips[0]!.ip_address = '10.0.0.2';
      r.gw_port.fixed_ips[0]!.ip_address = '203.0.112.77';
    }),
  ],
  'two gateway addresses, one next hop outside its subnet': () => [
    changed(router(FIRST, 1), (r) => {
      subnet(r.gw_port, 4, '192.0.2.5', '192.0.2.0/28', '192.0.2.200');
      r.gw_port.extra_subnets = [{ id: testId(0x5e, FIRST, 5), cidr: '198.18.0.0/24' }] as never[];
    }),
  ],
  'gateway on another network': () => [
    changed(router(FIRST, 1), (r) => {
      r.gw_port.id = testId(0xd8, FIRST, 8);
      r.gw_port.network_id = testId(0xe8, FIRST);
    }),
  ],
  'dual stack': () => [dualStack()],
  'dual stack, several next hops': () => [
    changed(dualStack(), (r) => {
      r.routes = [
        { destination: '2001:db8:5::/48', nexthop: 'fd00:1::9' },
        { destination: '2001:db8:5::/48', nexthop: 'fd00:2::9' },
        { destination: '2001:db8:6::/48', nexthop: 'fd00:2::9' },
      ];
    }),
  ],
  'two routers on the same networks': () => [
    router(FIRST, 1),
    changed(router(SECOND, 1), (r) => {
      r._interfaces[0]!.network_id = testId(0xa0, FIRST);
      r._interfaces[0]!.fixed_ips[0]!.ip_address = '10.0.0.254';
      r._floatingips = [floatingIp(SECOND, 700)];
    }),
  ],
};

export type State = ReadonlyMap<string, object>;

export const stateNames = Object.keys(STATES);

/** Payloads of a state by router id, made anew at every call as if they had come over the wire. */
export const stateOf = (name: string): State =>
  new Map(STATES[name]!().map((payload) => [(payload as { id: string }).id, payload]));

const everyRow = () => stateNames.flatMap((name) => [...stateOf(name).values()].flatMap(groupsOf)).flat();

/** Names of all devices any state has in the host's namespace. */
const hostDevices = [
  ...new Set(everyRow().flatMap((row) => (row.kind === 'link' && row.ns === '' ? [row.name] : []))),
].sort();

const sysctls = [...new Set(everyRow().flatMap((row) => (row.kind === 'sysctl' ? [row.name] : [])))].sort();

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });

/** Less what two equal builds differ in: indexes, and what the kernel does by itself a moment later. */
function normalised(listing: string): string[] {
  return listing
    .split('\n')
    .filter((line) => !/table local|fe80::|ff00::|^\s*valid_lft|kernel_ll/.test(line))
    .map((line) =>
      line
        .replace(/^\d+: /, '')
        .replace(/@(if\d+|[a-z]\S+):/, ':')
        .replace(/ link-netnsid \d+| state \w+| linkdown| tentative|NO-CARRIER,|,LOWER_UP|,M-DOWN/g, '')
        .replace(/ group default| qlen \d+/g, '')
        .trimEnd(),
    )
    .filter((line) => line !== '');
}

/** iproute2's lists group lines under devices; order between devices is by index, which is nobody's wish. */
const inOrder = (lines: string[], grouped: boolean): string[] => {
  if (!grouped) return lines.sort();
  const blocks: string[][] = [];
  for (const line of lines) {
    if (/^\s/.test(line)) blocks.at(-1)!.push(line.trim());
    else blocks.push([line]);
  }
  return blocks.map(([head, ...rest]) => [head, ...rest.sort()].join(' · ')).sort();
};

function namespaceListing(ns: string): string[] {
  const show = (args: string[], grouped = false) => inOrder(normalised(ip('-n', ns, ...args)), grouped);
  return [
    ...show(['address', 'show'], true),
    ...show(['-4', 'route', 'show', 'table', 'all']),
    ...show(['-6', 'route', 'show', 'table', 'all']),
    ...show(['rule', 'show']),
    ...nft(ns, 'list ruleset').split('\n'),
    ...inNamespace(ns, () => sysctls.map((name) => `${name} = ${readSysctl(name)}`)),
  ];
}

/** Everything the kernel has of these routers, as text to compare; empty when nothing is left. */
export function kernelListing(): string[] {
  const namespaces = ROUTERS.map((id) => `qrouter-${id}`).filter(namespaceExists);
  const all = ip('-d', 'link', 'show')
    .split(/\n(?=\d)/)
    .filter((block) => hostDevices.includes(/^\d+: ([^:@]+)/.exec(block)?.[1] ?? ''))
    .map((block) => `${normalised(block)[0]} ${/addrgenmode \w+/.exec(block)?.[0]}`)
    .map((line) => line.replace(/ qdisc \w+/, ''))
    .sort();
  return [...all, ...namespaces.flatMap((ns) => [ns, ...namespaceListing(ns)])];
}

/** Namespaces and devices of the host that could be ours by name. */
export const leftovers = (): string[] => [
  ...listNamespaces().filter((ns) => ROUTERS.some((id) => ns.includes(id))),
  ...ip('-br', 'link', 'show')
    .split('\n')
    .map((line) => line.split(/[ @]/)[0]!)
    .filter((name) => hostDevices.includes(name)),
];
