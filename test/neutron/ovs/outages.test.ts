import { describe, expect, test } from 'vitest';
import { counters } from '../../../lib/kernel/counters.ts';
import { BRIDGE, build, HOST_LINKS, hostLinks, ip, linkOf, port, replies, rig, until } from './rig.ts';

const { ovs, agent } = rig();

describe('when things break', () => {
  test('the database is killed and started again: ports live on, new ones follow by themselves', async () => {
    const reconciler = agent({ heal: true });
    for (const n of [1, 2]) {
      await build(reconciler, port(n));
      await ovs().wire(port(n).device, 7);
    }
    await ovs().killDatabase();
    const { failures } = await build(reconciler, port(3));
    expect(failures.map(({ key }) => key)).toContain(`|ovs-port|${port(3).device}`);
    expect(failures[0]!.message).toContain('Open vSwitch database unix:');
    await ovs().startDatabase();
    await until('the third port is made', async () =>
      (await ovs().vsctl('list-ports', BRIDGE)).includes(port(3).device),
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
    await ovs().killDatabase();
    reconciler.removeOwner(port(1).id);
    expect((await reconciler.reconcile(port(1).id)).failures).toHaveLength(1);
    await ovs().startDatabase();
    await until('the port is gone', async () => (await ovs().vsctl('list-ports', BRIDGE)) === '');
  });

  test('an agent started without the database keeps what there is, and adopts it later', async () => {
    const first = agent();
    await build(first, port(1));
    await first.close();
    await ovs().killDatabase();
    const second = agent({ heal: true });
    const result = await build(second, port(1));
    expect(result.failures.map(({ key }) => key)).toEqual([`|ovs-port|${port(1).device}`]);
    expect(linkOf(port(1).ns, port(1).device).address).toBe(port(1).mac);
    const before = { ...counters };
    await ovs().startDatabase();
    await until('all is well', () => second.pending === 0 && second.plan(port(1).id).length === 0);
    expect(counters.writes).toBe(before.writes);
    expect(await ovs().vsctl('list-ports', BRIDGE)).toBe(port(1).device);
  });

  test('a database that hangs costs its time-out, not the agent', async () => {
    const reconciler = agent({ timeoutMs: 1_000 });
    await build(reconciler, port(1));
    ovs().freezeDatabase();
    const { failures } = await build(reconciler, port(2));
    ovs().thawDatabase();
    expect(failures[0]!.message).toMatch(/gave no answer to transact in 1 s/);
    await until('the second port is made', async () =>
      (await ovs().vsctl('list-ports', BRIDGE)).includes(port(2).device),
    );
    await until(
      'nothing is left to do',
      () => reconciler.pending === 0 && reconciler.plan(port(2).id).length === 0,
    );
  });

  test('ports deleted by hand come back', async () => {
    const reconciler = agent({ heal: true });
    await build(reconciler, port(1));
    await ovs().vsctl('del-port', BRIDGE, port(1).device);
    await until('the port is back', async () => (await ovs().vsctl('list-ports', BRIDGE)) === port(1).device);
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
      await ovs().wire(port(n).device, 7);
    }
    await ovs().killSwitch();
    await until('the loss is noticed', () => reconciler.plan(port(1).id).length > 0);
    await ovs().startSwitch();
    await until('packets pass', () => replies(port(1), port(2)) === 10, 20_000);
    await until('nothing is left to do', () => reconciler.pending === 0);
    expect(hostLinks()).toEqual(HOST_LINKS);
  });
});
