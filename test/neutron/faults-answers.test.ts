import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { networkOf } from '../bench/networks-under-test.ts';
import { output } from '../e2e/shell.ts';
import { floatingIp, routerPayload } from '../kernel/routers.ts';
import { fullSyncs } from './cloud/agent-log.ts';
import { everything } from './cloud/everything.ts';
import { PretendRig } from './pretend/rig.ts';
import { mishaps, type Tampering } from './pretend/server.ts';

const ROUTERS = 6;
const NETWORKS = 2;
let rig: PretendRig;

/** Router n of so many floating IPs. */
const router = (n: number, floatingIps = 1) => routerPayload(n, { floatingIps, subnets: 1 });
const idOf = (n: number): string => router(n).id;
const put = (payload: { id: string }): void => {
  rig.server.routers.set(payload.id, payload);
};
const serve = (payload: { id: string; [field: string]: unknown }): void => {
  rig.server.networks.set(payload.id, payload);
};

/** Whether router n translates its floating IP number `count`. */
const translates = async (n: number, count: number): Promise<boolean> => {
  const rules = await output('ip', 'netns', 'exec', `qrouter-${idOf(n)}`, 'nft', 'list', 'ruleset');
  return rules.includes(floatingIp(n, 255 + count).floating_ip_address);
};

const updated = (...numbers: number[]): void =>
  rig.server.notify('l3_agent.bench', 'routers_updated', { routers: numbers.map(idOf) });
const resync = (topic: 'l3_agent' | 'dhcp_agent'): void =>
  rig.server.notify(`${topic}.bench`, 'agent_updated', { payload: { admin_state_up: true } });
const listings = (role: 'l3' | 'dhcp'): number => fullSyncs(rig.node.agent(role));

/** Tampers with the first answers to a method that `which` picks. */
function first(
  count: number,
  method: string,
  mishap: (...given: Parameters<Tampering>) => ReturnType<Tampering>,
  which: (args: Readonly<Record<string, unknown>>) => boolean = () => true,
): void {
  let left = count;
  rig.server.tamper = (request, answer) => {
    if (request.method !== method || left === 0 || !which(request.args)) return undefined;
    left -= 1;
    return mishap(request, answer);
  };
}
const about = (n: number) => (args: Readonly<Record<string, unknown>>) =>
  Array.isArray(args.router_ids) && args.router_ids.length === 1 && args.router_ids[0] === idOf(n);

beforeAll(async () => {
  rig = await PretendRig.open(['l3', 'dhcp'], {
    common: {
      DEFAULT: { rpc_response_timeout: 2, rpc_response_max_timeout: 4 },
      AGENT: { report_interval: 2 },
    },
  });
  for (let n = 1; n <= ROUTERS; n++) put(router(n));
  for (let n = 1; n <= NETWORKS; n++) rig.server.networks.set(networkOf(n, 3).id, networkOf(n, 3));
  rig.node.start('l3', 'dhcp');
  await rig.settled();
});
afterEach(() => {
  rig.server.tamper = () => undefined;
});
afterAll(async () => {
  await rig?.close();
});

