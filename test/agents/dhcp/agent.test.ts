import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDhcpAgent, type DhcpAgent } from '../../../agents/dhcp/agent.ts';
import { NoAddressLeft } from '../../../agents/dhcp/dhcp-port.ts';
import { forget, networksOnDisk, readInForce } from '../../../agents/dhcp/directory.ts';
import type { DnsmasqProcess } from '../../../agents/dhcp/dnsmasq-process.ts';
import { dhcpOptions } from '../../../agents/dhcp/options.ts';
import type { Release } from '../../../agents/dhcp/release.ts';
import type { Release6 } from '../../../agents/dhcp/release6.ts';
import type { DaemonRow, Row, RowGroup } from '../../../lib/namespace/rows.ts';
import type { OwnerReconciler } from '../../../lib/process/leftovers.ts';
import type { ReconcileResult } from '../../../lib/process/owner-queue.ts';
import {
  dhcpPort,
  macOf,
  NETWORK,
  networkPayload,
  portId,
  portPayload,
  subnetPayload,
} from './compile/payload.ts';
import { HOST } from './compile/rendered.ts';

let confs = '';
let agents: DhcpAgent[] = [];
beforeEach(() => {
  confs = mkdtempSync(join(tmpdir(), 'vdt-dhcp-'));
});
afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  agents = [];
  rmSync(confs, { recursive: true, force: true });
});

const own = dhcpPort(99, [[1, '10.0.1.2']]);
const vm = (number: number, ip: string, wish = {}) => portPayload(number, [[1, ip]], wish);
const payloadOf = (...ports: readonly unknown[]) => networkPayload([subnetPayload(1)], [own, ...ports]);

/** Writes files and "runs" daemons as the namespace library would; says in words what happened. */
function fakeHost() {
  const events: string[] = [];
  const released: Release[] = [];
  const released6: Release6[] = [];
  const desired = new Map<string, readonly Row[]>();
  let running: DaemonRow | undefined;
  let failing: ReconcileResult['failures'] = [];
  let exhausted: string | undefined;
  const reconciler: OwnerReconciler = {
    confirm: async () => false,
    setDesired: (owner, groups: readonly RowGroup[]) => void desired.set(owner, groups.flat()),
    removeOwner: (owner) => void desired.set(owner, []),
    ended() {},
    async reconcile(owner) {
      const rows = desired.get(owner)!;
      for (const row of rows) {
        if (row.kind !== 'file') continue;
        if (existsSync(row.path) && readFileSync(row.path, 'utf8') === row.content) continue;
        mkdirSync(dirname(row.path), { recursive: true });
        writeFileSync(row.path, row.content);
        events.push(`write ${row.path.split('/').at(-1)}`);
      }
      const wanted = rows.find((row): row is DaemonRow => row.kind === 'daemon');
      if (running && running.argv.join() !== wanted?.argv.join()) {
        events.push('stop');
        running = undefined;
      }
      if (wanted && !running && exhausted && wanted.argv.some((arg) => arg.startsWith('--dhcp-hostsdir=')))
        return { steps: 0, failures: [{ ns: wanted.ns, key: wanted.key, message: exhausted }] };
      if (wanted && !running && failing.length === 0) {
        events.push('start');
        running = wanted;
      }
      return { steps: 0, failures: failing };
    },
  };
  const process: DnsmasqProcess = {
    running: () => running?.argv,
    reload: () => void events.push('signal'),
    release: (_service, release) => {
      events.push(`release ${release.ip}`);
      released.push(release);
      writeFileSync(join(confs, NETWORK, 'leases'), '');
    },
    release6: (_service, release) => {
      events.push(`release ${release.ip}`);
      released6.push(release);
      writeFileSync(join(confs, NETWORK, 'leases'), '');
    },
  };
  return {
    reconciler,
    process,
    released,
    released6,
    fail: (failures: ReconcileResult['failures']) => {
      failing = failures;
    },
    /** what dnsmasq says when it can't watch directories */
    exhaust: (words: string) => {
      exhausted = words;
    },
    run: (daemon: DaemonRow | undefined) => {
      running = daemon;
    },
    daemon: () => running,
    /** what happened since the last look */
    events: () => events.splice(0),
  };
}

