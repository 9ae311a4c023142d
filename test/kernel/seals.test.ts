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
const BASIS = 'options';
interface Start {
  readonly steps: number;
  readonly compiled: number;
}

/** As an agent starts: what is on record is expected, then asked for, and built if it is not as it was left. */
async function converge(reconciler: Reconciler, wanted = payload, basis = BASIS): Promise<Start> {
  const record = { kind: 'router', payload: structuredClone(wanted) };
  let compiled = 0;
  const compile = (): RowGroup[] => {
    compiled += 1;
    return groupsOf(structuredClone(wanted));
  };
  if (hasRecord()) reconciler.expect(owner, compile, basis);
  if (await reconciler.confirm(owner, record, basis)) return { steps: 0, compiled };
  reconciler.setDesired(owner, compile(), record, basis);
  const { steps, failures } = await reconciler.reconcile(owner);
  expect(failures).toEqual([]);
  return { steps, compiled };
}
const hasRecord = (): boolean => fs.existsSync(join(directory, `${owner}.json`));

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
  const imprint = (): string | undefined =>
    namespaceImprint({ ns, parameters, neighbours: true })?.toString('latin1');

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

describe('a restart over sealed owners', () => {
  const tablesRead = () => vi.spyOn(NetlinkSocket.prototype, 'dump');
  const once = async (): Promise<void> => {
    const first = start();
    await converge(first);
    await first.close();
  };

  test('finds them untouched without compiling or reading their tables, and writes nothing', async () => {
    await once();
    const before = { ...counters };
    const dump = tablesRead();
    const second = start();
    expect(await converge(second)).toEqual({ steps: 0, compiled: 0 });
    // The devices of the host, and nothing in the router's namespace.
    expect(dump).toHaveBeenCalledTimes(1);
    await second.close();
    expect(counters).toEqual(before);
  });

  const changesMade: [string, () => void][] = [
    ['in its namespace', () => inside('ip', 'route', 'del', 'default')],
    ['of its devices in the host', () => run('ip', 'link', 'set', `tap${qr.slice(3)}`, 'down')],
    ['by removing its namespace', () => run('ip', 'netns', 'del', ns)],
  ];
  test.each(changesMade)('repairs what was changed %s while no agent ran', async (_where, change) => {
    await once();
    change();
    const second = start();
    expect((await converge(second)).steps).toBeGreaterThan(0);
    await second.close();
    expect(inside('ip', 'route')).toContain('default via');
    expect(run('ip', 'link', 'show', `tap${qr.slice(3)}`)).toContain(',UP');
    const third = start();
    expect(await converge(third)).toEqual({ steps: 0, compiled: 0 });
    await third.close();
  });

  test('builds a router that is wanted otherwise than before', async () => {
    await once();
    const second = start();
    const other = { ...structuredClone(payload), _floatingips: [] };
    expect((await converge(second, other)).steps).toBe(payload._floatingips.length * 3);
    await second.close();
    expect(inside('nft', 'list', 'map', 'inet', 'viaduct', 'fip_dnat')).not.toContain('elements');
  });

  test('compares all of a router once options or the program are others', async () => {
    await once();
    const second = start();
    const { steps, compiled } = await converge(second, payload, 'other options');
    expect(steps).toBe(0);
    expect(compiled).toBeGreaterThan(0);
    await second.close();
  });

  test('removes a router that rests, whole', async () => {
    await once();
    const second = start();
    expect(await converge(second)).toEqual({ steps: 0, compiled: 0 });
    second.removeOwner(owner);
    expect((await second.reconcile(owner)).failures).toEqual([]);
    await second.close();
    expect(run('ip', 'netns')).not.toContain(ns);
    expect(run('ip', '-br', 'link')).not.toContain(`tap${qr.slice(3)}`);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test('keeps what a resting router shares with one that goes', async () => {
    await once();
    const second = start();
    expect(await converge(second)).toEqual({ steps: 0, compiled: 0 });
    const shared = groupsOf(payload)
      .flat()
      .find((row) => row.key === `|link|tap${qr.slice(3)}`)!;
    second.setDesired('vdt-other', [[shared]]);
    await second.reconcile('vdt-other');
    second.removeOwner('vdt-other');
    await second.reconcile('vdt-other');
    expect(run('ip', '-br', 'link')).toContain(shared.key.slice('|link|'.length));
    await second.close();
  });

  test('heals a resting router when the kernel tells of a change', async () => {
    await once();
    const records = new Records(directory);
    records.load();
    const second = new Reconciler({ records, announce: false, heal: true });
    expect(await converge(second)).toEqual({ steps: 0, compiled: 0 });
    for (const [what, gone, back] of [
      [() => inside('ip', 'route', 'del', 'default'), () => inside('ip', 'route'), 'default via'],
      [() => inside('ip', 'addr', 'flush', 'dev', qg), () => inside('ip', 'addr'), '203.0.113.'],
      [() => run('ip', 'link', 'del', `tap${qr.slice(3)}`), () => inside('ip', 'addr'), qr],
      [() => run('ip', 'netns', 'del', ns), () => run('ip', 'netns'), ns],
    ] as const) {
      await pause(300);
      what();
      await expect.poll(gone, { timeout: 10_000 }).toContain(back);
    }
    await second.settled();
    await second.close();
  });

  test('takes no damaged seal for one', async () => {
    await once();
    const seal = join(directory, `${owner}.seal`);
    const good = fs.readFileSync(seal);
    for (const bad of [
      Buffer.from('x'),
      good.subarray(0, good.length - 1),
      good.subarray(0, 100),
      Buffer.alloc(0),
    ]) {
      fs.writeFileSync(seal, bad);
      const again = start();
      const { steps, compiled } = await converge(again);
      expect(steps).toBe(0);
      expect(compiled).toBeGreaterThan(0);
      await again.close();
      expect(fs.readFileSync(seal).equals(good)).toBe(true);
    }
  });
});
