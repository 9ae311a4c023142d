import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compileRouter } from '../../../agents/l3/compile/router.ts';
import { l3Options } from '../../../agents/l3/options.ts';
import { counters } from '../../../lib/kernel/counters.ts';
import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { parseRouter } from '../../../lib/model/router.ts';
import { setStepHook } from '../../../lib/namespace/apply.ts';
import { Reconciler } from '../../../lib/namespace/reconciler.ts';
import { address, link, netns, type RowGroup } from '../../../lib/namespace/rows.ts';
import { OpenVswitch } from '../../../lib/wiring/openvswitch.ts';
import { plugPort, type Wiring } from '../../../lib/wiring/wiring.ts';
import { routerPayload } from '../../kernel/routers.ts';
import { TestSwitch } from './open-vswitch.ts';

const BRIDGE = 'vdtbr-int';
const INTERNAL: Wiring = `openvswitch:${BRIDGE}:netdev`;
const VETH: Wiring = `openvswitch-veth:${BRIDGE}:netdev`;

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const linkOf = (ns: string, name: string) =>
  (
    JSON.parse(ip('-n', ns, '-d', '-j', 'link', 'show', name)) as {
      address: string;
      mtu: number;
      operstate: string;
    }[]
  )[0]!;
/** Devices and namespaces of these tests. */
const ours = (name: string): boolean => /5f0d\d000|vdtbr/.test(name);
const hostLinks = (): string[] =>
  (JSON.parse(ip('-j', 'link')) as { ifname: string }[]).map(({ ifname }) => ifname).filter(ours);

/** Port n of a network, in a namespace of its own. */
const port = (n: number, mtu = 1450) => ({
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
function replies(from: TestPort, to: TestPort, size = 56): number {
  try {
    const args = ['netns', 'exec', from.ns, 'ping', '-c10', '-i0.05', '-W1', `-s${size}`, to.ip];
    return Number(/(\d+) received/.exec(ip(...args))?.[1]);
  } catch (error) {
    return Number(/(\d+) received/.exec((error as { stdout: string }).stdout)?.[1]);
  }
}

const externalIds = (id: string, mac: string): string =>
  `{attached-mac="${mac}", iface-id="${id}", iface-status=active}`;

let ovs: TestSwitch;
let links: string[];
let namespaces: string[];
const reconcilers: Reconciler[] = [];

/** An agent's reconciler, freshly started. */
function agent(settings: { heal?: boolean; timeoutMs?: number } = {}): Reconciler {
  const portSwitch = new OpenVswitch({ remotes: [ovs.remote], timeoutMs: settings.timeoutMs ?? 10_000 });
  const made = new Reconciler({ portSwitch, heal: settings.heal ?? false, announce: false });
  reconcilers.push(made);
  return made;
}

async function build(reconciler: Reconciler, wanted: TestPort, wiring: Wiring = INTERNAL) {
  reconciler.setDesired(wanted.id, groupsOf(wanted, wiring));
  return await reconciler.reconcile(wanted.id);
}

async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if (await condition()) return;
    await delay(50);
  }
  throw new Error(`not within ${ms} ms: ${what}`);
}

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

