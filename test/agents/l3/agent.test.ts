import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createL3Agent, type L3Agent } from '../../../agents/l3/agent.ts';
import { l3Options } from '../../../agents/l3/options.ts';
import type { L3Plugin } from '../../../lib/model/source.ts';
import type { RowGroup } from '../../../lib/namespace/rows.ts';
import type { OwnerReconciler } from '../../../lib/process/leftovers.ts';
import { floatingIpPayload, routerPayload } from './compile/payload.ts';

type Payload = ReturnType<typeof routerPayload> & { _floatingips: ReturnType<typeof floatingIpPayload>[] };

/** A controller, a host and an agent between them; all three can be made to fail. */
function world(knownRouters: string[] = [], refuse?: (id: string) => string | undefined) {
  const server = new Map<string, unknown>();
  const statuses: [router: string, Readonly<Record<string, string>>][] = [];
  const calls: (readonly string[] | 'all')[] = [];
  /** routers that every answer has */
  const along: string[] = [];
  const broken = { sync: false, status: false, keys: [] as string[], reconcile: false };
  const plugin: L3Plugin = {
    async syncRouters(ids) {
      calls.push(ids ?? 'all');
      if (broken.sync) throw new Error('the broker does not answer');
      return [...server]
        .filter(([id]) => ids === undefined || ids.includes(id) || along.includes(id))
        .map(([, payload]) => payload);
    },
    async updateFloatingIpStatuses(router, changes) {
      if (broken.status) throw new Error('the broker does not answer');
      statuses.push([router, changes]);
    },
    updatePrefixes: async () => {},
  };
  const built = new Map<string, readonly RowGroup[]>();
  const removed: string[] = [];
  const reconciler: OwnerReconciler = {
    confirm: async () => false,
    setDesired: (owner, groups) => void built.set(owner, groups),
    removeOwner(owner) {
      built.delete(owner);
      removed.push(owner);
    },
    ended() {},
    async reconcile(owner) {
      if (broken.reconcile) throw new Error('no netlink');
      const rows = (built.get(owner) ?? []).flat();
      const failures = rows
        .filter(({ key }) => broken.keys.some((part) => key.includes(part)))
        .map(({ ns, key }) => ({ ns, key, message: `${key}: File exists` }));
      return { steps: 1, failures };
    },
  };
  const lines: string[] = [];
  const agent: L3Agent = createL3Agent({
    plugin,
    reconciler,
    options: l3Options(),
    host: { name: 'net-1' },
    logger: { debug: () => {}, info: () => {}, warn: (_fields, message) => void lines.push(message) },
    knownRouters,
    ...(refuse ? { refuse } : {}),
    backoff: { first: 1000, jitter: 0 },
  });
  const put = (payload: { id: string }) => {
    server.set(payload.id, payload);
    return payload.id;
  };
  const settle = () => vi.advanceTimersByTimeAsync(0);
  return { server, statuses, calls, broken, along, built, removed, lines, agent, put, settle };
}

const router = (...fips: ReturnType<typeof floatingIpPayload>[]) =>
  routerPayload({ _floatingips: fips }) as Payload;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('full sync', () => {
  it('builds all listed routers with one request', async () => {
    const { agent, put, built, calls, settle } = world();
    const ids = [put(router()), put(router())];
    agent.start();
    await settle();
    expect([...built.keys()]).toEqual(ids);
    expect(calls).toEqual(['all']);
    expect(agent.state()).toEqual({ routers: 2, pending: 0, listings: 1, problems: {} });
  });

  it('removes known routers that a complete listing does not name', async () => {
    const { agent, put, removed, settle } = world(['gone']);
    put(router());
    agent.start();
    await settle();
    expect(removed).toEqual(['gone']);
  });

  it('that fails removes nothing and is tried again', async () => {
    const { agent, put, broken, removed, built, lines, settle } = world(['gone']);
    const id = put(router());
    broken.sync = true;
    agent.start();
    await settle();
    expect(removed).toEqual([]);
    expect(lines).toEqual([
      'full sync failed, nothing is removed, next attempt in 1 s: the broker does not answer',
    ]);
    broken.sync = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(removed).toEqual(['gone']);
    expect(built.has(id)).toBe(true);
  });

  it('with an element that has no id removes nothing, and builds the others', async () => {
    const { agent, server, put, built, removed, settle } = world(['gone']);
    server.set('x', { name: 'no id' });
    const id = put(router());
    agent.start();
    await settle();
    expect(removed).toEqual([]);
    expect(built.has(id)).toBe(true);
  });
});

