import { describe, expect, test } from 'vitest';
import { compileRouter } from '../../../agents/l3/compile/router.ts';
import { l3Options } from '../../../agents/l3/options.ts';
import { counters } from '../../../lib/kernel/counters.ts';
import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { parseRouter } from '../../../lib/model/router.ts';
import { setStepHook } from '../../../lib/namespace/apply.ts';
import { link, netns } from '../../../lib/namespace/rows.ts';
import { routerPayload } from '../../kernel/routers.ts';
import {
  BRIDGE,
  build,
  externalIds,
  HOST_LINKS,
  hostLinks,
  INTERNAL,
  ip,
  linkOf,
  port,
  replies,
  rig,
} from './rig.ts';

const { ovs, agent } = rig();

describe('internal ports', () => {
  test('[O1] a port is found by the L2 agent through iface-id, iface-status and attached-mac', async () => {
    expect((await build(agent(), port(1))).failures).toEqual([]);
    const { device, id, mac, ns } = port(1);
    expect(await ovs().vsctl('get', 'Interface', device, 'type')).toBe('internal');
    expect(await ovs().vsctl('get', 'Interface', device, 'external_ids')).toBe(externalIds(id, mac));
    expect(await ovs().vsctl('port-to-br', device)).toBe(BRIDGE);
    expect(linkOf(ns, device)).toMatchObject({ address: mac, mtu: 1450 });
    expect(hostLinks()).toEqual(HOST_LINKS);
  });

  test('[O2] a port carries nothing until the L2 agent has given it its VLAN', async () => {
    const reconciler = agent();
    for (const n of [1, 2]) expect((await build(reconciler, port(n))).failures).toEqual([]);
    expect(await ovs().vsctl('get', 'Port', port(1).device, 'tag', 'vlan_mode', 'trunks')).toBe(
      '4095\ntrunk\n[4095]',
    );
    expect(replies(port(1), port(2))).toBe(0);
    for (const n of [1, 2]) await ovs().wire(port(n).device, 7);
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
    await ovs().wire(port(1).device, 7);
    expect(first.plan(port(1).id)).toEqual([]);
    await first.close();
    const before = { ...counters };
    const config = await ovs().vsctl('get', 'Open_vSwitch', '.', 'next_cfg');
    const second = agent();
    expect(await build(second, port(1))).toEqual({ steps: 0, failures: [] });
    expect(counters).toEqual(before);
    expect(await ovs().vsctl('get', 'Open_vSwitch', '.', 'next_cfg')).toBe(config);
    expect(await ovs().vsctl('get', 'Port', port(1).device, 'tag')).toBe('7');
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
    await ovs().wire(port(1).device, 7);
    const other = { ...port(1), mac: 'fa:16:3e:00:00:aa' };
    expect((await build(reconciler, other)).failures).toEqual([]);
    expect(await ovs().vsctl('get', 'Interface', other.device, 'external_ids:attached-mac')).toBe(
      '"fa:16:3e:00:00:aa"',
    );
    expect(linkOf(other.ns, other.device).address).toBe('fa:16:3e:00:00:aa');
    expect(await ovs().vsctl('get', 'Port', port(1).device, 'tag')).toBe('7');
  });

  test("a port of that name without our marks makes room, as Neutron's driver has it", async () => {
    await ovs().vsctl(
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
    expect(await ovs().vsctl('get', 'Interface', port(1).device, 'external_ids:iface-id')).toBe(
      `"${port(1).id}"`,
    );
    expect(linkOf(port(1).ns, port(1).device).address).toBe(port(1).mac);
  });

  test('removing the owner leaves nothing, in the database or the kernel', async () => {
    const reconciler = agent();
    await build(reconciler, port(1));
    reconciler.removeOwner(port(1).id);
    expect((await reconciler.reconcile(port(1).id)).failures).toEqual([]);
    expect(await ovs().vsctl('list-ports', BRIDGE)).toBe('');
    expect(await ovs().vsctl('--bare', '--columns=name', 'list', 'Interface')).toBe(BRIDGE);
    expect(hostLinks()).toEqual(HOST_LINKS);
  });

  test('a stale device in a namespace takes its port along', async () => {
    const first = agent();
    await build(first, port(1));
    await first.close();
    const second = agent();
    const { ns, id } = port(1);
    second.setDesired(id, [[netns(ns), link({ ns, name: 'lo', type: 'loopback' })]]);
    expect((await second.reconcile(id)).failures).toEqual([]);
    expect(await ovs().vsctl('list-ports', BRIDGE)).toBe('');
  });

  test('a process that ends between port and device leaves what the next one completes', async () => {
    setStepHook((step) => {
      if (step.row.kind === 'link' && step.row.type === 'internal') throw new Error('ended here');
    });
    const first = agent();
    expect((await build(first, port(1))).failures.map(({ message }) => message)).toContain('ended here');
    setStepHook(undefined);
    await first.close();
    expect(await ovs().vsctl('list-ports', BRIDGE)).toBe(port(1).device);
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
    expect((await ovs().vsctl('list-ports', BRIDGE)).split('\n')).toHaveLength(
      payload._interfaces.length + 1,
    );
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
