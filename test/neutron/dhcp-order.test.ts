/** In which order a DHCP agent does what it is told, and what it does while the server gives no answers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { lease } from '../e2e/dhcp-client.ts';
import type { Machine } from '../e2e/packets.ts';
import { output } from '../e2e/shell.ts';
import { logOf } from './cloud/agent-log.ts';
import { Cloud } from './cloud/cloud.ts';
import type { NetworkNode } from './cloud/node.ts';
import type { Resource } from './cloud/server.ts';
import { addressOf, dnsmasqIn, fixedIps, Tenant, type TenantNetwork } from './cloud/tenant.ts';

let cloud: Cloud;
let node: NetworkNode;
let tenant: Tenant;
let first: TenantNetwork;
let vm: Machine;
let port: Resource;

const ns = ({ id }: Resource): string => `qdhcp-${id}`;
const isServed = (network: Resource) =>
  tenant.soon(`${String(network.name)} is served`, () => dnsmasqIn(ns(network)));
/** What the agent has logged since `before` lines. */
const since = (before: number) => logOf(node.agent('dhcp')).slice(before);
const said = (): number => logOf(node.agent('dhcp')).length;

/** The agent hears of all that is done meanwhile at once, in that order. */
async function heldBack<T>(change: () => Promise<T>, then: () => void = () => undefined): Promise<T> {
  node.agent('dhcp').signal('SIGSTOP');
  const made = await change();
  then();
  node.agent('dhcp').signal('SIGCONT');
  return made;
}

beforeAll(async () => {
  cloud = await Cloud.start({
    node: {
      common: { DEFAULT: { rpc_response_timeout: 4, rpc_response_max_timeout: 5 } },
      agents: { dhcp: { DEFAULT: { num_sync_threads: 1 } } },
    },
  });
  node = cloud.node;
  tenant = new Tenant(cloud);
  node.start('linuxbridge', 'dhcp');
  await tenant.alive('DHCP agent');
  await tenant.alive('Linux bridge agent');
  first = await tenant.network('first', ['10.1.0.0/24']);
  ({ vm, port } = await tenant.machine('vm1', first.network));
  await isServed(first.network);
  await tenant.soon('the port is wired and served', () => tenant.isActive(port));
}, 400_000);

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
}, 60_000);

describe('a DHCP agent', () => {
  it('[M4] serves a new network before changes of ports that waited longer', async () => {
    const busy: { network: Resource; port: Resource }[] = [];
    for (const n of [2, 3, 4, 5]) {
      const { network } = await tenant.network(`busy-${n}`, [`10.${n}.0.0/24`]);
      busy.push({ network, port: await tenant.port(network) });
    }
    for (const { network } of busy) await isServed(network);
    await tenant.settled(node, 'dhcp');
    const before = said();
    const urgent = await heldBack(async () => {
      // Its answer is waited for while all else comes in.
      await cloud.server.update('networks', first.network.id, { name: 'again' });
      for (const { port: theirs } of busy) {
        const [fixed] = fixedIps(theirs);
        const fixed_ips = [{ ...fixed!, ip_address: fixed!.ip_address.replace(/\d+$/, '77') }];
        await cloud.server.update('ports', theirs.id, { fixed_ips });
      }
      return await tenant.network('urgent', ['10.9.0.0/24']);
    });
    const served = () =>
      since(before).flatMap(({ msg, network }) => (msg === 'network is as wanted' ? String(network) : []));
    await tenant.soon('all was done', () => busy.every(({ network }) => served().includes(network.id)));
    const position = (id: string): number => served().indexOf(id);
    for (const { network } of busy) expect(position(network.id)).toBeGreaterThan(position(urgent.network.id));
    expect(position(urgent.network.id)).toBeGreaterThanOrEqual(0);
  });

  it('[M2] asks again and again, less and less often, while the server is away, and serves what it has', async () => {
    const before = said();
    const { network } = await heldBack(
      () => tenant.network('late', ['10.20.0.0/24']),
      () => cloud.server.signal('SIGSTOP'),
    );
    try {
      const pauses = (): number[] =>
        since(before).flatMap(({ msg, network: id }) => {
          const [, seconds] = /\(attempt \d+, next in (\d+) s\)/.exec(msg) ?? [];
          return id === network.id && seconds !== undefined ? Number(seconds) : [];
        });
      await tenant.soon('three attempts', () => pauses().length >= 3);
      const [one, , three] = pauses();
      expect(three).toBeGreaterThan(one!);
      expect((await lease(vm)).ack?.address).toBe(addressOf(port));
    } finally {
      cloud.server.signal('SIGCONT');
    }
    await isServed(network);
  });

  it('[M2] keeps what is there when not even its first question is answered', async () => {
    const namespaces = listNamespaces().sort();
    const { pid } = (await dnsmasqIn(ns(first.network)))!;
    const before = said();
    cloud.server.signal('SIGSTOP');
    try {
      await tenant.restart(node.agent('dhcp'));
      await tenant.soon('it has asked in vain', () =>
        since(before).some(({ msg }) => msg.startsWith('the state report failed')),
      );
      expect(listNamespaces().sort()).toEqual(namespaces);
      expect((await lease(vm)).ack?.address).toBe(addressOf(port));
    } finally {
      cloud.server.signal('SIGCONT');
    }
    await tenant.settled(node, 'dhcp');
    expect((await dnsmasqIn(ns(first.network)))?.pid).toBe(pid);
    const { network } = await tenant.network('after', ['10.21.0.0/24']);
    await isServed(network);
  });
});