describe('a router that is left to whoever built it', () => {
  it('is neither built nor removed, and is a problem with its reason until it is ours', async () => {
    let reason: string | undefined = 'the router has port forwardings: it stays as it is';
    const left = router();
    const { agent, put, built, removed, lines, settle } = world([left.id], (id) =>
      id === left.id ? reason : undefined,
    );
    const ids = [put(left), put(router())];
    agent.start();
    await settle();
    expect([...built.keys()]).toEqual([ids[1]]);
    expect(agent.state()).toMatchObject({ pending: 0, problems: { [left.id]: reason } });
    agent.routersUpdated([left.id]);
    await settle();
    expect([removed, lines]).toEqual([[], [reason]]);
    reason = undefined;
    agent.routersUpdated([left.id]);
    await settle();
    expect(built.has(left.id)).toBe(true);
    expect(agent.state().problems).toEqual({});
  });

  it('goes when it is deleted', async () => {
    const { agent, removed, settle } = world(['left'], () => 'not ours');
    agent.start();
    await settle();
    expect(removed).toEqual(['left']);
  });
});

describe('events', () => {
  it('fetch the router anew and build it', async () => {
    const { agent, put, built, calls, settle } = world();
    const id = put(router());
    agent.routersUpdated([id]);
    await settle();
    expect(calls).toEqual([[id]]);
    expect(built.has(id)).toBe(true);
  });

  it('about a router that is not for this host any more remove it', async () => {
    const { agent, put, server, removed, settle } = world();
    const id = put(router());
    agent.start();
    await settle();
    server.delete(id);
    agent.routersUpdated([id]);
    await settle();
    expect(removed).toEqual([id]);
  });

  it('about one that comes with others: those are asked for as well, once', async () => {
    const { agent, put, built, calls, settle, along } = world();
    const [id, next] = [put(router()), put(router())];
    const both = [id, next];
    calls.length = 0;
    agent.routersUpdated([id]);
    await settle();
    expect(calls).toEqual([[id]]);
    expect([...built.keys()]).toEqual([id]);
    along.push(...both);
    agent.routersUpdated([id]);
    await settle();
    along.length = 0;
    expect(calls.slice(1)).toEqual([[id], [next]]);
    expect([...built.keys()]).toEqual(both);
  });

  it('of deletion remove without asking', async () => {
    const { agent, put, calls, removed, settle } = world();
    const id = put(router());
    agent.start();
    await settle();
    agent.routersDeleted([id]);
    await settle();
    expect(removed).toEqual([id]);
    expect(calls).toEqual(['all']);
    expect(agent.state().routers).toBe(0);
  });

  it('that failed to be fetched leave the router and are tried again', async () => {
    const { agent, put, built, broken, removed, settle } = world();
    const id = put(router());
    agent.start();
    await settle();
    broken.sync = true;
    agent.routersUpdated([id]);
    await settle();
    expect(built.has(id)).toBe(true);
    expect(removed).toEqual([]);
    expect(agent.state().problems).toEqual({ [id]: 'the broker does not answer' });
    broken.sync = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(agent.state()).toMatchObject({ pending: 0, problems: {} });
  });
});

describe('a payload that can not be built', () => {
  it('keeps the last good state and logs one line, however often it comes', async () => {
    const { agent, put, server, built, lines, settle } = world();
    const good = router();
    const id = put(good);
    agent.start();
    await settle();
    const before = built.get(id);
    server.set(id, { ...good, routes: [{ destination: 'everywhere', nexthop: '10.0.0.9' }] });
    agent.routersUpdated([id]);
    await settle();
    agent.routersUpdated([id]);
    await settle();
    expect(built.get(id)).toBe(before);
    expect(lines).toEqual([
      `router ${id}: routes[0].destination: "everywhere" is not a CIDR; the router stays as it is`,
    ]);
  });

  it('leaves other routers alone', async () => {
    const { agent, put, built, settle } = world();
    put(routerPayload({ ha: true }));
    const id = put(router());
    agent.start();
    await settle();
    expect([...built.keys()]).toEqual([id]);
    expect(Object.values(agent.state().problems)[0]).toMatch(/is of kind "ha"/);
  });
});

