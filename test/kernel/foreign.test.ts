import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createNamespace, deleteNamespace, namespaceExists } from '../../lib/kernel/netns.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { openSteps, reconcileState } from './router-process.ts';
import { groupsOf, leftovers, ROUTERS, type State, stateNames, stateOf } from './router-states.ts';

const NS = `qrouter-${ROUTERS[0]}`;
/** By its name it could be a router's, and yet nobody of us made it. */
const STRANGER = 'qrouter-vdt-foreign';
const HOST_LINKS = ['vdt-foreign-h', 'tapvdtforeign'];

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });
const inside = (...args: string[]): string => ip('-n', NS, ...args);
const nft = (...args: string[]): string =>
  execFileSync('ip', ['netns', 'exec', NS, 'nft', ...args], { encoding: 'utf8', stdio: 'pipe' });

/** What an operator, another agent or a routing daemon might have in and around a router's namespace. */
function addForeignThings(): void {
  nft('add table ip filter');
  // As iptables-nft writes it: a rule with a counter in a table named like iptables' own.
  nft('add chain ip filter FORWARD { type filter hook forward priority 0; policy accept; }');
  nft('add rule ip filter FORWARD ip saddr 192.0.2.66 counter drop');
  nft('add table inet operator');
  nft('add set inet operator blocked { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }');
  inside('link', 'add', 'vdt-foreign', 'type', 'veth', 'peer', 'name', 'vdt-foreign-p');
  inside('link', 'set', 'vdt-foreign', 'up');
  inside('link', 'set', 'vdt-foreign-p', 'up');
  inside('address', 'add', '192.0.2.33/28', 'dev', 'vdt-foreign');
  inside('route', 'add', '198.51.100.64/26', 'via', '192.0.2.34', 'proto', 'boot');
  inside('route', 'add', '198.51.100.128/26', 'via', '192.0.2.34', 'proto', 'bgp', 'metric', '20');
  inside('route', 'add', '198.51.100.0/26', 'via', '192.0.2.34', 'proto', 'boot', 'table', '77');
  inside('rule', 'add', 'from', '192.0.2.32/28', 'lookup', '77', 'priority', '1000');
  inside(
    'neighbour',
    'add',
    '192.0.2.35',
    'lladdr',
    '02:00:00:00:00:35',
    'dev',
    'vdt-foreign',
    'nud',
    'permanent',
  );
}

function addForeignSurroundings(): void {
  ip('link', 'add', HOST_LINKS[0]!, 'type', 'bridge');
  ip('link', 'add', HOST_LINKS[1]!, 'type', 'bridge');
  if (!namespaceExists(STRANGER)) createNamespace(STRANGER);
  ip('-n', STRANGER, 'link', 'add', 'qr-0a0a0a0a-00', 'type', 'bridge');
  ip('-n', STRANGER, 'address', 'add', '192.0.2.1/32', 'dev', 'qr-0a0a0a0a-00');
}

const foreignThings = (): string[] => [
  nft('-s', 'list', 'table', 'ip', 'filter'),
  nft('-s', 'list', 'table', 'inet', 'operator'),
  inside('-br', 'address', 'show', 'dev', 'vdt-foreign').split(/\s+/).slice(0, 3).join(' '),
  inside('-br', 'link', 'show', 'dev', 'vdt-foreign-p').split(/\s+/)[0]!,
  ...['boot', 'bgp'].map((protocol) => inside('route', 'show', 'table', 'all', 'proto', protocol)),
  inside('rule', 'show', 'priority', '1000'),
  inside('neighbour', 'show', 'dev', 'vdt-foreign', 'nud', 'permanent'),
];

const surroundings = (): string[] => [
  ...HOST_LINKS.map((name) => ip('-br', 'link', 'show', 'dev', name)),
  ip('-n', STRANGER, '-br', 'address', 'show', 'dev', 'qr-0a0a0a0a-00'),
];

