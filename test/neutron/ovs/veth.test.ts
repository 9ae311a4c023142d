import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { counters } from '../../../lib/kernel/counters.ts';
import { build, externalIds, ip, linkOf, port, replies, rig, until, VETH } from './rig.ts';

const { ovs, agent } = rig();

describe('veth pairs (ovs_use_veth)', () => {
  test('[O3] the root end of a veth pair is the port, and IPv6 is off on it', async () => {
    const reconciler = agent();
    expect((await build(reconciler, port(1), VETH)).failures).toEqual([]);
    const { id, mac, ns, device } = port(1);
    const tap = device.replace('qr-', 'tap');
    expect(await ovs().vsctl('get', 'Interface', tap, 'type', 'external_ids')).toBe(
      `""\n${externalIds(id, mac)}`,
    );
    expect(await ovs().vsctl('get', 'Port', tap, 'tag')).toBe('4095');
    expect(await ovs().vsctl('get', 'Interface', tap, 'error')).toBe('[]');
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
      await ovs().wire(port(n).device.replace('qr-', 'tap'), 7);
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
