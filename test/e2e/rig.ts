/**
 * A topology run by the real `viaduct up` in a process of its own, under names of its own, and removed to
 * the last object at the end. Edits of the file under the running process are how things change, as for an
 * operator.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { deleteNamespace, listNamespaces } from '../../lib/kernel/netns.ts';
import { parseTopology, type Topology, type TopologyPort } from '../../lib/standalone/topology.ts';
import { program } from './build.ts';
import { Machine } from './packets.ts';
import { pause, type Ran, run, stopBackground, until } from './shell.ts';

/** An entry of a topology file: what the tests set is up to them. */
export type Entry = { name?: string; [key: string]: unknown };

export interface TopologyFile {
  name?: string;
  networks: (Entry & { subnets?: Entry[] })[];
  routers?: (Entry & { interfaces?: unknown[]; external_gateway_info?: Entry })[];
  ports?: Entry[];
  instances?: Entry[];
  floating_ips?: Entry[];
  dhcp?: Record<string, unknown>;
  metadata?: Record<string, unknown>;
}

const CONVERGENCE_MS = 60_000;
let rigs = 0;

/** First 11 characters of an id: the part of it that is in device names. */
const short = (id: string): string => id.slice(0, 11);

export class Rig {
  readonly directory: string;
  readonly file: string;
  readonly stateDir: string;
  readonly name: string;
  private readonly prefix: string;
  private text: TopologyFile;
  private child: ChildProcess | undefined;
  /** every topology it ever had: what cleaning up has to look for */
  private readonly history: Topology[] = [];

  constructor(yaml: string) {
    rigs += 1;
    this.prefix = `vdt${process.pid.toString(36)}${rigs}`;
    this.name = `e2e-${this.prefix}`;
    this.directory = fs.mkdtempSync(join(tmpdir(), `${this.name}-`));
    // dnsmasq drops its privileges and reads its files again later.
    fs.chmodSync(this.directory, 0o755);
    this.file = join(this.directory, 'net.yaml');
    this.stateDir = join(this.directory, 'state');
    this.text = parse(yaml) as TopologyFile;
    this.write();
  }

  // --- the file ------------------------------------------------------------------------------------------

  /** Change the topology file; a running process follows. */
  edit(change: (topology: TopologyFile) => void): void {
    change(this.text);
    this.write();
  }

  private write(): void {
    this.text.name = this.name;
    for (const instance of this.text.instances ?? [])
      instance.namespace = `${this.prefix}-${String(instance.name)}`;
    // JSON is YAML.
    const text = JSON.stringify(this.text, null, 1);
    this.history.push(parseTopology(text, { file: this.file, host: hostname() }));
    fs.writeFileSync(`${this.file}.new`, text);
    fs.renameSync(`${this.file}.new`, this.file);
  }

  get topology(): Topology {
    return this.history.at(-1)!;
  }

  entry(list: 'networks' | 'routers' | 'ports' | 'instances', name: string): Entry {
    const found = (this.text[list] as Entry[] | undefined)?.find((one) => one.name === name);
    if (!found) throw new Error(`no ${name} in ${list}`);
    return found;
  }

  // --- names of things on the host -----------------------------------------------------------------------

  client(name: string): Machine {
    return new Machine(`${this.prefix}-${name}`);
  }

  routerId(name: string): string {
    return this.topology.routers.find((router) => router.name === name)!.id;
  }

  router(name: string): Machine {
    return new Machine(`qrouter-${this.routerId(name)}`);
  }

  networkId(name: string): string {
    return this.topology.networks.find((network) => network.name === name)!.id;
  }

  /** The DHCP namespace of a network. */
  dhcp(network: string): Machine {
    return new Machine(`qdhcp-${this.networkId(network)}`);
  }

  bridge(network: string): string {
    return `brq${short(this.networkId(network))}`;
  }

  private port(found: TopologyPort | undefined, what: string): TopologyPort {
    if (!found) throw new Error(`no port: ${what}`);
    return found;
  }

  /** Gateway port of a router. */
  gateway(router: string): TopologyPort & { device: string } {
    const { gateway_port_id } = this.topology.routers.find((one) => one.name === router)!;
    const port = this.topology.ports.find(({ id }) => id === gateway_port_id);
    return { ...this.port(port, `gateway of ${router}`), device: `qg-${short(gateway_port_id ?? '')}` };
  }

  /** Port of a router on a network. */
  interface(router: string, network: string): TopologyPort & { device: string } {
    const ids = this.topology.routers.find((one) => one.name === router)!.interface_port_ids;
    const networkId = this.networkId(network);
    const port = this.port(
      this.topology.ports.find(({ id, network_id }) => ids.includes(id) && network_id === networkId),
      `${router} on ${network}`,
    );
    return { ...port, device: `qr-${short(port.id)}` };
  }

  dhcpPort(network: string): TopologyPort & { device: string } {
    const networkId = this.networkId(network);
    const port = this.port(
      this.topology.ports.find(
        ({ device_owner, network_id }) => device_owner === 'network:dhcp' && network_id === networkId,
      ),
      `DHCP on ${network}`,
    );
    return { ...port, device: `ns-${short(port.id)}` };
  }