interface Settings {
  readonly knownNetworks?: string[];
  readonly leftNetworks?: string[];
  readonly options?: Readonly<Record<string, unknown>>;
}

function setUp(first: unknown[], settings: Settings = {}) {
  const host = fakeHost();
  const ready: string[] = [];
  const warnings: string[] = [];
  const asked: string[] = [];
  const state = { payloads: first, failing: false, exhausted: false };
  const create = () => {
    const agent = createDhcpAgent({
      plugin: {
        async getActiveNetworksInfo() {
          if (state.failing) throw new Error('no answer');
          return state.payloads;
        },
        async getNetworkInfo(id) {
          asked.push(id);
          return state.payloads.find((payload) => (payload as { id: string }).id === id) ?? null;
        },
        async withDhcpPort(network) {
          if (state.exhausted) throw new NoAddressLeft('no address is left');
          return network;
        },
        async dhcpReadyOnPorts(ids) {
          ready.push(...ids);
        },
      },
      reconciler: host.reconciler,
      process: host.process,
      options: dhcpOptions({ dhcp_confs: confs, ...settings.options }),
      host: HOST,
      logger: { debug() {}, info() {}, warn: (_fields, message) => void warnings.push(message) },
      knownNetworks: settings.knownNetworks ?? [],
      leftNetworks: settings.leftNetworks ?? [],
      backoff: { first: 5, longest: 10 },
    });
    agents.push(agent);
    return agent;
  };
  const agent = create();
  const change = async (payload: unknown) => {
    state.payloads = [payload];
    agent.networksUpdated([NETWORK]);
    await agent.idle();
    return host.events();
  };
  /** `asked`: networks asked for one by one since the last look */
  return { host, agent, create, state, ready, warnings, change, asked: () => asked.splice(0) };
}

const startAndForget = async ({ agent, host }: ReturnType<typeof setUp>) => {
  agent.start();
  await agent.idle();
  return host.events();
};