describe('internal ports', () => {
  test('[O1] a port is found by the L2 agent through iface-id, iface-status and attached-mac', async () => {
    expect((await build(agent(), port(1))).failures).toEqual([]);
    const { device, id, mac, ns } = port(1);
    expect(await ovs.vsctl('get', 'Interface', device, 'type')).toBe('internal');
    expect(await ovs.vsctl('get', 'Interface', device, 'external_ids')).toBe(externalIds(id, mac));
    expect(await ovs.vsctl('port-to-br', device)).toBe(BRIDGE);
    expect(linkOf(ns, device)).toMatchObject({ address: mac, mtu: 1450 });
    expect(hostLinks()).toEqual(links);
  });

  test('[O2] a port carries nothing until the L2 agent has given it its VLAN', async () => {
    const reconciler = agent();
    for (const n of [1, 2]) expect((await build(reconciler, port(n))).failures).toEqual([]);
    expect(await ovs.vsctl('get', 'Port', port(1).device, 'tag', 'vlan_mode', 'trunks')).toBe(
      '4095\ntrunk\n[4095]',
    );
    expect(replies(port(1), port(2))).toBe(0);
    for (const n of [1, 2]) await ovs.wire(port(n).device, 7);
    expect(replies(port(1), port(2))).toBe(10);
    expect(replies(port(1), port(2), 1400)).toBe(10);
  });

  test('its MTU may be larger than that of any other device of the bridge', async () => {
    await build(agent(), port(1, 9000));
    expect(linkOf(port(1).ns, port(1).device).mtu).toBe(9000);
  });

  test('a later process finds nothing to do, and leaves the VLAN of the L2 agent alone', async () => {
    const first = agent();
    await build(first, port(1));
    await ovs.wire(port(1).device, 7);
    expect(first.plan(port(1).id)).toEqual([]);
    await first.close();
    const before = { ...counters };
    const config = await ovs.vsctl('get', 'Open_vSwitch', '.', 'next_cfg');
    const second = agent();
    expect(await build(second, port(1))).toEqual({ steps: 0, failures: [] });
    expect(counters).toEqual(before);
    expect(await ovs.vsctl('get', 'Open_vSwitch', '.', 'next_cfg')).toBe(config);
    expect(await ovs.vsctl('get', 'Port', port(1).device, 'tag')).toBe('7');
  });

  test('several owners: a later process finds the ports of each', async () => {
    const first = agent();
    for (const n of [1, 2, 3]) await build(first, port(n));
    await first.close();
    const second = agent();
    for (const n of [1, 2, 3]) expect((await build(second, port(n))).steps).toBe(0);
  });

  test('another MAC changes the port in place', async () => {
    const reconciler = agent();
    await build(reconciler, port(1));
    await ovs.wire(port(1).device, 7);
    const other = { ...port(1), mac: 'fa:16:3e:00:00:aa' };
    expect((await build(reconciler, other)).failures).toEqual([]);
    expect(await ovs.vsctl('get', 'Interface', other.device, 'external_ids:attached-mac')).toBe(
      '"fa:16:3e:00:00:aa"',
    );
    expect(linkOf(other.ns, other.device).address).toBe('fa:16:3e:00:00:aa');
    expect(await ovs.vsctl('get', 'Port', port(1).device, 'tag')).toBe('7');
  });

  test("a port of that name without our marks makes room, as Neutron's driver has it", async () => {
    await ovs.vsctl(
      'add-port',
      BRIDGE,
      port(1).device,
      '--',
      'set',
      'Interface',
      port(1).device,
      'type=internal',
    );
    expect((await build(agent(), port(1))).failures).toEqual([]);
    expect(await ovs.vsctl('get', 'Interface', port(1).device, 'external_ids:iface-id')).toBe(
      `"${port(1).id}"`,
    );
    expect(linkOf(port(1).ns, port(1).device).address).toBe(port(1).mac);
  });

  test('removing the owner leaves nothing, in the database or the kernel', async () => {
    const reconciler = agent();
    await build(reconciler, port(1));
    reconciler.removeOwner(port(1).id);
    expect((await reconciler.reconcile(port(1).id)).failures).toEqual([]);
    expect(await ovs.vsctl('list-ports', BRIDGE)).toBe('');
    expect(await ovs.vsctl('--bare', '--columns=name', 'list', 'Interface')).toBe(BRIDGE);
    expect(hostLinks()).toEqual(links);
  });

  test('a stale device in a namespace takes its port along', async () => {
    const first = agent();
    await build(first, port(1));
    await first.close();
    const second = agent();
    const { ns, id } = port(1);
    second.setDesired(id, [[netns(ns), link({ ns, name: 'lo', type: 'loopback' })]]);
    expect((await second.reconcile(id)).failures).toEqual([]);
    expect(await ovs.vsctl('list-ports', BRIDGE)).toBe('');
  });

  test('a process that ends between port and device leaves what the next one completes', async () => {
    setStepHook((step) => {
      if (step.row.kind === 'link' && step.row.type === 'internal') throw new Error('ended here');
    });
    const first = agent();
    expect((await build(first, port(1))).failures.map(({ message }) => message)).toContain('ended here');
    setStepHook(undefined);
    await first.close();
    expect(await ovs.vsctl('list-ports', BRIDGE)).toBe(port(1).device);
    expect((await build(agent(), port(1))).failures).toEqual([]);
    expect(linkOf(port(1).ns, port(1).device)).toMatchObject({ address: port(1).mac, mtu: 1450 });
  });

  test('a whole router is built, found again and removed', async () => {
    const payload = routerPayload(0xb1, { floatingIps: 2 });
    const groups = () =>
      compileRouter({
        router: parseRouter(structuredClone(payload)),
        host: { name: 'vdt' },
        options: l3Options({ wiring: INTERNAL }),
      });
    const first = agent();
    first.setDesired(payload.id, groups());
    expect((await first.reconcile(payload.id)).failures).toEqual([]);
    expect(first.plan(payload.id)).toEqual([]);
    await first.close();
    const second = agent();
    second.setDesired(payload.id, groups());
    expect(await second.reconcile(payload.id)).toEqual({ steps: 0, failures: [] });
    expect(ip('-n', `qrouter-${payload.id}`, 'route')).toContain('default via');
    expect((await ovs.vsctl('list-ports', BRIDGE)).split('\n')).toHaveLength(payload._interfaces.length + 1);
    second.removeOwner(payload.id);
    expect((await second.reconcile(payload.id)).failures).toEqual([]);
    expect(listNamespaces()).not.toContain(`qrouter-${payload.id}`);
  });

  test('without its bridge a port is not made, and the error says who makes it', async () => {
    const { failures } = await build(agent(), port(1), 'openvswitch:vdtbr-none:netdev');
    expect(failures.map(({ message }) => message)).toContain(
      'Open vSwitch has no bridge vdtbr-none: the L2 agent makes it',
    );
  });
});