describe("what is not ours stays, in a router's namespace and around it", () => {
  let reconciler: Reconciler;
  const go = (name: string): Promise<string[]> => reconcileState(reconciler, stateOf(name));
  const started = (before: State, heal = false): Reconciler => {
    const made = new Reconciler({ announce: false, heal });
    for (const [id, payload] of before) made.setDesired(id, groupsOf(payload));
    return made;
  };

  beforeEach(async () => {
    reconciler = started(new Map(), true);
    expect(await go('1 floating IP')).toEqual([]);
    addForeignSurroundings();
    addForeignThings();
  });

  afterEach(async () => {
    await reconciler.close();
    for (const name of stateNames) {
      if (leftovers().length === 0) break;
      const cleaner = started(stateOf(name));
      await reconcileState(cleaner, new Map());
      await cleaner.close();
    }
    for (const name of HOST_LINKS)
      try {
        ip('link', 'del', name);
      } catch {
        // it was never made
      }
    if (namespaceExists(STRANGER)) deleteNamespace(STRANGER);
    expect(leftovers()).toEqual([]);
  });

  test('[O10] rules, tables, devices, addresses, routes and neighbours of others survive every update', async () => {
    const before = foreignThings();
    for (const name of stateNames.filter((state) => state !== 'empty')) {
      expect([name, await go(name)]).toEqual([name, []]);
      expect([name, ...foreignThings()]).toEqual([name, ...before]);
    }
    expect(openSteps(reconciler)).toEqual([]);
  });

  test('and a new process neither removes them nor calls them drift', async () => {
    const before = foreignThings();
    const newcomer = started(stateOf('1 floating IP'));
    expect(openSteps(newcomer)).toEqual([]);
    expect(await reconcileState(newcomer, stateOf('5 floating IPs'))).toEqual([]);
    await newcomer.close();
    expect(foreignThings()).toEqual(before);
  });

  test('and repair of what somebody broke next to them leaves them alone', async () => {
    const before = foreignThings();
    inside('route', 'del', 'default');
    nft('delete', 'table', 'inet', 'viaduct');
    await vi.waitFor(() => {
      expect(inside('route', 'show', 'default')).toContain('default via');
      expect(nft('list', 'tables')).toContain('table inet viaduct');
    }, 2_000);
    expect(foreignThings()).toEqual(before);
  });

  test('and removing all our routers leaves the host and namespaces of others as they were', async () => {
    const before = surroundings();
    expect(await go('two routers on the same networks')).toEqual([]);
    expect(await go('empty')).toEqual([]);
    expect(leftovers()).toEqual([]);
    expect(surroundings()).toEqual(before);
  });

  test('[B8] qr- and qg- devices that no port has any more are removed by the next start', async () => {
    for (const name of ['qr-deadbeef-00', 'qg-deadbeef-00'])
      inside('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name.slice(1)}p`);
    await reconciler.close();
    const newcomer = started(stateOf('1 floating IP'));
    expect(openSteps(newcomer)).toEqual([
      `remove ${NS}|link|qr-deadbeef-00: not wanted`,
      `remove ${NS}|link|qg-deadbeef-00: not wanted`,
    ]);
    const before = foreignThings();
    expect(await reconcileState(newcomer, stateOf('1 floating IP'))).toEqual([]);
    await newcomer.close();
    expect(inside('-br', 'link')).not.toContain('deadbeef');
    expect(foreignThings()).toEqual(before);
  });

  test('[B8] a stale qr- device is noticed at once by a process that heals, with what stands on it', async () => {
    inside('link', 'add', 'qr-deadbeef-01', 'type', 'veth', 'peer', 'name', 'vdt-stale');
    inside('address', 'add', '192.0.2.65/28', 'dev', 'qr-deadbeef-01');
    await vi.waitFor(() => expect(inside('-br', 'link')).not.toContain('deadbeef'), 2_000);
  });
});
