import fs from 'node:fs';
import { join } from 'node:path';
import { program } from '../../e2e/build.ts';
import { Daemon } from './daemon.ts';
import { type Ini, writeIni } from './ini.ts';

export type NodeAgent = 'l3' | 'dhcp' | 'metadata';
/** Neutron's, for the L2 fabric */
type FabricAgent = 'linuxbridge' | 'openvswitch';

/** Options beside the usual ones. */
export interface NodeOptions {
  /** of neutron.conf */
  readonly common?: Ini;
  readonly agents?: Readonly<Partial<Record<NodeAgent, Ini>>>;
  /** Open vSwitch and its L2 agent in place of Linux bridges */
  readonly openvswitch?: { readonly remote: string; readonly integrationBridge: string };
}

export interface NodeSettings extends NodeOptions {
  readonly directory: string;
  readonly transportUrl: string;
  readonly host: string;
  /** port of the metadata service on 127.0.0.1 */
  readonly novaPort: number;
  /** physical network → bridge */
  readonly bridgeMappings: Readonly<Record<string, string>>;
}

export const SECRET = 'vdt-secret';

/** A network node: Neutron's Linux bridge or Open vSwitch agent for L2, and Viaduct's agents with configuration files like Neutron's. */
export class NetworkNode {
  readonly host: string;
  readonly directory: string;
  readonly statePath: string;
  readonly #files = new Map<NodeAgent, readonly string[]>();
  readonly #daemons: ReadonlyMap<NodeAgent | FabricAgent, Daemon>;

  constructor(settings: NodeSettings) {
    const { directory, host } = settings;
    this.host = host;
    this.directory = directory;
    this.statePath = join(directory, 'state');
    fs.mkdirSync(this.statePath, { recursive: true });
    const file = (name: string, ...ini: Ini[]): string => writeIni(join(directory, name), ...ini);
    const common = file('neutron.conf', commonOptions(settings, this.statePath), settings.common ?? {});
    const agent = (name: NodeAgent, ini: Ini): [NodeAgent, Daemon] => {
      const own = file(`${name}_agent.ini`, ini, settings.agents?.[name] ?? {});
      const files = [common, own];
      this.#files.set(name, files);
      const argv = program(name, ...files.flatMap((path) => ['--config-file', path]));
      return [name, new Daemon(`viaduct-${name}-agent`, argv, directory)];
    };
    const fabric = settings.openvswitch ? 'openvswitch' : 'linuxbridge';
    const fabricIni = settings.openvswitch ? switchOptions(settings) : bridgeOptions(settings);
    const fabricArgv = [`neutron-${fabric}-agent`, '--config-file', common].concat(
      '--config-file',
      file(`${fabric}_agent.ini`, fabricIni),
    );
    const interfaces = { ...(settings.openvswitch ? fabricIni : {}), DEFAULT: { interface_driver: fabric } };
    this.#daemons = new Map<NodeAgent | FabricAgent, Daemon>([
      [fabric, new Daemon(`${fabric}-agent`, fabricArgv, directory, withoutEbtables(directory))],
      agent('l3', interfaces),
      agent('dhcp', { ...interfaces, DEFAULT: { interface_driver: fabric, enable_isolated_metadata: true } }),
      agent('metadata', {
        DEFAULT: {
          nova_metadata_host: '127.0.0.1',
          nova_metadata_port: settings.novaPort,
          metadata_proxy_shared_secret: SECRET,
        },
      }),
    ]);
  }

  agent(name: NodeAgent | FabricAgent): Daemon {
    return this.#daemons.get(name)!;
  }

  /** What an agent of this role is told on its command line; Neutron's own read the same. */
  configFiles(name: NodeAgent): readonly string[] {
    return this.#files.get(name)!;
  }

  /** Starts those named, or all. */
  start(...names: (NodeAgent | FabricAgent)[]): void {
    const wanted = names.length === 0 ? [...this.#daemons.keys()] : names;
    for (const name of wanted) this.agent(name).start();
  }

  /** Records of routers and networks that this node's agents keep. */
  get records(): string[] {
    const directory = join(this.statePath, 'viaduct/records');
    return fs.existsSync(directory) ? fs.readdirSync(directory) : [];
  }

  /** run/<role>.json */
  status(role: NodeAgent): Record<string, unknown> | undefined {
    try {
      return JSON.parse(fs.readFileSync(join(this.statePath, `viaduct/run/${role}.json`), 'utf8'));
    } catch {
      return undefined;
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#daemons.values()].map((daemon) => daemon.stop()));
  }

  /** The end of every agent's log. */
  tail(characters = 2_500): string {
    return [...this.#daemons.values()].map((d) => `== ${d.name}\n${d.tail(characters)}`).join('\n');
  }
}

/**
 * The Linux bridge agent wants `ebtables` for its ARP spoofing protection and does not work without it. Not every kernel
 * has the tables, and the protection is not what is tested: the agent gets one that always succeeds.
 */
function withoutEbtables(directory: string): NodeJS.ProcessEnv {
  const bin = join(directory, 'bin');
  fs.mkdirSync(bin);
  fs.writeFileSync(join(bin, 'ebtables'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  return { ...process.env, PATH: `${bin}:${process.env.PATH}` };
}

const commonOptions = ({ transportUrl, host, directory }: NodeSettings, statePath: string): Ini => ({
  DEFAULT: {
    transport_url: transportUrl,
    host,
    state_path: statePath,
    use_stderr: true,
    debug: true,
    rpc_response_timeout: 20,
  },
  AGENT: { report_interval: 5, root_helper: 'env' },
  oslo_concurrency: { lock_path: join(directory, 'locks') },
  experimental: { linuxbridge: true },
});

const bridgeOptions = ({ bridgeMappings }: NodeSettings): Ini => ({
  linux_bridge: {
    bridge_mappings: Object.entries(bridgeMappings)
      .map(([network, bridge]) => `${network}:${bridge}`)
      .join(','),
  },
  vxlan: { enable_vxlan: false },
  agent: { polling_interval: 1 },
  securitygroup: { enable_security_group: false, firewall_driver: 'noop' },
});

/** Of the L2 agent, and of those who plug into its bridge. */
const switchOptions = ({ bridgeMappings, openvswitch }: NodeSettings): Ini => ({
  ovs: {
    integration_bridge: openvswitch!.integrationBridge,
    ovsdb_connection: openvswitch!.remote,
    datapath_type: 'netdev',
    bridge_mappings: Object.entries(bridgeMappings)
      .map(([network, bridge]) => `${network}:${bridge}`)
      .join(','),
  },
  securitygroup: { enable_security_group: false, firewall_driver: 'noop' },
});
