import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createL3Agent, type L3Agent } from '../../agents/l3/agent.ts';
import { advertisementsOf, radvdPlace } from '../../agents/l3/compile/announcement.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { Withdrawals } from '../../lib/announcement/farewell.ts';
import { RADVD_TEMPLATE, radvdDaemon } from '../../lib/announcement/radvd.ts';
import { runningDaemon } from '../../lib/daemon/control.ts';
import { readTemplate } from '../../lib/daemon/template.ts';
import { counters } from '../../lib/kernel/counters.ts';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { readProcess, runIn } from '../../lib/kernel/process.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { findPackageRoot } from '../../lib/process/life.ts';
import * as l3 from '../agents/l3/compile/payload.ts';

/** Whole and distinct: ids of other tests begin with the same digits. */
const ROUTER = '7a11d000-0000-4000-8000-000000000001';
const port = (n: number, ...prefixes: string[]) => ({
  ...l3.portPayload({ ips: prefixes.map((prefix) => `${prefix}1/64`), subnets: [] }),
  id: `7a11d0${n}0-0000-4000-8000-000000000001`,
  network_id: `7a11d0${n}f-0000-4000-8000-000000000001`,
  mac_address: `fa:16:3e:7a:11:0${n}`,
  subnets: prefixes.map((prefix) => ({
    ...l3.subnetPayload({ cidr: `${prefix}/64` }),
    ipv6_ra_mode: 'slaac',
  })),
});
const router = (...ports: unknown[]) => l3.routerPayload({ id: ROUTER, gw_port: null, _interfaces: ports });

