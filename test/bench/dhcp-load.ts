/**
 * A network under load: ports are added one after the other while clients renew, and every new port's client asks
 * for its address from the moment the agent is told. One dnsmasq, real packets.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createDhcpAgent, type DhcpAgent } from '../../agents/dhcp/agent.ts';
import { dnsmasqProcess } from '../../agents/dhcp/dnsmasq-process.ts';
import { readPidFile } from '../../lib/kernel/process.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import { bridgeName } from '../../lib/wiring/bridge.ts';
import { DhcpClients } from '../kernel/dhcp-clients.ts';
import type { Lease, Order, Seen } from './dhcp-clients.ts';
import { host, instancePort, networkOf, optionsIn, type Port } from './networks-under-test.ts';
import type { Measured } from './sandbox.ts';

export interface Load {
  /** directory; a file system in memory is mounted there, so the mounts must be this process's own */
  readonly state: string;
  /** clients that have addresses and renew them all the time */
  readonly staying: number;
  /** ports added */
  readonly added: number;
  readonly seconds: number;
}

const NS = 'vdt-load-clients';
const ROOT_END = 'vdtload0';
/** dhclient runs beside, on some of the ports that were there before. */
const REAL_CLIENTS = 3;
const CLIENTS = fileURLToPath(new URL('./dhcp-clients.js', import.meta.url));

const leaseOf = ({ mac_address, fixed_ips }: Port): Lease => ({
  mac: mac_address,
  ip: fixed_ips[0]!.ip_address,
});

const ip = (...args: string[]): void =>
  void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });

/** One port of the bridge, with all the addresses that are renewed. */
function plug(bridge: string, addresses: readonly string[]): void {
  ip('netns', 'add', NS);
  ip('link', 'add', ROOT_END, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', NS);
  ip('link', 'set', ROOT_END, 'master', bridge, 'up');
  ip('-n', NS, 'link', 'set', 'eth0', 'up');
  ip('-n', NS, 'route', 'add', '255.255.255.255', 'dev', 'eth0');
  for (const address of addresses) ip('-n', NS, 'addr', 'add', `${address}/8`, 'dev', 'eth0');
}

function unplug(): void {
  ip('netns', 'del', NS);
}

/** As one client: an answer of the process, or its end. */
async function answer(child: ChildProcess): Promise<unknown> {
  const [message] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('the clients ended'))),
  ]);
  return message;
}

class Site {
  readonly signals: number[] = [];
  readonly agent: DhcpAgent;
  private readonly reconciler: Reconciler;
  private payload: ReturnType<typeof networkOf>;
  private readonly options;

  constructor({ state, staying }: Load) {
    this.payload = networkOf(1, staying);
    this.options = optionsIn(state);
    this.reconciler = new Reconciler({ records: new Records(join(state, 'records')), heal: true });
    const daemons = dnsmasqProcess();
    this.agent = createDhcpAgent({
      plugin: {
        getActiveNetworksInfo: async () => [this.payload],
        getNetworkInfo: async () => this.payload,
        dhcpReadyOnPorts: async () => {},
      },
      reconciler: this.reconciler,
      options: this.options,
      host,
      logger: {
        debug() {},
        info() {},
        warn: (_fields, message) => void process.stderr.write(`${message}\n`),
      },
      knownNetworks: [],
      process: {
        ...daemons,
        reload: (daemon) => {
          this.signals.push(performance.now());
          daemons.reload(daemon);
        },
      },
    });
  }

  get id(): string {
    return this.payload.id;
  }
  get ports(): readonly Port[] {
    return this.payload.ports;
  }
  get pid(): number | undefined {
    return readPidFile(join(this.options.dhcp_confs, this.id, 'pid'));
  }

  async start(): Promise<void> {
    this.agent.start();
    await this.agent.idle();
    const [problem] = Object.values(this.agent.state().problems);
    if (problem) throw new Error(problem);
  }

  add(port: Port): void {
    this.payload = { ...this.payload, ports: [...this.payload.ports, port] };
    this.agent.networksUpdated([this.id]);
  }