describe('veth pairs (ovs_use_veth)', () => {
  test('[O3] the root end of a veth pair is the port, and IPv6 is off on it', async () => {
    const reconciler = agent();
    expect((await build(reconciler, port(1), VETH)).failures).toEqual([]);
    const { id, mac, ns, device } = port(1);
    const tap = device.replace('qr-', 'tap');
    expect(await ovs.vsctl('get', 'Interface', tap, 'type', 'external_ids')).toBe(
      `""\n${externalIds(id, mac)}`,
    );
    expect(await ovs.vsctl('get', 'Port', tap, 'tag')).toBe('4095');
    expect(await ovs.vsctl('get', 'Interface', tap, 'error')).toBe('[]');
    expect(ip('-n', ns, '-d', 'link', 'show', device)).toMatch(/veth/);
    expect(linkOf(ns, device)).toMatchObject({ address: mac, mtu: 1450, operstate: 'UP' });
    const file = `/proc/sys/net/ipv6/conf/${tap}/disable_ipv6`;
    expect(execFileSync('cat', [file], { encoding: 'utf8' }).trim()).toBe('1');
    expect(reconciler.plan(id)).toEqual([]);
  });

  test('packets pass once both are wired, with whole checksums', async () => {
    const reconciler = agent();
    for (const n of [1, 2]) {
      await build(reconciler, port(n), VETH);
      await ovs.wire(port(n).device.replace('qr-', 'tap'), 7);
    }
    // The first ones wait for the switch to open the devices.
    await until('packets pass', () => replies(port(1), port(2)) === 10);
    const server = `import socket\ns=socket.create_server(('${port(2).ip}', 7777))\nc,_=s.accept()\nc.sendall(b'hello')\nc.close()`;
    const client = `import socket\nprint(socket.create_connection(('${port(2).ip}', 7777), 5).recv(9))`;
    const got = execFileSync(
      'sh',
      [
        '-c',
        'ip netns exec "$1" timeout 9 python3 -c "$2" & sleep 0.5; ip netns exec "$3" timeout 8 python3 -c "$4"; wait',
        'sh',
        port(2).ns,
        server,
        port(1).ns,
        client,
      ],
      { encoding: 'utf8' },
    );
    expect(got).toContain('hello');
  });

  test('a later process finds nothing to do for any owner', async () => {
    const first = agent();
    for (const n of [1, 2]) await build(first, port(n), VETH);
    await first.close();
    const before = { ...counters };
    const second = agent();
    for (const n of [1, 2]) expect(await build(second, port(n), VETH)).toEqual({ steps: 0, failures: [] });
    expect(counters).toEqual(before);
  });
});

