import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { routerPayload } from '../../agents/l3/compile/payload.ts';
import { program } from '../../e2e/build.ts';
import { Daemon } from '../cloud/daemon.ts';
import { writeIni } from '../cloud/ini.ts';
import { requirePrivateMachine } from '../cloud/private.ts';
import { TestBroker } from './broker.ts';
import { type Party, party, until } from './parties.ts';

/** A server of so many routers that a real one would need hours to be given them. */
const ROUTERS = 1_000;
/** Of one test; a thousand namespaces take a busy machine a while. */
const PATIENCE_MS = 300_000;
const HOST = 'net-1';
let directory: string;
let broker: TestBroker;
let server: Party;
let agent: Daemon;

/** Ids of every sync_routers, in order. */
const asked: string[][] = [];
const routers = new Map<string, unknown>();
/** no answer to sync_routers while it is true */
let deaf = false;
/** routers that come along with the answer about another */
const along = new Map<string, string[]>();
let heldBack: Promise<void> = Promise.resolve();

const newRouter = (): string => {
  const payload = routerPayload({ gw_port: null, gw_port_id: null, _interfaces: [], _floatingips: [] });
  routers.set(payload.id, payload);
  return payload.id;
};
const namespaceOf = (id: string): string => `qrouter-${id}`;
const built = (): number => listNamespaces().filter((name) => name.startsWith('qrouter-')).length;
const tell = (method: string, args: Readonly<Record<string, unknown>>) =>
  server.rpc.cast({ topic: 'l3_agent', server: HOST, method, version: '1.1', args });

beforeAll(async () => {
  requirePrivateMachine();
  directory = fs.mkdtempSync(join(tmpdir(), 'vdt-sync-'));
  broker = await TestBroker.start();
  for (let i = 0; i < ROUTERS; i += 1) newRouter();
  server = party(broker.url());
  server.rpc.serve({
    topic: 'q-reports-plugin',
    server: 'controller',
    endpoints: [{ version: '1.2', methods: { report_state: () => 'alive' } }],
  });
  server.rpc.serve({
    topic: 'q-l3-plugin',
    server: 'controller',
    endpoints: [
      {
        version: '1.12',
        methods: {
          get_router_ids: () => [...routers.keys()],
          get_host_ha_router_count: () => 0,
          update_floatingip_statuses: () => null,
          async sync_routers({ router_ids }) {
            const ids = router_ids as string[];
            asked.push(ids);
            if (deaf) await new Promise(() => undefined);
            if (ids.length > 1) await heldBack;
            return [...ids, ...ids.flatMap((id) => along.get(id) ?? [])].flatMap(
              (id) => routers.get(id) ?? [],
            );
          },
        },
      },
    ],
  });
  const config = writeIni(join(directory, 'neutron.conf'), {
    DEFAULT: {
      transport_url: broker.url(),
      host: HOST,
      state_path: join(directory, 'state'),
      interface_driver: 'linuxbridge',
      rpc_response_timeout: 3,
      debug: true,
    },
  });
  agent = new Daemon('viaduct-l3-agent', program('l3', '--config-file', config), directory);
});

afterAll(async () => {
  await agent?.stop();
  await server?.rpc.close();
  await broker?.stop();
  if (directory) fs.rmSync(directory, { recursive: true, force: true });
});

describe('a full sync of a thousand routers', () => {
  it(
    '[A12] asks for at most 256 at a time, for half as many after a time-out, and for more again',
    async () => {
      deaf = true;
      agent.start();
      await until('the first chunk is asked for', 60, () => asked.length > 0);
      await until('it is asked for again, smaller', 60, () => asked.length > 1);
      deaf = false;
      await until('all are built', 200, () => built() === ROUTERS);
      const sizes = asked.map(({ length }) => length);
      expect(sizes.slice(0, 2)).toEqual([256, 128]);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(256);
      expect(sizes.slice(2).some((size) => size > 128)).toBe(true);
      expect(new Set(asked.slice(1).flat()).size).toBe(ROUTERS);
    },
    PATIENCE_MS,
  );

  it(
    '[A13] goes behind what a user changes meanwhile',
    async () => {
      await agent.stop();
      const fresh = Array.from({ length: 200 }, newRouter);
      asked.length = 0;
      let release = (): void => undefined;
      heldBack = new Promise((resolve) => {
        release = resolve;
      });
      agent.start();
      await until('the full sync is under way', 60, () => asked.length > 0);
      const urgent = newRouter();
      await tell('routers_updated', { routers: [urgent] });
      await until('the user’s router is there', 60, () => listNamespaces().includes(namespaceOf(urgent)));
      expect(fresh.some((id) => listNamespaces().includes(namespaceOf(id)))).toBe(false);
      release();
      await until('the others follow', 200, () => built() === routers.size);
    },
    PATIENCE_MS,
  );

  it('[A16] asks for routers that come along with another one’s answer, before all else', async () => {
    const [first, next] = [...routers.keys()] as [string, string];
    along.set(first, [next]);
    asked.length = 0;
    await tell('routers_updated', { routers: [first] });
    await until('both were asked for', 60, () => asked.length >= 2);
    expect(asked).toEqual([[first], [next]]);
    along.clear();
  });

  it('[A14] asks once for a burst of updates of one router', async () => {
    const [first] = [...routers.keys()] as [string];
    asked.length = 0;
    agent.signal('SIGSTOP');
    for (let i = 0; i < 20; i += 1) await tell('routers_updated', { routers: [first] });
    agent.signal('SIGCONT');
    await until('it was asked for', 60, () => asked.length > 0);
    const last = newRouter();
    await tell('routers_updated', { routers: [last] });
    await until('what came later is done', 60, () => listNamespaces().includes(namespaceOf(last)));
    expect(asked.filter(([id]) => id === first).length).toBeLessThanOrEqual(2);
  });
});