  /** Nothing stays: no dnsmasq, no namespace, no files. */
  async end(): Promise<void> {
    this.agent.networksDeleted([this.id]);
    await this.agent.idle();
    await this.agent.stop();
    await this.reconciler.close();
  }
}

/** Fields 14 and 15 of proc(5)'s stat, in ticks of ten milliseconds. */
function cpuMillisecondsOf(pid: number | undefined): number {
  const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
}

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ??
  Number.NaN;

/** Nothing is judged here but that everybody was answered: the figures tell. @throws Error on what makes no figure */
export async function dhcpLoad(load: Load): Promise<Measured> {
  // dnsmasq waits for the disk at every renewal (fsync of its leases), and the disk is not what is measured.
  fs.mkdirSync(load.state, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'none', load.state]);
  const site = new Site(load);
  await site.start();
  const pid = site.pid;
  const staying = site.ports.filter(({ device_owner }) => device_owner === 'compute:nova');
  plug(
    bridgeName(site.id),
    staying.slice(REAL_CLIENTS).map((port) => leaseOf(port).ip),
  );
  const real = new DhcpClients('vdt-load-dhclient', bridgeName(site.id));
  const child = spawn('ip', ['netns', 'exec', NS, process.execPath, CLIENTS], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const order = (what: Order): void => void child.send(what);
  await answer(child);
  for (const port of staying.slice(REAL_CLIENTS)) order({ do: 'stay', lease: leaseOf(port) });
  const dhclients = Promise.all(
    staying.slice(0, REAL_CLIENTS).map(async (port) => {
      // It gives up after three seconds; an instance's would not.
      for (let times = 0; times < 5; times++) {
        const { address } = await real.ask(port.mac_address);
        if (address) return address === leaseOf(port).ip;
      }
      return false;
    }),
  );

  const cpuBefore = process.cpuUsage();
  const dnsmasqBefore = cpuMillisecondsOf(pid);
  const started = performance.now();
  for (let i = 0; i < load.added; i++) {
    const due = started + (i * load.seconds * 1_000) / load.added;
    if (performance.now() < due) await pause(due - performance.now());
    const port = instancePort(1, load.staying + i);
    site.add(port);
    order({ do: 'ask', lease: leaseOf(port) });
  }
  const addedMs = performance.now() - started;
  await site.agent.idle();
  const agentCpu = process.cpuUsage(cpuBefore);
  const settledMs = performance.now() - started;
  order({ do: 'end' });
  const seen = (await answer(child)) as Seen;
  const dhclientsRight = (await dhclients).filter(Boolean).length;
  for (const line of [...seen.wrong, ...seen.unanswered].slice(0, 5)) process.stderr.write(`${line}\n`);
  const apart = site.signals.slice(1).map((at, i) => at - site.signals[i]!);
  const measured: Measured = {
    added: load.added,
    added_ms: addedMs,
    settled_ms: settledMs,
    offers: seen.offers.length,
    offer_p50_ms: percentile(seen.offers, 0.5),
    offer_p99_ms: percentile(seen.offers, 0.99),
    offer_max_ms: Math.max(...seen.offers),
    renewals: seen.renewals.length,
    renewal_p99_ms: percentile(seen.renewals, 0.99),
    naks: seen.naks,
    wrong: seen.wrong.length,
    unanswered: seen.unanswered.length,
    repeated: seen.repeated,
    dhclients: REAL_CLIENTS,
    dhclients_right: dhclientsRight,
    agent_cpu_ms: (agentCpu.user + agentCpu.system) / 1_000,
    dnsmasq_cpu_ms: cpuMillisecondsOf(pid) - dnsmasqBefore,
    restarts: site.pid === pid ? 0 : 1,
    signals: site.signals.length,
    signals_apart_ms: apart.length > 0 ? Math.min(...apart) : Number.MAX_SAFE_INTEGER,
  };
  real.remove();
  unplug();
  await site.end();
  execFileSync('umount', ['-l', load.state]);
  return measured;
}
