/** A small cloud on this machine: broker, database, neutron-server, one network node, an outside world. */
import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { packageRoot } from '../../e2e/build.ts';
import { Machine } from '../../e2e/packets.ts';
import { output, run, until } from '../../e2e/shell.ts';
import { type BrokerSettings, TestBroker } from '../rabbit/broker.ts';
import { Database } from './database.ts';
import type { Ini } from './ini.ts';
import { NetworkNode, type NodeOptions } from './node.ts';
import { requirePrivateMachine } from './private.ts';
import { makeSchema, schemaFile } from './schema.ts';
import { NeutronServer, type Resource } from './server.ts';

const short = (id: string): string => id.slice(0, 11);
const ip = (text: string): Promise<string> => output('ip', ...text.split(' '));

export const EXTERNAL_BRIDGE = 'br-ext';
export const OUTSIDE = { address: '203.0.113.1', cidr: '203.0.113.0/24' };

export interface CloudSettings {
  /** options of the server beside the usual ones */
  readonly server?: Ini;
  readonly node?: NodeOptions;
  readonly broker?: BrokerSettings;
  /** how all reach the broker, if not without TLS */
  readonly transportUrl?: (broker: TestBroker) => string;
  /** the L2 agent's bridge to the outside, if it is not the Linux bridge that is made here */
  readonly externalBridge?: string;
}

/** What the metadata service was asked. */
export interface NovaRequest {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
}

export class Cloud {
  readonly directory: string;
  readonly broker: TestBroker;
  readonly server: NeutronServer;
  readonly node: NetworkNode;
  readonly outside: Machine;
  readonly novaRequests: NovaRequest[];
  readonly nova: http.Server;
  /** what the metadata service answers by path, in place of its usual line */
  readonly novaAnswers: Map<string, Buffer>;
  readonly #database: Database;
  readonly #transportUrl: string;
  readonly #others: NetworkNode[] = [];

  private constructor(parts: {
    directory: string;
    broker: TestBroker;
    database: Database;
    server: NeutronServer;
    node: NetworkNode;
    nova: http.Server;
    novaRequests: NovaRequest[];
    novaAnswers: Map<string, Buffer>;
    transportUrl: string;
  }) {
    this.directory = parts.directory;
    this.broker = parts.broker;
    this.#database = parts.database;
    this.server = parts.server;
    this.node = parts.node;
    this.nova = parts.nova;
    this.novaAnswers = parts.novaAnswers;
    this.#transportUrl = parts.transportUrl;
    this.novaRequests = parts.novaRequests;
    this.outside = new Machine('outside');
  }

  /** Half a minute's work. The node's agents are not started. @throws Error if a part can't be started */
  static async start(settings: CloudSettings = {}): Promise<Cloud> {
    requirePrivateMachine();
    const directory = fs.mkdtempSync(join(tmpdir(), 'vdt-cloud-'));
    // dnsmasq reads its files as a user of its own.
    fs.chmodSync(directory, 0o755);
    const database = new Database(directory);
    const [broker] = await Promise.all([TestBroker.start(settings.broker), database.start(), makeOutside()]);
    const transportUrl = settings.transportUrl?.(broker) ?? broker.url();
    const server = new NeutronServer(directory, {
      transportUrl,
      database: database.url,
      ...(settings.server ? { more: settings.server } : {}),
    });
    await database.fill(await theSchema());
    await server.start();
    const novaRequests: NovaRequest[] = [];
    const novaAnswers = new Map<string, Buffer>();
    const nova = http.createServer((request, response) => {
      novaRequests.push({ path: request.url ?? '', headers: request.headers });
      // Neutron's agent fails without it.
      response.setHeader('content-type', 'text/plain');
      const usual = `instance ${String(request.headers['x-instance-id'])}`;
      response.end(novaAnswers.get(request.url ?? '') ?? usual);
    });
    await new Promise<void>((resolve) => nova.listen(0, '127.0.0.1', resolve));
    const node = new NetworkNode({
      directory,
      transportUrl,
      host: 'net-1',
      novaPort: (nova.address() as AddressInfo).port,
      bridgeMappings: { ext: settings.externalBridge ?? EXTERNAL_BRIDGE },
      ...(settings.node ?? {}),
    });
    return new Cloud({
      directory,
      broker,
      database,
      server,
      node,
      nova,
      novaRequests,
      novaAnswers,
      transportUrl,
    });
  }

