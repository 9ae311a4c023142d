import { execFileSync, spawn } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { addAddress } from '../../lib/kernel/address.ts';
import { readLink } from '../../lib/kernel/link.ts';
import { Monitor } from '../../lib/kernel/monitor.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../lib/kernel/netlink.ts';
import { createNamespace, deleteNamespace, listNamespaces } from '../../lib/kernel/netns.ts';
import { loadRuleset } from '../../lib/kernel/nftables.ts';
import { addRule, replaceRoute } from '../../lib/kernel/route.ts';

const A = 'vdt-mon-a';
const B = 'vdt-mon-b';
const BRIDGE = 'vdt-mon-br';
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const ip = (args: string, input?: string): string =>
  execFileSync('ip', args.split(' '), { encoding: 'utf8', stdio: 'pipe', input });

describe('the monitor', () => {
  let monitor: Monitor;
  let heard: string[];
  let overflows: number;

  /** Changes of the preparation, and what the kernel does on its own account after them, are over. */
  async function quiet(): Promise<void> {
    let before: number;
    do {
      before = heard.length;
      await pause(150);
    } while (heard.length > before);
    heard.length = 0;
  }

  const hears = (what: string) => vi.waitFor(() => expect(heard).toContain(what), 2_000);

  beforeEach(async () => {
    heard = [];
    overflows = 0;
    for (const ns of [A, B]) createNamespace(ns);
    ip(`link add name v0 netns ${A} type veth peer name v0 netns ${B}`);
    for (const ns of [A, B]) ip(`-n ${ns} link set v0 up addrgenmode none`);
    monitor = new Monitor({
      changed: (ns) => heard.push(ns),
      hostLink: (name) => name === BRIDGE && heard.push(`link ${name}`),
      namespace: (name) => name.startsWith('vdt-mon-') && heard.push(`name ${name}`),
      overflow: () => {
        overflows += 1;
      },
    });
    monitor.listen();
    monitor.watch(A);
    await quiet();
  });

  afterEach(() => {
    monitor.close();
    for (const ns of listNamespaces().filter((name) => name.startsWith('vdt-mon-'))) deleteNamespace(ns);
    try {
      ip(`link del ${BRIDGE}`);
    } catch {
      // most tests make none
    }
  });

  test.each([
    `-n ${A} address add 192.0.2.1/24 dev v0`,
    `-n ${A} address add 2001:db8::1/64 dev v0 nodad`,
    `-n ${A} link set v0 down`,
    `-n ${A} link set v0 mtu 1400`,
    `-n ${A} rule add priority 100 lookup 7`,
    `-n ${A} -6 rule add priority 100 lookup 7`,
    `-n ${A} route add 192.0.2.0/24 dev v0`,
    `-n ${A} -6 route add 2001:db8::/64 dev v0`,
    `netns exec ${A} nft add table inet viaduct`,
  ])('tells of `ip %s`', async (command) => {
    ip(command);
    await hears(A);
    expect(heard).not.toContain(B);
  });

  test('tells nothing of a namespace it does not watch, or no longer watches', async () => {
    ip(`-n ${B} address add 192.0.2.1/24 dev v0`);
    monitor.unwatch(A);
    ip(`-n ${A} address add 192.0.2.2/24 dev v0`);
    await pause(200);
    expect(heard).toEqual([]);
  });

  test('tells nothing of what this process does itself', async () => {
    using socket = new NetlinkSocket(NETLINK_ROUTE, A);
    using second = new NetlinkSocket(NETLINK_ROUTE, A);
    const { index } = readLink(socket, { name: 'v0' })!;
    const address = { prefix: 24, scope: 'global', broadcast: true, nodad: true } as const;
    const answers = [
      ...socket.transact([addAddress(index, { ...address, ip: '192.0.2.1' })]),
      ...second.transact([addAddress(index, { ...address, ip: '192.0.2.2' })]),
      ...second.transact([addRule({ family: 4, priority: 100, table: 7 })]),
      ...socket.transact([
        replaceRoute({
          family: 4,
          table: 254,
          destination: '198.51.100.0/24',
          metric: 0,
          nexthops: [{ via: '192.0.2.9', index, weight: 1 }],
          scope: 'global',
          onlink: false,
          protocol: 4,
        }),
      ]),
    ];
    expect(answers).toEqual([undefined, undefined, undefined, undefined]);
    loadRuleset(A, 'add table inet viaduct\nadd chain inet viaduct c');
    await pause(300);
    expect(heard).toEqual([]);
    ip(`netns exec ${A} nft add chain inet viaduct d`);
    await hears(A);
  });

  test('tells of many namespaces, each by its name', async () => {
    const names = Array.from({ length: 60 }, (_, i) => `vdt-mon-many-${i}`);
    for (const name of names) {
      createNamespace(name);
      monitor.watch(name);
    }
    await quiet();
    for (const name of names.filter((_, i) => i % 2 === 0)) ip(`-n ${name} link set lo up`);
    await vi.waitFor(() => {
      const told = [...new Set(heard.filter((what) => what.startsWith('vdt-mon-many-')))];
      expect(told).toEqual(names.filter((_, i) => i % 2 === 0));
    }, 3_000);
  });

  test('tells of devices of the host by name', async () => {
    ip(`link add ${BRIDGE} type bridge`);
    await hears(`link ${BRIDGE}`);
    await quiet();
    ip(`link del ${BRIDGE}`);
    await hears(`link ${BRIDGE}`);
  });

  test('tells of names that come and go, and hears the new namespace of an old name once watched', async () => {
    ip(`netns add vdt-mon-c`);
    await hears('name vdt-mon-c');
    ip(`netns del ${A}`);
    await hears(`name ${A}`);
    ip(`netns add ${A}`);
    monitor.unwatch(A);
    monitor.watch(A);
    await quiet();
    ip(`-n ${A} link set lo up`);
    await hears(A);
  });

  test('tells the end of a process once, also if it had ended before', async () => {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    const ended: number[] = [];
    monitor.watchProcess(child.pid!, () => ended.push(1));
    const stop = monitor.watchProcess(child.pid!, () => ended.push(2));
    stop();
    await pause(100);
    expect(ended).toEqual([]);
    child.kill('SIGKILL');
    await vi.waitFor(() => expect(ended).toEqual([1]), 2_000);
    await vi.waitFor(() => expect(() => process.kill(child.pid!, 0)).toThrow(), 2_000);
    monitor.watchProcess(child.pid!, () => ended.push(3));
    await pause(100);
    expect(ended).toEqual([1, 3]);
  });

  test('says so when there was more than it could hear, and goes on', async () => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `link set v0 mtu ${1400 + (i % 2)}`);
    // The batch is worked off while this process stands still.
    ip(`-n ${A} -batch -`, `${lines.join('\n')}\n`);
    await vi.waitFor(() => expect(overflows).toBeGreaterThan(0), 5_000);
    await quiet();
    ip(`-n ${A} address add 192.0.2.1/24 dev v0`);
    await hears(A);
  });
});
