import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDhcpAgent, type DhcpAgent } from '../../agents/dhcp/agent.ts';
import { dnsmasqArguments } from '../../agents/dhcp/compile/dnsmasq.ts';
import { wholeLeases } from '../../agents/dhcp/directory.ts';
import { dhcpOptions } from '../../agents/dhcp/options.ts';
import { stopDaemon } from '../../lib/daemon/control.ts';
import { counters } from '../../lib/kernel/counters.ts';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { runIn } from '../../lib/kernel/process.ts';
import { parseNetwork } from '../../lib/model/network.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { bridgeName } from '../../lib/wiring/bridge.ts';
import {
  dhcpPort,
  macOf,
  NETWORK,
  networkPayload,
  portPayload,
  subnetPayload,
} from '../agents/dhcp/compile/payload.ts';
import { DhcpClients } from './dhcp-clients.ts';

const HOST = { name: 'net-1', ipv6: false, hostTags: true, inotify: true };
const NS = `qdhcp-${NETWORK}`;

const subnet = subnetPayload(1, {
  dns_nameservers: ['192.0.2.53'],
  host_routes: [{ destination: '10.77.0.0/16', nexthop: '10.0.1.7' }],
});
const own = dhcpPort(99, [[1, '10.0.1.2']]);
const vm = (number: number, ip = `10.0.1.${number}`, wish = {}) => portPayload(number, [[1, ip]], wish);
const payloadOf = (...ports: readonly unknown[]) => networkPayload([subnet], [own, ...ports]);

