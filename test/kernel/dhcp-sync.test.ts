import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createDhcpAgent } from '../../agents/dhcp/agent.ts';
import { dhcpDeviceId } from '../../agents/dhcp/compile/identity.ts';
import { dhcpOptions } from '../../agents/dhcp/options.ts';
import { runningDaemon } from '../../lib/daemon/control.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import {
  dhcpPort,
  macOf,
  NETWORK,
  networkPayload,
  portId,
  portPayload,
  subnetPayload,
} from '../agents/dhcp/compile/payload.ts';
import { until } from '../e2e/shell.ts';
import { DhcpSite } from './dhcp-site.ts';
import { Vm } from './vm.ts';

let cleanUps: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
  cleanUps = [];
});

describe('a full sync', () => {
  const HOST = { name: 'net-1', ipv6: false, hostTags: true, inotify: true };
  const NETWORKS = 12;
  const id = (kind: string, number: number): string =>
    `${kind}${number.toString(16).padStart(5, '0')}-0000-4000-8000-000000000000`;
  const network = (number: number) => {
    const [networkId, subnet] = [id('dd1', number), id('dd2', number)];
    const port = (kind: string, ip: string, device_id: string, device_owner: string) => ({
      id: id(kind, number),
      network_id: networkId,
      mac_address: `fa:16:3e:dd:${kind.slice(1)}:${number.toString(16).padStart(2, '0')}`,
      device_id,
      device_owner,
      fixed_ips: [{ subnet_id: subnet, ip_address: ip }],
    });
    return {
      ...networkPayload(
        [{ ...subnetPayload(1), id: subnet, network_id: networkId }],
        [
          port('dd3', '10.0.1.2', dhcpDeviceId(HOST.name, networkId), 'network:dhcp'),
          port('dd4', '10.0.1.5', 'vm', 'compute:nova'),
        ],
      ),
      id: networkId,
    };
  };

  /** Serves them all. @returns how many were built at the same time, at most */
  async function served(threads: number): Promise<number> {
    const confs = mkdtempSync(join(tmpdir(), 'vdt-sync-'));
    chmodSync(confs, 0o755);
    const networks = Array.from({ length: NETWORKS }, (_, number) => network(number));
    const reconciler = new Reconciler();
    let [now, most] = [0, 0];
    let listed: unknown[] = networks;
    const agent = createDhcpAgent({
      plugin: {
        getActiveNetworksInfo: async () => listed,
        getNetworkInfo: async () => null,
        dhcpReadyOnPorts: async () => {},
      },
      reconciler: {
        setDesired: (...given) => reconciler.setDesired(...given),
        removeOwner: (owner) => reconciler.removeOwner(owner),
        confirm: (...given) => reconciler.confirm(...given),
        ended: (...given) => reconciler.ended(...given),
        async reconcile(owner) {
          now += 1;
          most = Math.max(most, now);
          try {
            return await reconciler.reconcile(owner);
          } finally {
            now -= 1;
          }
        },
      },
      options: dhcpOptions({ dhcp_confs: confs, num_sync_threads: threads }),
      host: HOST,
      logger: { debug() {}, info() {}, warn() {} },
      knownNetworks: [],
    });
    cleanUps.push(async () => {
      listed = [];
      agent.resync();
      await agent.idle();
      await agent.stop();
      await reconciler.close();
      expect(networks.filter((one) => existsSync(join(confs, one.id)))).toEqual([]);
      rmSync(confs, { recursive: true });
    });
    agent.start();
    await agent.idle();
    expect(agent.state()).toMatchObject({ networks: NETWORKS, problems: {} });
    const running = networks.filter((one) =>
      runningDaemon({ pidFile: join(confs, one.id, 'pid'), id: one.id }),
    );
    expect(running).toHaveLength(NETWORKS);
    return most;
  }

  test('[M3] starts the dnsmasq of as many networks at once as num_sync_threads says', async () => {
    expect(await served(4)).toBe(4);
  });

  test('[M3] or of one after the other', async () => {
    expect(await served(1)).toBe(1);
  });
});