describe('rows that fail', () => {
  it('are tried again until they succeed', async () => {
    const { agent, put, broken, settle } = world();
    const id = put(router());
    broken.keys = ['|link|qg-'];
    agent.start();
    await settle();
    expect(agent.state().problems[id]).toMatch(
      /^router \S+: failed steps: 1, first qrouter-\S+\|link\|qg-\S+: .*File exists$/,
    );
    broken.keys = [];
    await vi.advanceTimersByTimeAsync(1000);
    expect(agent.state().problems).toEqual({});
  });

  it('do not count if they are extra routes', async () => {
    const { agent, put, broken, settle } = world();
    put(routerPayload({ routes: [{ destination: '192.168.0.0/24', nexthop: '10.9.9.9' }] }));
    broken.keys = ['|192.168.0.0/24|'];
    agent.start();
    await settle();
    expect(agent.state()).toMatchObject({ pending: 0, problems: {} });
  });
});

describe('statuses of floating IPs', () => {
  const setUp = async (...fips: ReturnType<typeof floatingIpPayload>[]) => {
    const made = world();
    const payload = router(...fips);
    made.put(payload);
    made.agent.start();
    await made.settle();
    const update = async (change: Readonly<Record<string, unknown>>) => {
      made.server.set(payload.id, { ...payload, ...change });
      made.agent.routersUpdated([payload.id]);
      await made.settle();
    };
    const said = () => made.statuses.splice(0).map(([, changes]) => changes);
    return { ...made, payload, update, said };
  };
  const down = floatingIpPayload('203.0.113.9', '10.0.0.9');
  const active = { ...down, status: 'ACTIVE' };

  it('say ACTIVE once set up, and nothing while the server shows it so', async () => {
    const { update, said } = await setUp(down);
    expect(said()).toEqual([{ [down.id]: 'ACTIVE' }]);
    await update({ _floatingips: [active] });
    expect(said()).toEqual([]);
  });

  it('say nothing after a restart that finds all as it was', async () => {
    const { said } = await setUp(active);
    expect(said()).toEqual([]);
  });

  it('say ACTIVE for one that moved to another fixed address', async () => {
    const { update, said } = await setUp(active);
    await update({ _floatingips: [{ ...active, fixed_ip_address: '10.0.0.10' }] });
    expect(said()).toEqual([{ [down.id]: 'ACTIVE' }]);
  });

  it('say DOWN for one that is gone', async () => {
    const { update, said } = await setUp(active);
    await update({ _floatingips: [] });
    expect(said()).toEqual([{ [down.id]: 'DOWN' }]);
  });

  it('say DOWN when the gateway goes, and when the router goes', async () => {
    const { update, said, agent, payload, settle } = await setUp(active);
    await update({ gw_port: null });
    expect(said()).toEqual([{ [down.id]: 'DOWN' }]);
    await update({ _floatingips: [active] });
    expect(said()).toEqual([{ [down.id]: 'ACTIVE' }]);
    agent.routersDeleted([payload.id]);
    await settle();
    expect(said()).toEqual([{ [down.id]: 'DOWN' }]);
  });

  it('say ERROR for the one that failed, and ACTIVE once it is repaired', async () => {
    const other = floatingIpPayload('203.0.113.10', '10.0.0.10');
    const { update, said, broken } = await setUp(active);
    broken.keys = ['|203.0.113.10/32'];
    await update({ _floatingips: [active, other] });
    expect(said()).toEqual([{ [other.id]: 'ERROR' }]);
    broken.keys = [];
    await vi.advanceTimersByTimeAsync(1000);
    expect(said()).toEqual([{ [other.id]: 'ACTIVE' }]);
  });

  it.each(['|nft-table|', '|link|qg-'])('say ERROR for all when %s failed', async (part) => {
    const { update, said, broken } = await setUp(active);
    broken.keys = [part];
    await update({});
    expect(said()).toEqual([{ [down.id]: 'ERROR' }]);
  });

  it('say ERROR for all when nothing could be done', async () => {
    const { update, said, broken } = await setUp(active);
    broken.reconcile = true;
    await update({});
    expect(said()).toEqual([{ [down.id]: 'ERROR' }]);
  });

  it('that could not be sent are said again', async () => {
    const { update, said, broken } = await setUp();
    broken.status = true;
    await update({ _floatingips: [down] });
    expect(said()).toEqual([]);
    broken.status = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(said()).toEqual([{ [down.id]: 'ACTIVE' }]);
  });
});