describe('when things break', () => {
  test('the database is killed and started again: ports live on, new ones follow by themselves', async () => {
    const reconciler = agent({ heal: true });
    for (const n of [1, 2]) {
      await build(reconciler, port(n));
      await ovs.wire(port(n).device, 7);
    }
    await ovs.killDatabase();
    const { failures } = await build(reconciler, port(3));
    expect(failures.map(({ key }) => key)).toContain(`|ovs-port|${port(3).device}`);
    expect(failures[0]!.message).toContain('Open vSwitch database unix:');
    await ovs.startDatabase();
    await until('the third port is made', async () =>
      (await ovs.vsctl('list-ports', BRIDGE)).includes(port(3).device),
    );
    await until(
      'nothing is left to do',
      () => reconciler.pending === 0 && reconciler.plan(port(3).id).length === 0,
    );
    expect(linkOf(port(3).ns, port(3).device).address).toBe(port(3).mac);
    expect(replies(port(1), port(2))).toBe(10);
  });

  test('a router removed while the database is away is removed once it is back', async () => {
    const reconciler = agent();
    await build(reconciler, port(1));
    await ovs.killDatabase();
    reconciler.removeOwner(port(1).id);
    expect((await reconciler.reconcile(port(1).id)).failures).toHaveLength(1);
    await ovs.startDatabase();
    await until('the port is gone', async () => (await ovs.vsctl('list-ports', BRIDGE)) === '');
  });

  test('an agent started without the database keeps what there is, and adopts it later', async () => {
    const first = agent();
    await build(first, port(1));
    await first.close();
    await ovs.killDatabase();
    const second = agent({ heal: true });
    const result = await build(second, port(1));
    expect(result.failures.map(({ key }) => key)).toEqual([`|ovs-port|${port(1).device}`]);
    expect(linkOf(port(1).ns, port(1).device).address).toBe(port(1).mac);
    const before = { ...counters };
    await ovs.startDatabase();
    await until('all is well', () => second.pending === 0 && second.plan(port(1).id).length === 0);
    expect(counters.writes).toBe(before.writes);
    expect(await ovs.vsctl('list-ports', BRIDGE)).toBe(port(1).device);
  });

  test('a database that hangs costs its time-out, not the agent', async () => {
    const reconciler = agent({ timeoutMs: 1_000 });
    await build(reconciler, port(1));
    ovs.freezeDatabase();
    const started = Date.now();
    const { failures } = await build(reconciler, port(2));
    ovs.thawDatabase();
    expect(Date.now() - started).toBeLessThan(3_000);
    expect(failures[0]!.message).toMatch(/gave no answer to transact in 1 s/);
    await until('the second port is made', async () =>
      (await ovs.vsctl('list-ports', BRIDGE)).includes(port(2).device),
    );
    await until(
      'nothing is left to do',
      () => reconciler.pending === 0 && reconciler.plan(port(2).id).length === 0,
    );
  });

  test('ports deleted by hand come back', async () => {
    const reconciler = agent({ heal: true });
    await build(reconciler, port(1));
    await ovs.vsctl('del-port', BRIDGE, port(1).device);
    await until('the port is back', async () => (await ovs.vsctl('list-ports', BRIDGE)) === port(1).device);
    await until(
      'nothing is left to do',
      () => reconciler.pending === 0 && reconciler.plan(port(1).id).length === 0,
    );
    expect(ip('-n', port(1).ns, 'address')).toContain(port(1).ip);
  });

  test('ovs-vswitchd is killed and started again: its new devices take the place of the dead ones', async () => {
    const reconciler = agent({ heal: true });
    for (const n of [1, 2]) {
      await build(reconciler, port(n));
      await ovs.wire(port(n).device, 7);
    }
    await ovs.killSwitch();
    await until('the loss is noticed', () => reconciler.plan(port(1).id).length > 0);
    await ovs.startSwitch();
    await until('packets pass', () => replies(port(1), port(2)) === 10, 20_000);
    await until('nothing is left to do', () => reconciler.pending === 0);
    expect(hostLinks()).toEqual(links);
  });
});