  instancePort(name: string, position = 0): TopologyPort {
    const { port_ids } = this.topology.instances.find((instance) => instance.name === name)!;
    return this.port(
      this.topology.ports.find(({ id }) => id === port_ids[position]),
      name,
    );
  }

  instanceId(name: string): string {
    return this.topology.instances.find((instance) => instance.name === name)!.id;
  }

  // --- the process -----------------------------------------------------------------------------------------

  get pid(): number {
    return this.child!.pid!;
  }

  get log(): string {
    const path = join(this.directory, 'log');
    return fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : '';
  }

  /** Start a program on this topology; its log goes to the rig's. */
  spawn(argv: readonly string[]): ChildProcess {
    const log = fs.openSync(join(this.directory, 'log'), 'a');
    const [command, ...args] = argv;
    const child = spawn(command!, args, { stdio: ['ignore', log, log] });
    fs.closeSync(log);
    return child;
  }

  /** `viaduct up`, without waiting for anything. */
  launch(): void {
    this.child = this.spawn(program('cli', 'up', this.file, '--state-dir', this.stateDir));
  }

  /** `viaduct up`, until everything is as the file says. */
  async up(): Promise<this> {
    this.launch();
    await this.converged();
    return this;
  }

  private statuses(): { role: string; converged: boolean; pid: number }[] {
    const directory = join(this.stateDir, this.name, 'run');
    try {
      return fs
        .readdirSync(directory)
        .filter((name) => name.endsWith('.json'))
        .map((name) => JSON.parse(fs.readFileSync(join(directory, name), 'utf8')) as never);
    } catch {
      return [];
    }
  }

  /** The running process says that all is done: only used to know when to start looking. */
  async converged(): Promise<void> {
    const { child } = this;
    const told = (): string => `${JSON.stringify(this.statuses())}\n${this.log.slice(-4_000)}`;
    const ended = await until(
      'the network is built',
      () => {
        if (child?.exitCode !== null) return 'ended';
        const own = this.statuses().filter(({ pid }) => pid === child.pid);
        return own.length > 0 && own.every(({ converged }) => converged) && 'built';
      },
      CONVERGENCE_MS,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${told()}`);
    });
    if (ended === 'ended') throw new Error(`viaduct up ended: ${told()}`);
  }

  /** End the process; what it built stays. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** Run a verb of the operator's command on this deployment. */
  viaduct(...args: string[]): Promise<Ran> {
    return run(program('cli', ...args, '--state-dir', this.stateDir), { timeout: 60_000 });
  }

  /** `viaduct down`, which must succeed. */
  async down(): Promise<void> {
    const { code, stdout, stderr } = await this.viaduct('down', this.file);
    if (code !== 0) throw new Error(`viaduct down: exit ${code}: ${stdout}${stderr}`);
    await this.end();
  }

  /** Everything away: by `viaduct down`, and what that leaves by hand. */
  async remove(): Promise<void> {
    await stopBackground();
    await this.end();
    await this.viaduct('down', this.file);
    await sweep(this.history);
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Namespaces and host devices that these topologies can have made, as far as they exist. */
export async function remains(
  topologies: readonly Topology[],
): Promise<{ namespaces: string[]; links: string[] }> {
  const namespaces = new Set(
    topologies.flatMap(({ routers, networks, instances }) => [
      ...routers.map(({ id }) => `qrouter-${id}`),
      ...networks.map(({ id }) => `qdhcp-${id}`),
      ...instances.map(({ namespace }) => namespace),
    ]),
  );
  const links = new Set(
    topologies.flatMap(({ ports, networks }) => [
      ...ports.map(({ id }) => `tap${short(id)}`),
      ...networks.map(({ id }) => `brq${short(id)}`),
    ]),
  );
  const present = (await run(['ip', '-o', 'link'])).stdout.matchAll(/^\d+: ([^:@]+)/gm);
  return {
    namespaces: listNamespaces().filter((name) => namespaces.has(name)),
    links: [...present].map((match) => match[1]!).filter((name) => links.has(name)),
  };
}

/** Remove exactly what these topologies can have made. */
async function sweep(topologies: readonly Topology[]): Promise<void> {
  const left = await remains(topologies);
  for (const ns of left.namespaces) {
    const pids = (await run(['ip', 'netns', 'pids', ns])).stdout.split('\n').filter(Boolean).map(Number);
    for (const pid of pids) if (pid !== process.pid) process.kill(pid, 'SIGKILL');
    deleteNamespace(ns);
  }
  if (left.namespaces.length > 0) await pause(100);
  for (const link of left.links) await run(['ip', 'link', 'del', link]);
}

/** A running rig; `remove()` it in afterAll. */
export const rig = (yaml: string): Promise<Rig> => {
  const made = new Rig(yaml);
  return made.up().catch(async (error: unknown) => {
    await made.remove();
    throw error;
  });
};