describe('the DHCP agent', () => {
  it('starts dnsmasq with its files and initial leases there, and reports ports ready', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    expect(await startAndForget(site)).toEqual([
      'write interface',
      'write host',
      'write addn_hosts',
      'write opts',
      'start',
    ]);
    expect(readFileSync(join(confs, NETWORK, 'leases'), 'utf8')).toBe(`0 ${macOf(5)} 10.0.1.5 * *\n`);
    await expect.poll(() => site.ready).toEqual([portId(99), portId(5)]);
  });

  it('a new port is told by the watched directories: no signal, no start', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    await startAndForget(site);
    expect(await site.change(payloadOf(vm(5, '10.0.1.5'), vm(6, '10.0.1.6')))).toEqual([
      'write host',
      'write addn_hosts',
    ]);
    const added = readFileSync(join(confs, NETWORK, 'added/1'), 'utf8');
    expect(added).toBe(`${macOf(6)},host-10-0-1-6.openstacklocal,10.0.1.6\n`);
  });

  it('a removed port is a signal, and its lease is released', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'), vm(6, '10.0.1.6'))]);
    await startAndForget(site);
    expect(await site.change(payloadOf(vm(5, '10.0.1.5')))).toEqual([
      'write host',
      'write addn_hosts',
      'signal',
      'release 10.0.1.6',
    ]);
    expect(site.host.released).toEqual([{ mac: macOf(6), ip: '10.0.1.6', server: '10.0.1.2' }]);
  });

  it("makes the directory of dnsmasq's log, and serves without a log where that fails", async () => {
    const logs = join(confs, 'logs');
    const withLogs = setUp([payloadOf(vm(5, '10.0.1.5'))], { options: { dnsmasq_base_log_dir: logs } });
    await startAndForget(withLogs);
    expect(existsSync(join(logs, NETWORK))).toBe(true);
    expect(withLogs.host.daemon()?.argv).toContain(`--log-facility=${logs}/${NETWORK}/dhcp_dns_log`);

    writeFileSync(join(confs, 'file'), '');
    const below = { dnsmasq_base_log_dir: join(confs, 'file/logs') };
    const without = setUp([payloadOf(vm(5, '10.0.1.5'))], { options: below });
    await startAndForget(without);
    expect(without.host.daemon()?.argv.join(' ')).not.toContain('--log');
    expect(without.warnings.join()).toContain('keeps no log');
  });

  it('a dnsmasq that can watch no directories is started without and told by signals', async () => {
    const { agent, host, state, warnings } = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    host.exhaust('dnsmasq: failed to create inotify: Too many open files');
    agent.start();
    await agent.idle();
    expect(agent.state().problems).toEqual({});
    expect(warnings.join()).toContain('fs.inotify.max_user_instances');
    expect(host.daemon()?.argv.join(' ')).not.toContain('hostsdir');
    host.events();
    state.payloads = [payloadOf(vm(5, '10.0.1.5'), vm(6, '10.0.1.6'))];
    agent.networksUpdated([NETWORK]);
    await agent.idle();
    expect(host.events()).toEqual(['write host', 'write addn_hosts', 'signal']);
  });

  it('a DHCPv6 lease of a removed port is released in its name', async () => {
    const subnet = subnetPayload(1, { ip_version: 6, cidr: 'fd00:1::/64', gateway_ip: 'fd00:1::1' });
    const own6 = dhcpPort(99, [[1, 'fd00:1::2']]);
    const of = (...ports: readonly unknown[]) => networkPayload([subnet], [own6, ...ports]);
    const site = setUp([of(vm(5, 'fd00:1::5'), vm(6, 'fd00:1::6'))]);
    await startAndForget(site);
    const leases = 'duid 00:01:aa\n1795334111 77 fd00:1::6 h6 00:03:00:01:fa:16:3e:00:00:06\n';
    writeFileSync(join(confs, NETWORK, 'leases'), leases);
    expect(await site.change(of(vm(5, 'fd00:1::5')))).toContain('release fd00:1::6');
    expect(site.host.released6).toEqual([
      {
        mac: macOf(6),
        ip: 'fd00:1::6',
        server: 'fd00:1::2',
        iaid: '77',
        clientId: '00:03:00:01:fa:16:3e:00:00:06',
        serverId: '00:01:aa',
      },
    ]);
  });

  it('signals of a burst are at most one per second; the last state is what is told', async () => {
    const site = setUp([payloadOf(...[5, 6, 7, 8].map((n) => vm(n, `10.0.1.${n}`)))]);
    await startAndForget(site);
    const begin = Date.now();
    for (const left of [[5, 6, 7], [5, 6], [5]]) {
      site.state.payloads = [payloadOf(...left.map((n) => vm(n, `10.0.1.${n}`)))];
      site.agent.networksUpdated([NETWORK]);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    await site.agent.idle();
    expect(site.host.events().filter((event) => event === 'signal')).toHaveLength(2);
    expect(Date.now() - begin).toBeGreaterThan(900);
    expect(readInForce(join(confs, NETWORK)).lines.host).toEqual([
      `${macOf(5)},host-10-0-1-5.openstacklocal,10.0.1.5`,
    ]);
  });

  it('a burst of new ports is told in few files, and in the end every port is', async () => {
    const numbers = Array.from({ length: 200 }, (_, i) => 5 + i);
    const portsUpTo = (count: number) => numbers.slice(0, count).map((n) => vm(n, `10.0.1.${n}`));
    const site = setUp([payloadOf(...portsUpTo(1))]);
    await startAndForget(site);
    for (let count = 2; count <= numbers.length; count++) {
      site.state.payloads = [payloadOf(...portsUpTo(count))];
      site.agent.networksUpdated([NETWORK]);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await site.agent.idle();
    expect(new Set(site.host.events())).toEqual(new Set(['write host', 'write addn_hosts']));
    const { additions } = readInForce(join(confs, NETWORK));
    expect(additions.length).toBeLessThan(numbers.length - 1);
    expect(additions.flatMap(({ lines }) => lines.host)).toEqual(
      numbers.slice(1).map((n) => `${macOf(n)},host-10-0-1-${n}.openstacklocal,10.0.1.${n}`),
    );
  });

  it('with a tagged port in force dnsmasq is started anew instead of signalled', async () => {
    const extra_dhcp_opts = [{ opt_name: '67', opt_value: 'x', ip_version: 4 }];
    const site = setUp([payloadOf(vm(5, '10.0.1.5', { extra_dhcp_opts }), vm(6, '10.0.1.6'))]);
    await startAndForget(site);
    expect(await site.change(payloadOf(vm(5, '10.0.1.5', { extra_dhcp_opts })))).toEqual([
      'write host',
      'write addn_hosts',
      'stop',
      'start',
    ]);
  });

  it('another agent after it finds everything as it is: nothing is written, told or started', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    await startAndForget(site);
    await site.change(payloadOf(vm(5, '10.0.1.5'), vm(6, '10.0.1.6')));
    const next = site.create();
    next.start();
    await next.idle();
    expect(site.host.events()).toEqual([]);
  });

  describe("Neutron's dnsmasq", () => {
    const extra_dhcp_opts = [{ opt_name: '67', opt_value: 'x', ip_version: 4 }];
    const ports = [vm(5, '10.0.1.5', { extra_dhcp_opts }), vm(6, '10.0.1.6')];
    const asNeutronLeftIt = async (...served: readonly unknown[]) => {
      const site = setUp([payloadOf(...served)]);
      await startAndForget(site);
      const daemon = site.host.daemon()!;
      site.host.run({ ...daemon, argv: daemon.argv.slice(0, -3) });
      rmSync(join(confs, NETWORK, 'added'), { recursive: true });
      return { ...site, next: site.create() };
    };
    const start = async ({ next, host }: Awaited<ReturnType<typeof asNeutronLeftIt>>) => {
      next.start();
      await next.idle();
      return host.events();
    };

    it('goes on running undisturbed, and gets signals from then on', async () => {
      const site = await asNeutronLeftIt(vm(5, '10.0.1.5'));
      expect(await start(site)).toEqual([]);
      expect(await site.change(payloadOf(vm(5, '10.0.1.5'), vm(6, '10.0.1.6')))).toContain('signal');
    });

    it('is not told anew what it knows in another order', async () => {
      const site = await asNeutronLeftIt(...ports);
      site.state.payloads = [payloadOf(...ports.toReversed())];
      const events = await start(site);
      expect(events).not.toContain('signal');
      expect(events).not.toContain('start');
    });

    it('is told what changed while no agent ran', async () => {
      const site = await asNeutronLeftIt(vm(5, '10.0.1.5'));
      site.state.payloads = [payloadOf(vm(5, '10.0.1.5'), vm(6, '10.0.1.6'))];
      expect(await start(site)).toEqual(['write host', 'write addn_hosts', 'signal']);
    });

    it('is told again if we were killed between writing and telling', async () => {
      const site = await asNeutronLeftIt(vm(5, '10.0.1.5'));
      forget(join(confs, NETWORK));
      expect(await start(site)).toEqual(['signal']);
    });
  });

  it('a failed listing removes nothing, a complete one what it does not name', async () => {
    const other = '11111111-2222-4333-8444-555555555555';
    mkdirSync(join(confs, other));
    const site = setUp([payloadOf()], { leftNetworks: networksOnDisk(confs) });
    site.state.failing = true;
    site.agent.start();
    await expect.poll(() => site.warnings.length).toBeGreaterThan(0);
    expect(existsSync(join(confs, other))).toBe(true);
    site.state.failing = false;
    await site.agent.idle();
    expect(existsSync(join(confs, other))).toBe(false);
    expect(site.agent.state()).toMatchObject({ networks: 1, problems: {} });
  });

  it('a deleted network goes with its directory, and so does one that is down', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    await startAndForget(site);
    expect(await site.change({ ...payloadOf(), admin_state_up: false })).toEqual(['stop']);
    expect(existsSync(join(confs, NETWORK))).toBe(false);
    expect(await site.change(payloadOf())).toContain('start');
    site.agent.networksDeleted([NETWORK]);
    await site.agent.idle();
    expect(site.host.events()).toEqual(['stop']);
  });

  it('what fails is a problem with a name, and is tried again', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    site.host.fail([{ ns: 'n', key: 'n|link|x', message: 'No such device' }]);
    site.agent.start();
    await expect.poll(() => site.agent.state().problems[NETWORK]).toContain('No such device');
    expect(site.ready).toEqual([]);
    site.host.fail([]);
    await site.agent.idle();
    expect(site.agent.state().problems).toEqual({});
  });

  it('a payload that is nonsense leaves the network as it is', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    await startAndForget(site);
    expect(await site.change({ ...payloadOf(vm(6, '10.0.1.6')), mtu: 'big' })).toEqual([]);
    expect(site.agent.state().problems[NETWORK]).toContain('mtu: "big"');
  });

  it('a port that can’t be read stays as it was, or is left out; the others are served', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    await startAndForget(site);
    const wrong = [vm(5, '10.0.1.300'), vm(7, '10.0.1.7', { mac_address: 'x\ny' })];
    await site.change(payloadOf(...wrong, vm(6, '10.0.1.6')));
    const hosts = readFileSync(join(confs, NETWORK, 'host'), 'utf8');
    expect(hosts.match(/10\.0\.1\.\d+/g)?.sort()).toEqual(['10.0.1.5', '10.0.1.6']);
    expect(site.warnings).toEqual([
      `network ${NETWORK}: port ${portId(5)}: fixed_ips[0].ip_address: "10.0.1.300" is not an IP address`,
      `network ${NETWORK}: port ${portId(7)}: mac_address: "x\\ny" is not a MAC address`,
    ]);
    expect(site.agent.state().problems).toEqual({});
  });

  it('a subnet that can’t be read stays as it was; a new one is left out', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    await startAndForget(site);
    const bad = [subnetPayload(1, { cidr: '10.0.1.0' }), subnetPayload(2, { gateway_ip: 'none' })];
    const changed = { ...payloadOf(vm(5, '10.0.1.5'), vm(6, '10.0.1.6')), subnets: bad };
    expect(await site.change(changed)).toEqual(['write host', 'write addn_hosts']);
    expect(site.warnings).toHaveLength(2);
    const next = site.create();
    next.start();
    await next.idle();
    expect(next.state().problems[NETWORK]).toContain('"10.0.1.0" is not a CIDR');
    expect(site.host.events()).toEqual([]);
  });

  describe('told of a port', () => {
    const told = async (site: ReturnType<typeof setUp>, port: unknown, created = true) => {
      site.agent.portChanged({ networkId: NETWORK, port, created });
      await site.agent.idle();
      return site.host.events();
    };
    const hosts = () => readInForce(join(confs, NETWORK)).lines.host.map((line) => line.split(',').at(-1));
    const setUpWith = async (...ports: readonly unknown[]) => {
      const site = setUp([payloadOf(...ports)]);
      await startAndForget(site);
      return site;
    };

    it('serves it without asking, and reports it ready', async () => {
      const site = await setUpWith(vm(5, '10.0.1.5'));
      expect(await told(site, vm(6, '10.0.1.6'))).toEqual(['write host', 'write addn_hosts']);
      expect(hosts()).toEqual(['10.0.1.5', '10.0.1.6']);
      expect(site.asked()).toEqual([]);
      await expect.poll(() => site.ready).toContain(portId(6));
    });

    it('forgets one that is deleted without asking, and a late message does not bring it back', async () => {
      const site = await setUpWith(vm(5, '10.0.1.5'), vm(6, '10.0.1.6'));
      site.agent.portDeleted({ networkId: NETWORK, portId: portId(6) });
      await site.agent.idle();
      expect(hosts()).toEqual(['10.0.1.5']);
      site.host.events();
      expect(await told(site, vm(6, '10.0.1.6', { revision_number: 99 }), false)).toEqual([]);
      expect(site.asked()).toEqual([]);
    });

    it('passes over an older revision than it knows', async () => {
      const site = await setUpWith(vm(5, '10.0.1.5', { revision_number: 7 }));
      expect(await told(site, vm(5, '10.0.1.4', { revision_number: 6 }), false)).toEqual([]);
      expect(await told(site, vm(5, '10.0.1.8', { revision_number: 8 }), false)).toContain('signal');
      expect(hosts()).toEqual(['10.0.1.8']);
      expect(site.asked()).toEqual([]);
    });

    it('asks for the network when a new port has the address of another', async () => {
      const site = await setUpWith(vm(5, '10.0.1.5'));
      site.state.payloads = [payloadOf(vm(6, '10.0.1.5'))];
      await told(site, vm(6, '10.0.1.5'));
      expect(site.asked()).toEqual([NETWORK]);
      expect(readInForce(join(confs, NETWORK)).lines.host).toHaveLength(1);
    });

    it('with other addresses of its own port starts dnsmasq anew', async () => {
      const site = await setUpWith(vm(5, '10.0.1.5'));
      expect(await told(site, dhcpPort(99, [[1, '10.0.1.3']]), false)).toEqual(['stop', 'start']);
      expect(site.asked()).toEqual([]);
    });

    it('asks for the network when its own port was deleted or has other subnets', async () => {
      const site = await setUpWith(vm(5, '10.0.1.5'));
      await told(site, dhcpPort(99, [[2, '10.0.2.3']]), false);
      expect(site.asked()).toEqual([NETWORK]);
      site.state.payloads = [networkPayload([subnetPayload(1)], [dhcpPort(98, [[1, '10.0.1.3']])])];
      site.agent.portDeleted({ networkId: NETWORK, portId: portId(99) });
      await site.agent.idle();
      expect(site.asked()).toEqual([NETWORK]);
    });

    it('of a network it does not serve does nothing', async () => {
      const site = setUp([]);
      await startAndForget(site);
      expect(await told(site, vm(6, '10.0.1.6'))).toEqual([]);
      expect(site.asked()).toEqual([]);
    });

    it('that makes no sense asks the server', async () => {
      const site = await setUpWith(vm(5, '10.0.1.5'));
      await told(site, vm(6, '10.0.1.600'));
      expect(site.asked()).toEqual([NETWORK]);
    });
  });

  it('waits for an event when no address is left for its port, and goes on serving what it can', async () => {
    const site = setUp([payloadOf(vm(5, '10.0.1.5'))]);
    site.state.exhausted = true;
    site.agent.start();
    await site.agent.idle();
    expect(site.agent.state().problems[NETWORK]).toContain('no address is left');
    expect(site.asked()).toEqual([]);
    site.state.exhausted = false;
    site.agent.portDeleted({ networkId: NETWORK, portId: portId(7) });
    await site.agent.idle();
    expect(site.asked()).toEqual([NETWORK]);
    expect(site.host.events()).toContain('start');
    expect(site.agent.state().problems).toEqual({});
  });
});
