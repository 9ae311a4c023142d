import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { setStepHook } from '../../../lib/namespace/apply.ts';
import { type Reconciled, Reconciler } from '../../../lib/namespace/reconciler.ts';
import { address, link, netns, type RowGroup } from '../../../lib/namespace/rows.ts';
import { OpenVswitch } from '../../../lib/wiring/openvswitch.ts';
import { plugPort, type Wiring } from '../../../lib/wiring/wiring.ts';
import { TestSwitch } from './open-vswitch.ts';

export const BRIDGE = 'vdtbr-int';
export const INTERNAL: Wiring = `openvswitch:${BRIDGE}:netdev`;
export const VETH: Wiring = `openvswitch-veth:${BRIDGE}:netdev`;

export const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
export const linkOf = (ns: string, name: string) =>
  (
    JSON.parse(ip('-n', ns, '-d', '-j', 'link', 'show', name)) as {
      address: string;
      mtu: number;
      operstate: string;
    }[]
  )[0]!;
/** Devices and namespaces of these tests. */
const ours = (name: string): boolean => /5f0d\d000|vdtbr/.test(name);
export const hostLinks = (): string[] =>
  (JSON.parse(ip('-j', 'link')) as { ifname: string }[]).map(({ ifname }) => ifname).filter(ours);

/** What is there of these tests while they have plugged nothing: the bridge. */
export const HOST_LINKS: readonly string[] = [BRIDGE];

/** Port n of a network, in a namespace of its own. */
export const port = (n: number, mtu = 1450) => ({
  id: `5f0d${n}000-4ae8-4830-bac7-921b32da3eb8`,
  ns: `qrouter-5f0d${n}000-4ae8-4830-bac7-921b32da3eb8`,
  device: `qr-5f0d${n}000-4a`,
  mac: `fa:16:3e:00:00:0${n}`,
  mtu,
  ip: `10.99.0.${n}`,
});
type TestPort = ReturnType<typeof port>;

const groupsOf = ({ id, ns, device, mac, mtu, ip: address4 }: TestPort, wiring: Wiring): RowGroup[] => [
  [netns(ns), link({ ns, name: 'lo', type: 'loopback' })],
  [
    ...plugPort({ ns, device, port: { id, network_id: id, mac_address: mac }, mtu }, wiring),
    address({ ns, dev: device, ip: address4, prefix: 24, family: 4, broadcast: true }),
  ],
];

/** Number of replies to ten pings. */
export function replies(from: TestPort, to: TestPort, size = 56): number {
  try {
    const args = ['netns', 'exec', from.ns, 'ping', '-c10', '-i0.05', '-W1', `-s${size}`, to.ip];
    return Number(/(\d+) received/.exec(ip(...args))?.[1]);
  } catch (error) {
    return Number(/(\d+) received/.exec((error as { stdout: string }).stdout)?.[1]);
  }
}

export const externalIds = (id: string, mac: string): string =>
  `{attached-mac="${mac}", iface-id="${id}", iface-status=active}`;

export const build = (
  reconciler: Reconciler,
  wanted: TestPort,
  wiring: Wiring = INTERNAL,
): Promise<Reconciled> => {
  reconciler.setDesired(wanted.id, groupsOf(wanted, wiring));
  return reconciler.reconcile(wanted.id);
};

export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if (await condition()) return;
    await delay(50);
  }
  throw new Error(`not within ${ms} ms: ${what}`);
}

export interface Rig {
  /** the switch of the file's tests */
  readonly ovs: () => TestSwitch;
  /** an agent's reconciler, freshly started */
  readonly agent: (settings?: { heal?: boolean; timeoutMs?: number }) => Reconciler;
}

/** A switch with an integration bridge for the tests of a file; after each of them nothing may be left of it. */
export function rig(): Rig {
  let ovs: TestSwitch;
  let links: string[];
  let namespaces: string[];
  const reconcilers: Reconciler[] = [];
  const agent: Rig['agent'] = ({ heal = false, timeoutMs = 10_000 } = {}) => {
    const portSwitch = new OpenVswitch({ remotes: [ovs.remote], timeoutMs });
    const made = new Reconciler({ portSwitch, heal, announce: false });
    reconcilers.push(made);
    return made;
  };

  beforeAll(async () => {
    ovs = await TestSwitch.start();
    await ovs.addBridge(BRIDGE);
  });
  afterAll(() => ovs.stop());

  beforeEach(() => {
    links = hostLinks();
    namespaces = listNamespaces().filter(ours);
  });

  afterEach(async () => {
    setStepHook(undefined);
    for (const reconciler of reconcilers.splice(0)) await reconciler.close();
    const cleaner = agent();
    for (const wiring of [INTERNAL, VETH])
      for (const n of [1, 2, 3]) {
        cleaner.setDesired(port(n).id, groupsOf(port(n), wiring));
        cleaner.removeOwner(port(n).id);
        expect((await cleaner.reconcile(port(n).id)).failures).toEqual([]);
      }
    await cleaner.close();
    reconcilers.length = 0;
    expect(await ovs.vsctl('list-ports', BRIDGE)).toBe('');
    expect(hostLinks()).toEqual(links);
    expect(listNamespaces().filter(ours)).toEqual(namespaces);
  });
  return { ovs: () => ovs, agent };
}