  /** One more host on this kernel: its namespaces have a suffix. Not started. */
  addNode(host: string, options: NodeOptions = {}): NetworkNode {
    const directory = join(this.directory, host);
    fs.mkdirSync(directory, { mode: 0o755 });
    const node = new NetworkNode({
      directory,
      transportUrl: this.#transportUrl,
      host,
      novaPort: (this.nova.address() as AddressInfo).port,
      bridgeMappings: { ext: EXTERNAL_BRIDGE },
      ...options,
      common: { ...options.common, DEFAULT: { namespace_suffix: `.${host}`, ...options.common?.DEFAULT } },
    });
    this.#others.push(node);
    return node;
  }

  async stop(): Promise<void> {
    await Promise.all([this.node, ...this.#others].map((node) => node.stop()));
    await this.server.stop('SIGKILL');
    await Promise.all([this.broker.stop(), this.#database.stop()]);
    this.nova.close();
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  /**
   * A VM: a namespace with the port's MAC. Its tap is put into the network's bridge, as Nova does it for compute ports
   * (the L2 agent leaves that to Nova, and does the rest).
   */
  async boot(name: string, port: Resource): Promise<Machine> {
    const machine = new Machine(name);
    await ip(`netns add ${name}`);
    await ip(`link add tap${short(port.id)} type veth peer name eth0 netns ${name}`);
    await ip(`-n ${name} link set eth0 address ${String(port.mac_address)}`);
    await ip(`-n ${name} link set lo up`);
    await ip(`-n ${name} link set eth0 up`);
    const bridge = `brq${short(String(port.network_id))}`;
    if ((await run(['ip', 'link', 'show', bridge])).code !== 0) await ip(`link add ${bridge} type bridge`);
    await ip(`link set ${bridge} up`);
    await ip(`link set tap${short(port.id)} master ${bridge} up`);
    return machine;
  }

  /** An address by DHCP, as the client got it; anew if it had one. */
  async lease(machine: Machine): Promise<string> {
    const files = join(this.directory, machine.ns);
    this.#endClient(machine);
    await machine.sh('ip -4 addr flush dev eth0');
    const script = new URL('../../../deploy/instance-lease-script', import.meta.url).pathname;
    const client = `dhclient -4 -1 -q -lf ${files}.leases -pf ${files}.pid -sf ${script} eth0`;
    await machine.sh(`timeout 30 ${client}`);
    return await until(
      'an address',
      async () => /inet ([\d.]+)/.exec(await machine.sh('ip -4 -o addr show eth0'))?.[1],
    );
  }

  async destroy(machine: Machine): Promise<void> {
    this.#endClient(machine);
    await ip(`netns del ${machine.ns}`);
  }

  #endClient({ ns }: Machine): void {
    const file = join(this.directory, `${ns}.pid`);
    if (!fs.existsSync(file)) return;
    process.kill(Number(fs.readFileSync(file, 'utf8')), 'SIGKILL');
    fs.rmSync(file);
  }
}

/** Made before all tests; the bench and a single file run by hand make it themselves. */
async function theSchema(): Promise<string> {
  const file = schemaFile(packageRoot);
  if (!fs.existsSync(file)) await makeSchema(file);
  return file;
}

async function makeOutside(): Promise<void> {
  await ip(`link add ${EXTERNAL_BRIDGE} type bridge`);
  await ip(`link set ${EXTERNAL_BRIDGE} up`);
  await ip('netns add outside');
  await ip('link add to-outside type veth peer name eth0 netns outside');
  await ip(`link set to-outside master ${EXTERNAL_BRIDGE} up`);
  await ip('-n outside link set lo up');
  await ip(`-n outside addr add ${OUTSIDE.address}/24 dev eth0`);
  await ip('-n outside link set eth0 up');
}