describe('an answer about one router', () => {
  it('that is lost is asked for again; the other routers do not wait for it', async () => {
    const complaints = await rig.complaints('l3', async () => {
      first(Number.POSITIVE_INFINITY, 'sync_routers', mishaps.lost, about(1));
      put(router(1, 2));
      put(router(2, 2));
      updated(1, 2);
      await rig.soon('router 2 has it', () => translates(2, 2));
      rig.server.tamper = () => undefined;
      await rig.soon('router 1 has it', () => translates(1, 2));
    });
    expect(complaints[0]).toMatch(/^sync_routers: no answer within 2 s \(attempt 1, next in \d+ s\)$/);
  });

  it('that comes too late is dropped with a line, and another one is asked for', async () => {
    const before = rig.log('l3').length;
    first(1, 'sync_routers', (_request, answer) => mishaps.late(answer([]), 9_000), about(3));
    put(router(3, 2));
    updated(3);
    await rig.soon('router 3 has it', () => translates(3, 2));
    await rig.soon('the line', () =>
      rig
        .log('l3')
        .slice(before)
        .some(({ msg }) => msg === 'a late answer to sync_routers was dropped'),
    );
    expect(await translates(3, 2)).toBe(true);
  });

  it('that comes three times counts once', async () => {
    first(1, 'sync_routers', (_request, answer) => mishaps.doubled(answer([router(4, 2)])), about(4));
    put(router(4, 2));
    const complaints = await rig.complaints('l3', async () => {
      updated(4);
      await rig.soon('router 4 has it', () => translates(4, 2));
    });
    expect(complaints).toEqual([]);
  });

  it('that nobody can read fails the call at once, with a line that says why', async () => {
    first(
      1,
      'sync_routers',
      (_request, answer) => {
        const [body, wrong] = [answer([]).toString(), '\\"failure\\":{\\"class\\":5}'];
        return mishaps.other(Buffer.from(body.replace('\\"failure\\":null', wrong)));
      },
      about(5),
    );
    put(router(5, 2));
    const complaints = await rig.complaints('l3', async () => {
      updated(5);
      await rig.soon('router 5 has it', () => translates(5, 2));
    });
    expect(complaints).toEqual([
      expect.stringMatching(/^queue reply_\w+: a message \(\d+ bytes\) was dropped: reply: failure: /),
      expect.stringMatching(/^sync_routers: the answer is not understood: reply: failure: .* \(attempt 1/),
    ]);
  });

  it('that is no valid router leaves it as it was last good, and others go on', async () => {
    const good = router(1, 3);
    const [port] = good._interfaces;
    put({ ...good, _interfaces: [{ ...port!, mac_address: 'rm -rf /' }] } as typeof good);
    put(router(2, 3));
    const namespace = await everything();
    const complaints = await rig.complaints('l3', async () => {
      updated(1, 2);
      await rig.soon('router 2 has it', () => translates(2, 3));
      await rig.soon('the problem is told', () => {
        const { problems } = rig.node.status('l3') as { problems: Record<string, string> };
        return /_interfaces\[0\]\.mac_address/.test(problems[idOf(1)] ?? '');
      });
    });
    expect(complaints).toEqual([
      `router ${idOf(1)}: _interfaces[0].mac_address: "rm -rf /" is not a MAC address; the router stays as it is`,
    ]);
    const own = (all: string): string => all.slice(all.indexOf(`qrouter-${idOf(1)}`)).split('qrouter-')[1]!;
    expect(own(await everything())).toBe(own(namespace));
    expect(await translates(1, 2)).toBe(true);
    put(good);
    updated(1);
    await rig.soon('router 1 has it', () => translates(1, 3));
    await rig.settled();
  });
});

describe('the answers of a full sync', () => {
  const failure = (_request: unknown, answer: (result: unknown) => Buffer) => {
    const failed = JSON.stringify({
      class: 'DBConnectionError',
      module: 'oslo_db.exception',
      message: 'gone',
    });
    const text = answer(null).toString();
    const inner = { ...JSON.parse(JSON.parse(text)['oslo.message']), failure: failed };
    return mishaps.other(
      Buffer.from(JSON.stringify({ 'oslo.version': '2.0', 'oslo.message': JSON.stringify(inner) })),
    );
  };
  const saying = (result: unknown) => (_request: unknown, answer: (result: unknown) => Buffer) =>
    mishaps.other(answer(result));

  it.each([
    ['get_router_ids', 'is lost', mishaps.lost, 'get_router_ids: no answer within'],
    ['get_router_ids', 'is null', saying(null), "get_router_ids: the server's answer is not understood"],
    ['get_router_ids', 'is an object', saying({ routers: [] }), 'is not a list'],
    ['get_router_ids', 'has numbers', saying([5]), '[0]: 5 is not text; it is [5]'],
    ['get_router_ids', 'is a failure', failure, 'get_router_ids: DBConnectionError: gone'],
    ['sync_routers', 'is lost', mishaps.lost, 'sync_routers: no answer within'],
    ['sync_routers', 'is a text', saying('routers'), "sync_routers: the server's answer is not understood"],
    ['sync_routers', 'has nameless routers', saying([{}, 5]), 'the listing has routers without id: 2'],
    ['sync_routers', 'is a failure', failure, 'sync_routers: DBConnectionError: gone'],
  ])(
    '%s that %s: one line, nothing is removed, the next attempt succeeds',
    async (method, _, mishap, line) => {
      const [before, complete] = [await everything(), listings('l3')];
      first(1, method, mishap);
      const complaints = await rig.complaints('l3', async () => {
        resync('l3_agent');
        await rig.soon('the next full sync', () => listings('l3') > complete);
      });
      expect(complaints).toEqual([
        expect.stringContaining('full sync failed, nothing is removed, next attempt in'),
      ]);
      expect(complaints[0]).toContain(line);
      await rig.settled();
      expect(await everything()).toBe(before);
    },
  );

  it.each([
    ['is lost', mishaps.lost, 'get_active_networks_info: no answer within'],
    ['is null', saying(null), 'null is not a list'],
    ['has nameless networks', saying([{ subnets: [] }]), 'the listing has networks without id: 1'],
    ['is a failure', failure, 'get_active_networks_info: DBConnectionError: gone'],
  ])(
    'of networks that %s: one line, nothing is removed, the next attempt succeeds',
    async (_, mishap, line) => {
      const [before, complete] = [await everything(), listings('dhcp')];
      first(1, 'get_active_networks_info', mishap);
      const complaints = await rig.complaints('dhcp', async () => {
        resync('dhcp_agent');
        await rig.soon('the next full sync', () => listings('dhcp') > complete);
      });
      expect(complaints).toEqual([expect.stringContaining(line)]);
      await rig.settled();
      expect(await everything()).toBe(before);
    },
  );

  it('build the good routers when one among them is invalid; that one stays as it is', async () => {
    const [complete, good] = [listings('l3'), router(6, 2)];
    put(router(5, 3));
    put({ ...good, gw_port: { ...good.gw_port, fixed_ips: 'none' } } as unknown as typeof good);
    const complaints = await rig.complaints('l3', async () => {
      resync('l3_agent');
      await rig.soon('the full sync', () => listings('l3') > complete);
      await rig.soon('router 5 has it', () => translates(5, 3));
    });
    expect(complaints).toEqual([expect.stringContaining(`router ${idOf(6)}: gw_port.fixed_ips: `)]);
    expect(await translates(6, 1)).toBe(true);
    put(good);
    resync('l3_agent');
    await rig.soon('router 6 has it', () => translates(6, 2));
  });

  it('that end with the server, killed in the middle, are asked for anew when it is back', async () => {
    const [before, complete] = [await everything(), listings('l3')];
    const died = new Promise<void>((resolve) => {
      first(1, 'sync_routers', () => {
        void rig.server.stop().then(resolve);
        return mishaps.lost();
      });
    });
    resync('l3_agent');
    await died;
    put(router(7));
    expect(listings('l3')).toBe(complete);
    await rig.server.start();
    await rig.soon('the full sync', () => listings('l3') > complete);
    await rig.soon('router 7 is built', () => translates(7, 1));
    rig.server.routers.delete(idOf(7));
    rig.server.notify('l3_agent.bench', 'router_deleted', { router_id: idOf(7) });
    await rig.soon('router 7 is gone', () => !listNamespaces().includes(`qrouter-${idOf(7)}`));
    expect(await everything()).toBe(before);
  });
});

it('[A11] a server that does not answer is given twice the time at the next call, up to the maximum', async () => {
  const network = networkOf(1, 3);
  const attempts = rig.server.count('get_network_info');
  const complaints = await rig.complaints('dhcp', async () => {
    first(Number.POSITIVE_INFINITY, 'get_network_info', mishaps.lost);
    rig.server.notify('dhcp_agent.bench', 'network_update_end', { payload: { network: { id: network.id } } });
    await rig.soon('a fourth attempt', () => rig.server.count('get_network_info') >= attempts + 4);
    rig.server.tamper = () => undefined;
    await rig.settled();
  });
  // What stays the same is said once.
  expect(complaints).toEqual([
    expect.stringMatching(/^get_network_info: no answer within 2 s \(attempt 1/),
    expect.stringMatching(/^get_network_info: no answer within 4 s \(attempt 2/),
  ]);
});

describe('an answer about one network', () => {
  const [one, two] = [networkOf(1, 3), networkOf(2, 3)];
  const changed = (...ids: string[]): void => {
    for (const id of ids)
      rig.server.notify('dhcp_agent.bench', 'network_update_end', { payload: { network: { id } } });
  };
  /** The MTU that its DHCP port has. */
  const mtu = async (id: string): Promise<string | undefined> =>
    /ns-\S+ .* mtu (\d+) /.exec(await output('ip', '-n', `qdhcp-${id}`, '-o', 'link'))?.[1];

  it('that is no valid network leaves it as it was last good, and others go on', async () => {
    const [router, ...ports] = one.ports;
    serve({ ...one, mtu: 1300, ports: [{ ...router, mac_address: 'rm -rf /' }, ...ports] });
    serve({ ...two, mtu: 1300 });
    const complaints = await rig.complaints('dhcp', async () => {
      changed(one.id, two.id);
      await rig.soon('network 2 has it', async () => (await mtu(two.id)) === '1300');
      await rig.soon('the problem is told', () => {
        const { problems } = rig.node.status('dhcp') as { problems: Record<string, string> };
        return /mac_address/.test(problems[one.id] ?? '');
      });
    });
    expect(complaints).toEqual([
      `network ${one.id}: port ${router!.id}: mac_address: "rm -rf /" is not a MAC address; the network stays as it is`,
    ]);
    expect(await mtu(one.id)).toBe('1450');
    serve({ ...one, mtu: 1300 });
    changed(one.id);
    await rig.soon('network 1 has it', async () => (await mtu(one.id)) === '1300');
    await rig.settled();
  });

  it('that is lost is asked for again; the other networks do not wait for it', async () => {
    serve(one);
    serve(two);
    const complaints = await rig.complaints('dhcp', async () => {
      first(
        Number.POSITIVE_INFINITY,
        'get_network_info',
        mishaps.lost,
        ({ network_id }) => network_id === one.id,
      );
      changed(one.id, two.id);
      await rig.soon('network 2 has it', async () => (await mtu(two.id)) === '1450');
      expect(await mtu(one.id)).toBe('1300');
      rig.server.tamper = () => undefined;
      await rig.soon('network 1 has it', async () => (await mtu(one.id)) === '1450');
    });
    expect(complaints[0]).toMatch(/^get_network_info: no answer within \d+ s \(attempt 1, next in \d+ s\)$/);
    await rig.settled();
  });
});

it('a clean stop is silent', async () => {
  for (const role of ['l3', 'dhcp'] as const) {
    const complaints = await rig.complaints(role, async () => {
      expect(await rig.node.agent(role).stop(), role).toBe(0);
    });
    expect(complaints, role).toEqual([]);
  }
});