describe('dnsmasq', () => {
  const PORTS = 50;
  const vm = (number: number) => portPayload(number, [[1, `10.0.1.${number + 10}`]]);
  const own = dhcpPort(250, [[1, '10.0.1.2']]);
  const payload = (...ports: readonly unknown[]) => networkPayload([subnetPayload(1)], [own, ...ports]);
  const numbers = Array.from({ length: PORTS }, (_, number) => number + 1);

  /** A site whose dnsmasq writes down what it does. */
  async function logged(
    options: Readonly<Record<string, unknown>>,
  ): Promise<{ site: DhcpSite; log: () => string; readings: () => number }> {
    const logs = mkdtempSync(join(tmpdir(), 'vdt-dhcp-log-'));
    chmodSync(logs, 0o755);
    const site = new DhcpSite({ dnsmasq_base_log_dir: logs, ...options });
    cleanUps.push(async () => {
      await site.remove();
      rmSync(logs, { recursive: true });
    });
    const log = (): string => readFileSync(join(logs, NETWORK, 'dhcp_dns_log'), 'utf8');
    // It says so of each of its three files, at its start and after a signal.
    return { site, log, readings: () => log().split(`read ${site.directory}/opts`).length - 1 };
  }
  const machine = (of: DhcpSite, number: number): Vm => {
    const made = new Vm(of.bridge, macOf(number));
    cleanUps.push(() => made.remove());
    return made;
  };

  test('[M9] is told of 50 removed ports by one signal, once bulk_reload_interval is over', async () => {
    const { site, readings } = await logged({ bulk_reload_interval: 3 });
    await site.start(payload(...numbers.map(vm)));
    // The first change of all has nothing to wait for; it begins the interval.
    await site.change(payload(...numbers.slice(1).map(vm)));
    await until('it was told of that', () => readings() === 2);
    const pid = site.pid();
    for (const number of numbers.slice(1, -1)) {
      site.agent.portDeleted({ networkId: NETWORK, portId: portId(number) });
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(readings()).toBe(2);
    await site.agent.idle();
    await until('it has read its files', () => readings() > 2);
    expect([readings(), site.pid()]).toEqual([3, pid]);
    expect(site.file('host').trim().split('\n')).toHaveLength(1);
    const [gone, kept] = [machine(site, 7), machine(site, PORTS)];
    const answers = await Promise.all([gone.dhclient(), kept.dhclient()]);
    expect(answers.map((told) => told?.ip_address)).toEqual([undefined, `10.0.1.${PORTS + 10}`]);
  });

  test('[M9] serves 50 new ports without any signal, however long the interval', async () => {
    const { site, readings } = await logged({ bulk_reload_interval: 60 });
    await site.start(payload(vm(1)));
    await until('it has read its files', () => readings() === 1);
    for (const number of numbers.slice(1))
      site.agent.portChanged({ networkId: NETWORK, port: vm(number), created: true });
    await site.agent.idle();
    expect((await machine(site, PORTS).dhclient())?.ip_address).toBe(`10.0.1.${PORTS + 10}`);
    expect(readings()).toBe(1);
  });

  test('[J25] keeps a log of the network’s leases and names where dnsmasq_base_log_dir says', async () => {
    const { site, log } = await logged({});
    await site.start(payload(vm(5)));
    const client = machine(site, 5);
    expect((await client.dhclient())?.ip_address).toBe('10.0.1.15');
    await until('the lease is in the log', () =>
      new RegExp(`DHCPACK\\(ns-[0-9a-f-]+\\) 10\\.0\\.1\\.15 ${macOf(5)}`).test(log()),
    );
    await site.sh('dig +short +tries=1 +time=3 host-10-0-1-15.openstacklocal @10.0.1.2');
    await until('the query is in the log', () =>
      log().includes('query[A] host-10-0-1-15.openstacklocal from 10.0.1.2'),
    );
  });
});
