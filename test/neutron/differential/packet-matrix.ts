/** What becomes of packets between everyone and everything, in words: 'a1 → outside: outside sees 203.0.113.7'. */
import type { Machine, Server } from '../../e2e/packets.ts';
import { OUTSIDE } from '../cloud/cloud.ts';
import type { Facts } from './namespace-facts.ts';
import { BEHIND, OUTSIDE_ALSO, type Site } from './site.ts';

const PORT = 8080;
const PROXY_PORT = 9697;
const METADATA = '169.254.169.254';

const bracketed = (address: string): string => (address.includes(':') ? `[${address}]` : address);

/** Who answers a TCP connection and whom that one sees, or how it fails (curl's exit code: 7 refused, 28 no answer). */
async function connects(from: Machine, address: string, port = PORT): Promise<string> {
  const { code, body } = await from.curl(`http://${bracketed(address)}:${port}/`, '-m', '2');
  if (code !== 0) return `fails (${code})`;
  const { who, peer } = JSON.parse(body) as { who: string; peer: string };
  return `${who} sees ${peer.replace('::ffff:', '')}`;
}

async function pings(from: Machine, target: string, ...args: string[]): Promise<string> {
  const { stdout } = await from.run('ping', '-n', '-c', '1', '-W', '2', ...args, target);
  const answer = /bytes from (\S+): .*ttl=(\d+)/.exec(stdout);
  if (answer) return `${answer[1]} answers, ttl ${answer[2]}`;
  const refusal = /[Ff]rom (\S+?):? icmp_seq=\d+ (.*)/.exec(stdout);
  return refusal ? `${refusal[1]} says ${refusal[2]}` : 'no answer';
}

async function metadata(from: Machine): Promise<string> {
  const { code, status } = await from.curl(`http://${METADATA}/latest/meta-data/instance-id`, '-m', '5');
  return code === 0 ? `HTTP ${status}` : `fails (${code})`;
}

/** @param six address of c1 by SLAAC */
export async function packetMatrix(site: Site, outside: Machine, six: string): Promise<Facts> {
  const { machines: m, addresses, floating, gateways, inside } = site;
  const all = { ...m, outside };
  const servers: Server[] = await Promise.all(
    Object.values(all).map((machine) => machine.answer('::', PORT)),
  );
  const cases: [string, () => Promise<string>][] = [
    ['a1 → outside', () => connects(m.a1, OUTSIDE.address)],
    ['a2 → outside', () => connects(m.a2, OUTSIDE.address)],
    ['b1 → outside', () => connects(m.b1, OUTSIDE.address)],
    ['c1 → outside', () => connects(m.c1, OUTSIDE.address)],
    ['c1 → outside, second subnet', () => connects(m.c1, OUTSIDE_ALSO.v4.address)],
    ['c1 → outside, IPv6', () => connects(m.c1, OUTSIDE_ALSO.v6.address)],
    ['outside → c1, IPv6', () => connects(outside, six)],
    ['d1 → outside', () => connects(m.d1, OUTSIDE.address)],
    ['d1 → d2', () => connects(m.d1, addresses.d2)],
    ['d2 → d1', () => connects(m.d2, addresses.d1)],
    ['d1 → behind d2', () => connects(m.d1, BEHIND.d2)],
    ['d1 → behind nobody', () => pings(m.d1, BEHIND.a2)],
    ['a1 → behind a2', () => connects(m.a1, BEHIND.a2)],
    ['a1 → a2', () => connects(m.a1, addresses.a2)],
    ['outside → floating IP of a1', () => connects(outside, floating.a1)],
    ['outside → floating IP of c1', () => connects(outside, floating.c1)],
    ['outside → floating IP without a machine', () => pings(outside, floating.absent)],
    ['outside → floating IP without a port', () => pings(outside, floating.free)],
    ['outside → a1 by its fixed address', () => connects(outside, addresses.a1)],
    ['outside → b1 by its fixed address', () => connects(outside, addresses.b1)],
    ['a1 → its own floating IP', () => connects(m.a1, floating.a1)],
    ['a2 → floating IP of a1', () => connects(m.a2, floating.a1)],
    ['a1 → floating IP of c1', () => connects(m.a1, floating.c1)],
    ['a2 → floating IP of c1', () => connects(m.a2, floating.c1)],
    ['b1 → floating IP of a1', () => connects(m.b1, floating.a1)],
    ['c1 → floating IP of a1', () => connects(m.c1, floating.a1)],
    ['outside pings floating IP of a1', () => pings(outside, floating.a1)],
    ['outside pings router snat', () => pings(outside, gateways.snat)],
    ['outside pings router dual, IPv6', () => pings(outside, gateways.dual6)],
    ['outside → router snat, closed port', () => connects(outside, gateways.snat)],
    ['outside → router snat, metadata proxy', () => connects(outside, gateways.snat, PROXY_PORT)],
    ['outside → floating IP of a1, one hop only', () => pings(outside, floating.a1, '-t', '1')],
    ['a2 → outside, one hop only', () => pings(m.a2, OUTSIDE.address, '-t', '1')],
    ['a2 → outside, large packets', () => pings(m.a2, OUTSIDE.address, '-s', '1472', '-M', 'do')],
    ['a1 → outside, fragments', () => pings(m.a1, OUTSIDE.address, '-s', '4000')],
    ['c1 → outside, IPv6, one hop only', () => pings(m.c1, OUTSIDE_ALSO.v6.address, '-t', '1')],
    ['a2 → router, metadata proxy', () => connects(m.a2, inside.a2, PROXY_PORT)],
    ['a2 → router, closed port', () => connects(m.a2, inside.a2)],
    ['a2 pings its router from inside at the gateway', () => pings(m.a2, gateways.snat)],
    ...(['a1', 'b1', 'c1', 'd1', 'd2'] as const).flatMap((name): typeof cases => [
      [`${name} pings its router`, () => pings(m[name], inside[name])],
      [`${name} asks for metadata`, () => metadata(m[name])],
    ]),
  ];
  const found = new Map<string, string>();
  try {
    for (const [name, look] of cases) found.set(name, await look());
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  return found;
}
