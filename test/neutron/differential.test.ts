import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namespaceExists } from '../../lib/kernel/netns.ts';
import { output, until } from '../e2e/shell.ts';
import type { AgentGroup } from './cloud/agent-group.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import { NeutronAgents } from './cloud/neutron-agents.ts';
import { ViaductAgents } from './cloud/viaduct-agents.ts';
import { type Difference, differences, type Facts, namespaceFacts } from './differential/namespace-facts.ts';
import { packetMatrix } from './differential/packet-matrix.ts';
import { type Site, SiteMaker, slaacAddress } from './differential/site.ts';

/** A difference that is wanted. Each must be met, or it is out of date. */
interface Documented {
  readonly fact: RegExp;
  readonly reason: string;
}

const DOCUMENTED: readonly Documented[] = [
  {
    fact: /^link q[rg]-\S+\.num_[rt]x_queues$/,
    reason:
      'A veth pair made without a word has as many queues as the machine has processors. More than one is used by XDP ' +
      'alone, and each costs memory and time at creation.',
  },
  {
    fact: /^address \S+\/32 on qg-\S+\.broadcast$/,
    reason: 'Neutron gives a floating IP itself as broadcast address. A single address has none.',
  },
  {
    // That of a subnet is not meant.
    fact: /^route -4 broadcast (?!\S+\.(?:0|255) )\S+ table local dev qg-/,
    reason: 'What the kernel makes of such a broadcast address; the local route beside it decides.',
  },
  {
    fact: /^sysctl net\.netfilter\.nf_conntrack_tcp_be_liberal$/,
    reason:
      'Neutron sets it since release 26, so that connections live over a change of the path; Zed did not.',
  },
];

const NEUTRON_ATTEMPTS = 4;
const PATIENCE_MS = 240_000;
const QUIET_MS = 4_000;

interface Seen {
  readonly namespaces: Readonly<Record<string, Facts>>;
  readonly packets: Facts;
}

let cloud: Cloud;
let site: Site;
let neutron: Seen;
let viaduct: Seen;

const lines = (list: readonly Difference[]): string[] =>
  list.map(
    ({ fact, neutron: n, viaduct: v }) => `${fact}: Neutron ${n ?? '(none)'}, Viaduct ${v ?? '(none)'}`,
  );

/** What both see in the same way: a namespace whose facts do not change any more. */
async function settledFacts(ns: string): Promise<Facts> {
  let before = await namespaceFacts(ns);
  let since = Date.now();
  return until(
    `${ns} does not change any more`,
    async () => {
      const now = await namespaceFacts(ns);
      if (differences(before, now).length > 0) since = Date.now();
      before = now;
      return Date.now() - since > QUIET_MS && now;
    },
    PATIENCE_MS,
  );
}

/** Builds all routers by one side, looks, and removes them. */
async function observe(agents: AgentGroup): Promise<Seen> {
  agents.start('l3', 'metadata');
  try {
    const { routers, machines, floating } = site;
    for (const { id, name } of Object.values(routers))
      await until(`router ${String(name)}`, () => namespaceExists(`qrouter-${id}`), PATIENCE_MS);
    await machines.a2.reaches(OUTSIDE.address, PATIENCE_MS);
    await machines.b1.reaches(OUTSIDE.address, PATIENCE_MS);
    await machines.d1.reaches(site.addresses.d2, PATIENCE_MS);
    await cloud.outside.reaches(floating.a1, PATIENCE_MS);
    await cloud.outside.reaches(floating.c1, PATIENCE_MS);
    const six = await slaacAddress(machines.c1);
    await cloud.outside.reaches(six, PATIENCE_MS);
    const namespaces: Record<string, Facts> = {};
    for (const [name, { id }] of Object.entries(routers))
      namespaces[name] = await settledFacts(`qrouter-${id}`);
    return { namespaces, packets: await packetMatrix(site, cloud.outside, six) };
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${agents.tail(6_000)}`);
  } finally {
    await agents.boot(cloud.broker);
  }
}

/**
 * Neutron's agents of Debian 12 now and then stop for ever when work begins ("cannot switch to a different thread" in a
 * privsep daemon), the more so on a busy machine.
 */
async function untilItWorks(look: () => Promise<Seen>): Promise<Seen> {
  for (let attempt = 1; attempt < NEUTRON_ATTEMPTS; attempt++) {
    try {
      return await look();
    } catch (error) {
      process.stderr.write(`attempt ${attempt}: ${(error as Error).message.split('\n')[0]}\n`);
    }
  }
  return look();
}

beforeAll(async () => {
  cloud = await Cloud.start({
    // Agents that are stopped meanwhile keep what they are scheduled for.
    server: { DEFAULT: { agent_down_time: 86_400 } },
    node: { common: { DEFAULT: { debug: false, rpc_response_timeout: 60 } } },
  });
  const ours = new ViaductAgents(cloud.node);
  cloud.node.start('linuxbridge');
  ours.start('l3');
  await until(
    'the agents have reported',
    async () => (await cloud.server.list('agents')).filter(({ alive }) => alive).length === 2,
    60_000,
  );
  await ours.stop();
  site = await new SiteMaker(cloud).make();
  await ours.boot(cloud.broker);
  neutron = await untilItWorks(() => observe(new NeutronAgents(cloud.node)));
  viaduct = await observe(ours);
}, 2_400_000);

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
});

describe('routers of one server, built by Neutron’s L3 agent and by Viaduct', () => {
  const undocumented = (list: readonly Difference[]): Difference[] =>
    list.filter(({ fact }) => !DOCUMENTED.some((documented) => documented.fact.test(fact)));
  const inNamespace = (name: string): Difference[] =>
    differences(neutron.namespaces[name]!, viaduct.namespaces[name]!);

  it.each(['snat', 'routed', 'dual', 'alone'])(
    'have the same devices, addresses, routes, rules and sysctls: router %s',
    (name) => {
      expect(neutron.namespaces[name]!.size).toBeGreaterThan(300);
      expect(lines(undocumented(inNamespace(name)))).toEqual([]);
    },
  );

  it('treat packets in the same way', () => {
    expect(Object.fromEntries(viaduct.packets)).toEqual(Object.fromEntries(neutron.packets));
  });

  it('are compared by packets that pass, are translated, and are refused', () => {
    const { floating, gateways, addresses } = site;
    expect(neutron.packets.get('a1 → outside')).toBe(`outside sees ${floating.a1}`);
    expect(neutron.packets.get('a2 → outside')).toBe(`outside sees ${gateways.snat}`);
    expect(neutron.packets.get('b1 → outside')).toBe(`outside sees ${addresses.b1}`);
    expect(neutron.packets.get('outside → floating IP of a1')).toBe(`a1 sees ${OUTSIDE.address}`);
    expect(neutron.packets.get('outside → router snat, metadata proxy')).toMatch(/^fails/);
  });

  it('differ in nothing that is documented and no longer there', () => {
    const all = Object.keys(neutron.namespaces).flatMap(inNamespace);
    const stale = DOCUMENTED.filter(({ fact }) => !all.some((d) => fact.test(d.fact)));
    expect(stale).toEqual([]);
  });
});
