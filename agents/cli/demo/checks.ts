/** What the demo shows, each seen by packets: a claim, and how it is looked at. */
import type { Check } from '../progress.ts';
import { addresses, answerAs, ask, fetchFrom, hasIpv6Router, learnedAddresses, ping } from './probe.ts';
import type { Actor, Scene } from './scene.ts';

/** The address that stands for "somewhere in the internet". */
const OUTSIDE = '198.51.100.10';
const OUTSIDE_IPV6 = '2001:db8:ffff::10';
const GATEWAY = '10.0.0.1';
const METADATA = 'http://169.254.169.254/latest/meta-data/instance-id';
const METADATA_IPV6 = 'http://[fe80::a9fe:a9fe%25eth0]/latest/meta-data/instance-id';

interface Seen {
  readonly passed: boolean;
  readonly seen: string;
}
interface Claim {
  readonly name: string;
  readonly look: () => Promise<Seen>;
  /** it must be so at once: waiting could only make a wrong thing right */
  readonly atOnce: boolean;
}

/** All checks together wait this long for what is still to come: leases, ARP. */
const PATIENCE_MS = 40_000;

const claim = (name: string, look: () => Promise<Seen>): Claim => ({ name, look, atOnce: false });

const leaseOf = (actor: Actor): Claim =>
  claim(`${actor.name}: lease`, async () => {
    const found = await addresses(actor.namespace);
    return {
      passed: found.includes(`${actor.ip}/24`),
      seen: found.length > 0 ? `${found.join(', ')} by DHCP` : 'no address',
    };
  });

const slaacOf = (actor: Actor): Claim =>
  claim(`${actor.name}: IPv6 address`, async () => {
    const found = await learnedAddresses(actor.namespace);
    return {
      passed: found.includes(actor.ipv6),
      seen: found.length > 0 ? `${found.join(', ')} of its own making` : 'no address',
    };
  });

const lease6Of = (actor: Actor): Claim =>
  claim(`${actor.name}: DHCPv6 lease`, async () => {
    const found = await learnedAddresses(actor.namespace);
    return {
      passed: found.includes(actor.ipv6) && found.length === 1,
      seen: found.length > 0 ? `${found.join(', ')} by DHCPv6` : 'no address',
    };
  });

const withoutRouter = (actor: Actor): Claim =>
  claim(`${actor.name}: no way out by IPv6`, async () => {
    const routed = await hasIpv6Router(actor.namespace);
    return { passed: !routed, seen: `${routed ? 'a' : 'no'} default route` };
  });

const gatewayOf = (actor: Actor): Claim =>
  claim(`${actor.name}: ping of its gateway`, async () => {
    const replies = await ping(actor.namespace, GATEWAY);
    return { passed: replies === 3, seen: `${replies} of 3 replies from ${GATEWAY}` };
  });

/** The actor asks an address; `who` must answer, and see it come from `peer`. */
const reaches = (name: string, actor: Actor, address: string, who: string, peer: string): Claim =>
  claim(name, async () => {
    const answer = await ask(actor.namespace, address);
    if (!answer) return { passed: false, seen: `nobody answers at ${address}` };
    return {
      passed: answer.who === who && answer.peer === peer,
      seen: `${answer.who} at ${address} sees it come from ${answer.peer}`,
    };
  });

const isolated = (name: string, actor: Actor, foreign: Actor): Claim => ({
  name,
  atOnce: true,
  async look() {
    const replies = await ping(actor.namespace, foreign.ip);
    return { passed: replies === 0, seen: `${replies} of 3 replies from ${foreign.ip} of ${foreign.name}` };
  },
});

const metadataOf = (actor: Actor, url = METADATA): Claim =>
  claim(`${actor.name}: metadata`, async () => {
    const id = await fetchFrom(actor.namespace, url);
    return { passed: id === actor.id, seen: id === undefined ? 'no answer' : `instance ${id}` };
  });