describe('radvd of a router', () => {
  let directory = '';
  let payloads: unknown[] = [];
  const complaints: string[] = [];
  let reconciler: Reconciler;
  let agent: L3Agent;
  const options = () =>
    l3Options({ ra_confs: join(directory, 'ra'), external_pids: join(directory, 'pids') });
  const place = () => radvdPlace(ROUTER, options());
  const pid = () => runningDaemon(place())?.pid;

  const create = (): void => {
    complaints.length = 0;
    reconciler = new Reconciler({ heal: true, onError: (message) => complaints.push(message) });
    agent = createL3Agent({
      plugin: {
        syncRouters: async () => payloads,
        updateFloatingIpStatuses: async () => {},
        updatePrefixes: async () => {},
      },
      reconciler,
      options: options(),
      host: { name: 'vdt', radvd: readTemplate(findPackageRoot(), RADVD_TEMPLATE) },
      logger: { debug() {}, info() {}, warn() {} },
      knownRouters: [],
      farewell: new Withdrawals(() => {}),
    });
  };
  const stop = async (): Promise<void> => {
    await agent.stop();
    await reconciler.close();
  };
  const want = async (...all: unknown[]): Promise<void> => {
    payloads = structuredClone(all);
    agent.start();
    await agent.idle();
    expect(agent.state().problems).toEqual({});
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'vdt-radvd-'));
    chmodSync(directory, 0o755);
    create();
  });

  afterEach(async () => {
    payloads = [];
    agent.routersDeleted([ROUTER]);
    await agent.idle();
    await stop();
    expect(pid()).toBeUndefined();
    expect(listNamespaces()).not.toContain(`qrouter-${ROUTER}`);
    rmSync(directory, { recursive: true, force: true });
  });

  test('a new agent that finds nothing changed writes nothing, forks nothing and signals nobody', async () => {
    await want(router(port(1, 'fd7a:1::'), port(2, 'fd7a:2::')));
    const first = pid();
    expect(first).toBeDefined();
    await stop();
    create();
    const before = { ...counters };
    await want(router(port(1, 'fd7a:1::'), port(2, 'fd7a:2::')));
    expect(counters).toEqual(before);
    expect(pid()).toBe(first);
  });

  test('one that Neutron’s agent started and configured goes on with our file', async () => {
    await want(router(port(1, 'fd7a:1::')));
    await stop();
    const { ns, confPath } = place();
    const ours = readFileSync(confPath, 'utf8');
    // Its text differs and means the same.
    chmodSync(confPath, 0o644);
    writeFileSync(confPath, ours.replace(/^#.*\n/, '').replaceAll('  ', '   '));
    chmodSync(confPath, 0o444);
    process.kill(pid()!, 'SIGKILL');
    await vi.waitFor(() => expect(pid()).toBeUndefined(), 5_000);
    expect(await runIn(ns, radvdDaemon(place(), '').argv)).toMatchObject({ ok: true });
    const first = pid();
    expect(first).toBeDefined();
    create();
    await want(router(port(1, 'fd7a:1::')));
    expect(pid()).toBe(first);
    expect(readFileSync(confPath, 'utf8')).toBe(ours);
  });

  test('one that nobody wants any more ends, also if another agent had started it', async () => {
    await want(router(port(1, 'fd7a:1::')));
    const first = pid()!;
    const { confPath, pidFile } = place();
    await stop();
    create();
    const v4 = { ...l3.internalPayload(), id: port(1).id, network_id: port(1).network_id };
    await want(router(v4));
    expect(readProcess(first)).toBeUndefined();
    expect([existsSync(confPath), existsSync(pidFile)]).toEqual([false, false]);
  });

  test('it is ended before hosts of a device that leaves are told; others hear the next one', async () => {
    await want(router(port(1, 'fd7a:1::'), port(2, 'fd7a:2::')));
    const first = pid()!;
    const wanted = advertisementsOf(parseRouter(router(port(1, 'fd7a:1::'))));
    const farewell = new Withdrawals(() => {});
    expect(farewell.say({ place: place(), wanted, options: options() })).toBe(true);
    farewell.close();
    // With the device still there: whoever asks now is not answered by the old file.
    expect([readProcess(first), existsSync(place().pidFile)]).toEqual([undefined, false]);
    await expect.poll(() => pid() ?? first).not.toBe(first);
  });

  test('when a device leaves, another one announces what stays', async () => {
    await want(router(port(1, 'fd7a:1::'), port(2, 'fd7a:2::')));
    const first = pid()!;
    await want(router(port(1, 'fd7a:1::')));
    expect(readProcess(first)).toBeUndefined();
    expect(pid()).toBeDefined();
    expect(readFileSync(place().confPath, 'utf8')).not.toContain('fd7a:2::');
    expect(complaints).toEqual([]);
  });

  test('its file is nobody’s to write, and is changed only if what it says is', async () => {
    await want(router(port(1, 'fd7a:1::')));
    const { confPath } = place();
    const before = statSync(confPath);
    expect((before.mode & 0o777).toString(8)).toBe('444');
    await want({
      ...router(port(1, 'fd7a:1::')),
      routes: [{ destination: 'fd7b::/64', nexthop: 'fd7a:1::9' }],
    });
    expect(statSync(confPath).ino).toBe(before.ino);
    await want(router(port(1, 'fd7a:1::', 'fd7a:3::')));
    expect(statSync(confPath).ino).not.toBe(before.ino);
    expect(readFileSync(confPath, 'utf8')).toContain('fd7a:3::/64');
  });

  test('a tenant’s extra route to nowhere does not keep it from starting', async () => {
    const routes = [{ destination: 'fd7b::/64', nexthop: 'fd7c::9' }];
    payloads = structuredClone([{ ...router(port(1, 'fd7a:1::')), routes }]);
    agent.start();
    await agent.idle();
    expect(agent.state().problems).toEqual({});
    expect(pid()).toBeDefined();
  });

  test('killed, it is back', async () => {
    await want(router(port(1, 'fd7a:1::')));
    const first = pid()!;
    process.kill(first, 'SIGKILL');
    await expect.poll(() => pid() ?? first, { timeout: 10_000 }).not.toBe(first);
  });
});