describe('dnsmasq of a network', () => {
  let confs = '';
  let payloads: unknown[] = [];
  let reconciler: Reconciler;
  let agent: DhcpAgent;
  let clients: DhcpClients | undefined;
  let warnings: string[] = [];

  const create = (): void => {
    reconciler = new Reconciler({ heal: true });
    agent = createDhcpAgent({
      plugin: {
        getActiveNetworksInfo: async () => payloads,
        getNetworkInfo: async () => payloads[0] ?? null,
        dhcpReadyOnPorts: async () => {},
      },
      reconciler,
      options: dhcpOptions({ dhcp_confs: confs }),
      host: HOST,
      logger: { debug() {}, info() {}, warn: (_fields, message) => void warnings.push(message) },
      knownNetworks: [],
    });
  };
  const stop = async (): Promise<void> => {
    await agent.stop();
    await reconciler.close();
  };
  const start = async (payload: unknown): Promise<void> => {
    payloads = [structuredClone(payload)];
    agent.start();
    await agent.idle();
    expect(agent.state().problems).toEqual({});
  };
  const change = async (payload: unknown): Promise<void> => {
    payloads = [structuredClone(payload)];
    agent.networksUpdated([NETWORK]);
    await agent.idle();
    expect(agent.state().problems).toEqual({});
  };
  const pid = (): number => Number(readFileSync(join(confs, NETWORK, 'pid'), 'utf8'));
  const leases = (): Promise<string> => wholeLeases(join(confs, NETWORK));
  const ask = (number: number) => {
    clients ??= new DhcpClients('vdt-dhcp-clients', bridgeName(NETWORK));
    return clients.ask(macOf(number));
  };

  beforeEach(() => {
    warnings = [];
    confs = mkdtempSync(join(tmpdir(), 'vdt-dhcp-'));
    // dnsmasq reads its files as its own user.
    chmodSync(confs, 0o755);
    create();
  });

  afterEach(async () => {
    clients?.remove();
    clients = undefined;
    payloads = [];
    agent.networksDeleted([NETWORK]);
    await agent.idle();
    await stop();
    expect(existsSync(join(confs, NETWORK))).toBe(false);
    expect(listNamespaces()).not.toContain(NS);
    expect(existsSync(`/sys/class/net/${bridgeName(NETWORK)}`)).toBe(false);
    rmSync(confs, { recursive: true, force: true });
  });

  test('[J2] [K1] [K2] [K9] [K14] a known MAC gets its address and options, an unknown one nothing', async () => {
    await start(payloadOf(vm(5)));
    const [known, unknown] = await Promise.all([ask(5), ask(6)]);
    expect(known.address).toBe('10.0.1.5');
    expect(known.options).toMatchObject({
      routers: '10.0.1.1',
      'domain-name-servers': '192.0.2.53',
      'interface-mtu': '1450',
      'domain-name': '"openstacklocal"',
      'dhcp-lease-time': '86400',
    });
    expect(known.options.routes121).toBe(known.options['ms-routes']);
    expect(unknown.address).toBeUndefined();
  });

  test('[J9] a new port is served at once, by the same process and without a signal', async () => {
    await start(payloadOf(vm(5)));
    const before = pid();
    const option = { extra_dhcp_opts: [{ opt_name: 'tftp-server', opt_value: '192.0.2.9', ip_version: 4 }] };
    await change(payloadOf(vm(5), vm(6), vm(7, '10.0.1.7', option)));
    const [plain, tagged] = await Promise.all([ask(6), ask(7)]);
    expect([plain.address, tagged.address]).toEqual(['10.0.1.6', '10.0.1.7']);
    expect(tagged.options['tftp-server-name']).toContain('192.0.2.9');
    expect(pid()).toBe(before);
    expect(existsSync(join(confs, NETWORK, 'added/1'))).toBe(true);
  });

  test('[J10] an address goes to another port at the first try, though it was leased', async () => {
    await start(payloadOf(vm(5), vm(6)));
    const before = pid();
    expect((await ask(5)).address).toBe('10.0.1.5');
    await change(payloadOf(vm(8, '10.0.1.5'), vm(6)));
    expect(await leases()).not.toContain(macOf(5));
    const [newOwner, former] = await Promise.all([ask(8), ask(5)]);
    expect(newOwner.address).toBe('10.0.1.5');
    expect(former.address).toBeUndefined();
    expect(pid()).toBe(before);
    expect(warnings).toEqual([]);
  });

  test('a port removed after an addition is refused, others are served', async () => {
    await start(payloadOf(vm(5)));
    await change(payloadOf(vm(5), vm(6)));
    expect((await ask(6)).address).toBe('10.0.1.6');
    await change(payloadOf(vm(5)));
    const [removed, kept] = await Promise.all([ask(6), ask(5)]);
    expect(removed.address).toBeUndefined();
    expect(kept.address).toBe('10.0.1.5');
  });

  test('a served port with options of its own does not crash dnsmasq when another one is removed', async () => {
    const option = { extra_dhcp_opts: [{ opt_name: 'tftp-server', opt_value: '192.0.2.9', ip_version: 4 }] };
    await start(payloadOf(vm(5, '10.0.1.5', option), vm(6), vm(7)));
    expect((await ask(5)).address).toBe('10.0.1.5');
    for (const rest of [[vm(7)], []]) {
      await change(payloadOf(vm(5, '10.0.1.5', option), ...rest));
      expect((await ask(5)).options['tftp-server-name']).toContain('192.0.2.9');
    }
    expect((await ask(6)).address).toBeUndefined();
  });

  test('an agent started anew writes nothing, forks nothing and leaves dnsmasq alone', async () => {
    await start(payloadOf(vm(5)));
    await change(payloadOf(vm(5), vm(6)));
    const before = pid();
    await stop();
    create();
    const { writes, forks } = { ...counters };
    await start(payloadOf(vm(5), vm(6)));
    expect({ writes: counters.writes - writes, forks: counters.forks - forks }).toEqual({
      writes: 0,
      forks: 0,
    });
    expect(pid()).toBe(before);
    await change(payloadOf(vm(5)));
    expect((await ask(6)).address).toBeUndefined();
  });

  test("a dnsmasq with Neutron's arguments is adopted: the same process serves a new port", async () => {
    await start(payloadOf(vm(5)));
    await stop();
    const directory = join(confs, NETWORK);
    const network = parseNetwork(payloadOf(vm(5)));
    const options = dhcpOptions({ dhcp_confs: confs });
    const argv = dnsmasqArguments({ network, options, directory, watch: false });
    const pidFile = join(directory, 'pid');
    const daemon = { ns: NS, service: 'dnsmasq', id: NETWORK, argv, pidFile, daemonizes: true };
    await stopDaemon(daemon);
    rmSync(join(directory, 'added'), { recursive: true });
    expect(await runIn(NS, argv)).toMatchObject({ ok: true });
    const before = pid();
    create();
    await start(payloadOf(vm(5)));
    await change(payloadOf(vm(5), vm(6)));
    expect((await ask(6)).address).toBe('10.0.1.6');
    expect(pid()).toBe(before);
  });

  test('files that somebody edits, deletes or makes unreadable are as they were', async () => {
    await start(payloadOf(vm(5)));
    const [host, opts] = ['host', 'opts'].map((name) => join(confs, NETWORK, name));
    const before = [readFileSync(host!, 'utf8'), readFileSync(opts!, 'utf8')];
    const now = () => [host!, opts!].map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : ''));
    writeFileSync(host!, 'fa:16:3e:00:00:05,10.0.1.77\n');
    rmSync(opts!);
    await expect.poll(now, { timeout: 10_000 }).toEqual(before);
    chmodSync(host!, 0o600);
    await expect.poll(() => statSync(host!).mode & 0o777, { timeout: 10_000 }).toBe(0o644);
  });

  test('a killed dnsmasq is back', async () => {
    await start(payloadOf(vm(5)));
    const before = pid();
    process.kill(before, 'SIGKILL');
    await expect
      .poll(() => (existsSync(join(confs, NETWORK, 'pid')) ? pid() : before), { timeout: 10_000 })
      .not.toBe(before);
    expect((await ask(5)).address).toBe('10.0.1.5');
  });
});