function claimsOf(scene: Scene): Claim[] {
  const { actor } = scene;
  const [internet, redWeb, redDb] = [actor('internet'), actor('red-web'), actor('red-db')] as const;
  const [blueWeb, blueDb] = [actor('blue-web'), actor('blue-db')] as const;
  const [labA, labB] = [actor('lab-a'), actor('lab-b')] as const;
  const [red, blue] = [scene.gatewayIp('red-router'), scene.gatewayIp('blue-router')];
  const fip = (of: Actor): string => of.floatingIp ?? '';
  const instances = scene.actors.filter(({ dhcp }) => dhcp);
  const outside = internet.ip;
  return [
    ...instances.map(leaseOf),
    ...instances.map(gatewayOf),
    reaches('red-db: internet by SNAT', redDb, OUTSIDE, 'internet', red),
    reaches('blue-db: internet by SNAT', blueDb, OUTSIDE, 'internet', blue),
    reaches('red-web: internet by floating IP', redWeb, OUTSIDE, 'internet', fip(redWeb)),
    reaches('blue-web: internet by floating IP', blueWeb, OUTSIDE, 'internet', fip(blueWeb)),
    reaches('internet: floating IP of red-web', internet, fip(redWeb), 'red-web', outside),
    reaches('internet: floating IP of blue-web', internet, fip(blueWeb), 'blue-web', outside),
    reaches('red-db: floating IP of its neighbour', redDb, fip(redWeb), 'red-web', red),
    reaches('red-web: its own floating IP', redWeb, fip(redWeb), 'red-web', fip(redWeb)),
    reaches('red-web: floating IP of blue', redWeb, fip(blueWeb), 'blue-web', fip(redWeb)),
    reaches('red-db: 10.0.0.5 is its own tenant’s', redDb, redWeb.ip, 'red-web', redDb.ip),
    reaches('blue-db: 10.0.0.5 is its own tenant’s', blueDb, blueWeb.ip, 'blue-web', blueDb.ip),
    isolated('red-web: blue is out of reach', redWeb, blueDb),
    isolated('blue-web: red is out of reach', blueWeb, redDb),
    ...[redWeb, blueWeb].map((one) => metadataOf(one)),
    ...[redWeb, redDb, labA, labB].map(slaacOf),
    ...[blueWeb, blueDb].map(lease6Of),
    reaches('blue-db: internet by IPv6', blueDb, OUTSIDE_IPV6, 'internet', blueDb.ipv6),
    reaches('red-db: internet by IPv6', redDb, OUTSIDE_IPV6, 'internet', redDb.ipv6),
    reaches('internet: red-web by IPv6', internet, redWeb.ipv6, 'red-web', internet.ipv6),
    reaches('lab-a: lab-b without a router', labA, labB.ipv6, 'lab-b', labA.ipv6),
    withoutRouter(labA),
    metadataOf(labB, METADATA_IPV6),
  ];
}

async function settle({ name, look, atOnce }: Claim, deadline: number): Promise<Check> {
  let result = await look();
  while (!result.passed && !atOnce && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    result = await look();
  }
  return { name, ...result };
}

/** Looks at everything in turn; `watch` hears of each result. */
export async function check(scene: Scene, watch: (check: Check) => void): Promise<Check[]> {
  const stops: (() => Promise<void>)[] = [];
  try {
    for (const { name, namespace } of scene.actors) stops.push(await answerAs(namespace, name));
    const checks: Check[] = [];
    const deadline = Date.now() + PATIENCE_MS;
    for (const one of claimsOf(scene)) {
      const done = await settle(one, deadline).catch(
        (error: unknown): Check => ({
          name: one.name,
          passed: false,
          seen: error instanceof Error ? error.message : String(error),
        }),
      );
      watch(done);
      checks.push(done);
    }
    return checks;
  } finally {
    for (const stop of stops) await stop();
  }
}
