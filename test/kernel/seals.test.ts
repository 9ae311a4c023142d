import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { compileRouter } from '../../agents/l3/compile/router.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { counters } from '../../lib/kernel/counters.ts';
import { namespaceImprint } from '../../lib/kernel/imprint.ts';
import { NetlinkSocket } from '../../lib/kernel/netlink.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { routerPayload } from './routers.ts';

const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
const groupsOf = (payload: unknown): RowGroup[] =>
  compileRouter({ router: parseRouter(payload), host: { name: 'vdt' }, options: l3Options() });

const payload = routerPayload(77, { subnets: 2, floatingIps: 3 });
const owner = payload.id;
const ns = `qrouter-${owner}`;
const inside = (...command: string[]): string => run('ip', 'netns', 'exec', ns, ...command);
const rows = groupsOf(payload).flat();
const deviceOf = (prefix: string): string => {
  const found = rows.find((row) => row.kind === 'link' && row.ns === ns && row.name.startsWith(prefix));
  if (found?.kind !== 'link') throw new Error(`no ${prefix} device`);
  return found.name;
};
const qg = deviceOf('qg-');
const qr = deviceOf('qr-');

let directory = '';
const start = (): Reconciler => {
  const records = new Records(directory);
  records.load();
  return new Reconciler({ records, announce: false });
};
async function converge(reconciler: Reconciler): Promise<number> {
  reconciler.setDesired(owner, groupsOf(structuredClone(payload)), { kind: 'router', payload });
  const { steps, failures } = await reconciler.reconcile(owner);
  expect(failures).toEqual([]);
  return steps;
}

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'vdt-seals-'));
});

afterEach(async () => {
  vi.restoreAllMocks();
  const cleaner = start();
  cleaner.setDesired(owner, groupsOf(payload));
  cleaner.removeOwner(owner);
  expect((await cleaner.reconcile(owner)).failures).toEqual([]);
  await cleaner.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

describe('the imprint of a namespace', () => {
  const parameters = ['net/ipv4/ip_forward'];
  const imprint = (): string | undefined => namespaceImprint(ns, parameters, '')?.toString('latin1');

  const changes: [string, string[]][] = [
    ['another MTU', ['ip', 'link', 'set', qr, 'mtu', '1300']],
    ['another MAC', ['ip', 'link', 'set', qr, 'address', 'fa:16:3e:77:77:77']],
    ['a device more', ['ip', 'link', 'add', 'vdt-x', 'type', 'bridge']],
    ['another way to make IPv6 addresses', ['ip', 'link', 'set', qr, 'addrgenmode', 'none']],
    ['an address more', ['ip', 'addr', 'add', '192.0.2.77/32', 'dev', qr]],
    ['an IPv6 address more', ['ip', 'addr', 'add', '2001:db8:77::1/64', 'dev', qr, 'nodad']],
    ['a route less', ['ip', 'route', 'del', 'default']],
    ['an address less', ['ip', 'addr', 'flush', 'dev', qg, 'scope', 'global']],
    ['a route more', ['ip', 'route', 'add', '192.0.2.0/24', 'dev', qr]],
    ['a route in another table', ['ip', 'route', 'add', '192.0.2.0/24', 'dev', qr, 'table', '77']],
    ['a rule more', ['ip', 'rule', 'add', 'from', '192.0.2.1', 'lookup', '77']],
    ['a rule less', ['ip', 'rule', 'del', 'lookup', 'default']],
    ['a permanent neighbour', ['ip', 'neigh', 'add', '10.0.0.77', 'lladdr', 'fa:16:3e:0:0:1', 'dev', qr]],
    ['a proxy neighbour', ['ip', 'neigh', 'add', 'proxy', '10.0.0.78', 'dev', qr]],
    ['a parameter of the namespace', ['sysctl', '-qw', 'net.ipv4.ip_forward=0']],
    ['a parameter of a device', ['sysctl', '-qw', `net.ipv4.conf.${qr.replace('.', '/')}.arp_ignore=1`]],
    ['an IPv6 parameter of a device', ['sysctl', '-qw', `net/ipv6/conf/${qg}/accept_ra=0`]],
    ['rules flushed', ['nft', 'flush', 'chain', 'inet', 'viaduct', 'nat_postrouting']],
    ['an element more', ['nft', 'add', 'element', 'inet', 'viaduct', 'fip_dnat', '{ 192.0.2.1 : 10.0.0.1 }']],
    ['a table of another', ['nft', 'add', 'table', 'ip', 'vdt_other']],
    ['a device goes down', ['ip', 'link', 'set', qr, 'down']],
  ];

  test('tells of every single change, whoever made it', async () => {
    const reconciler = start();
    await converge(reconciler);
    await reconciler.close();
    const seen = new Set([imprint()]);
    expect(seen).not.toContain(undefined);
    for (const [what, command] of changes) {
      inside(...command);
      const now = imprint();
      expect(now, what).toBeDefined();
      expect(seen.has(now), `${what} was not noticed`).toBe(false);
      seen.add(now);
    }
  });

  test('does not tell of traffic, learned neighbours, carriers and the time that passes', async () => {
    const reconciler = start();
    await converge(reconciler);
    await reconciler.close();
    // Duplicate address detection of the link-local addresses comes to its end.
    await expect.poll(() => inside('ip', '-6', 'addr', 'show', 'tentative'), { timeout: 10_000 }).toBe('');
    const before = imprint();
    for (const target of ['127.0.0.1', '10.77.0.1', '203.0.113.1'])
      try {
        inside('ping', '-c', '1', '-W', '1', target);
      } catch {
        // Nobody answers; asking is what counts.
      }
    const tap = `tap${qr.slice(3)}`;
    run('ip', 'link', 'set', tap, 'down');
    run('ip', 'link', 'set', tap, 'up');
    await expect.poll(() => inside('ip', 'link', 'show', qr), { timeout: 5_000 }).toContain('LOWER_UP');
    await expect
      .poll(
        async () => {
          await pause(50);
          return imprint();
        },
        { timeout: 10_000 },
      )
      .toBe(before);
  });

  test('is another in a namespace that was made again, however equal it looks', async () => {
    const reconciler = start();
    await converge(reconciler);
    await reconciler.close();
    const before = imprint();
    run('ip', 'netns', 'del', ns);
    expect(imprint()).toBeUndefined();
    const again = start();
    await converge(again);
    await again.close();
    expect(imprint()).not.toBe(before);
  });
});

describe('a restart over sealed namespaces', () => {
  const tablesRead = () => vi.spyOn(NetlinkSocket.prototype, 'dump');

  test('finds them untouched without reading their tables, and writes nothing', async () => {
    const first = start();
    await converge(first);
    await first.close();
    const before = { ...counters };
    const dump = tablesRead();
    const second = start();
    expect(await converge(second)).toBe(0);
    // The devices of the host, and nothing in the router's namespace.
    expect(dump).toHaveBeenCalledTimes(1);
    await second.close();
    expect(counters).toEqual(before);
  });

  test('repairs what was changed while no agent ran', async () => {
    const first = start();
    await converge(first);
    await first.close();
    inside('ip', 'route', 'del', 'default');
    const second = start();
    expect(await converge(second)).toBe(1);
    await second.close();
    expect(inside('ip', 'route')).toContain('default via');
    const third = start();
    const dump = tablesRead();
    expect(await converge(third)).toBe(0);
    expect(dump).toHaveBeenCalledTimes(1);
    await third.close();
  });

  test('reads all of a router that is wanted otherwise than before', async () => {
    const first = start();
    await converge(first);
    await first.close();
    const second = start();
    const other = { ...structuredClone(payload), _floatingips: [] };
    second.setDesired(owner, groupsOf(other), { kind: 'router', payload: other });
    const { steps, failures } = await second.reconcile(owner);
    expect(failures).toEqual([]);
    expect(steps).toBe(payload._floatingips.length * 3);
    await second.close();
    expect(inside('nft', 'list', 'map', 'inet', 'viaduct', 'fip_dnat')).not.toContain('elements');
  });

  test('takes no damaged seal for one, and leaves none of a removed router', async () => {
    const first = start();
    await converge(first);
    await first.close();
    const seal = join(directory, `${ns}.seal`);
    fs.writeFileSync(seal, 'x');
    inside('ip', 'route', 'del', 'default');
    const second = start();
    expect(await converge(second)).toBe(1);
    await second.close();
    expect(fs.readFileSync(seal, 'latin1')).not.toBe('x');
    const third = start();
    await converge(third);
    third.removeOwner(owner);
    expect((await third.reconcile(owner)).failures).toEqual([]);
    await third.close();
    expect(fs.readdirSync(directory)).toEqual([]);
  });
});
