/** What tests ask the API for again and again, and how they wait for it. */
import fs from 'node:fs';
import type { Machine } from '../../e2e/packets.ts';
import { output, until } from '../../e2e/shell.ts';
import { type Cloud, OUTSIDE } from './cloud.ts';
import type { Daemon } from './daemon.ts';
import type { NetworkNode, NodeAgent } from './node.ts';
import type { Resource } from './server.ts';

type Given = Readonly<Record<string, unknown>>;
type Fixed = { readonly subnet_id: string; readonly ip_address: string };

export const fixedIps = (port: Resource): readonly Fixed[] => port.fixed_ips as Fixed[];
export const addressOf = (port: Resource): string => fixedIps(port)[0]!.ip_address;
export const short = (id: string): string => id.slice(0, 11);

export interface TenantNetwork {
  readonly network: Resource;
  readonly subnets: readonly Resource[];
}

export class Tenant {
  readonly cloud: Cloud;
  readonly nodes: readonly NetworkNode[];

  constructor(cloud: Cloud, ...others: readonly NetworkNode[]) {
    this.cloud = cloud;
    this.nodes = [cloud.node, ...others];
  }

  /** Waits; if it takes too long the error has the logs of all agents. */
  async soon<T>(what: string, look: () => T | Promise<T>, timeout = 240_000) {
    try {
      return await until(what, look, timeout);
    } catch (error) {
      const logs = this.nodes.map((node) => node.tail(2_000)).join('\n');
      throw new Error(`${(error as Error).message}\n${logs}`);
    }
  }

  settled(node: NetworkNode, ...roles: readonly NodeAgent[]) {
    return this.soon(`${node.host} has done all it knows of`, () =>
      roles.every((role) => node.status(role)?.converged === true),
    );
  }

  /** Stops it as an operator does, waits, and starts it again. */
  async restart(agent: Daemon, between: () => Promise<unknown> = async () => undefined): Promise<void> {
    await agent.stop();
    await between();
    agent.start();
  }

  /** An agent with more in its own configuration file for as long as `during` takes; settled before and after. */
  async withOptions(
    node: NetworkNode,
    role: NodeAgent,
    more: string,
    during: () => Promise<void>,
  ): Promise<void> {
    const [, own] = node.configFiles(role);
    const text = fs.readFileSync(own!, 'utf8');
    const change = async (to: string): Promise<void> => {
      await this.restart(node.agent(role), async () => fs.writeFileSync(own!, to));
      await this.settled(node, role);
    };
    await change(`${text}\n${more}\n`);
    try {
      await during();
    } finally {
      await change(text);
    }
  }

  async agent(type: string, host = 'net-1'): Promise<Resource> {
    return await this.soon(`${type} of ${host} is known`, async () => {
      const agents = await this.cloud.server.list('agents');
      return agents.find((one) => one.agent_type === type && one.host === host);
    });
  }

  async alive(type: string, host = 'net-1'): Promise<Resource> {
    return await this.soon(`${type} of ${host} is alive`, async () => {
      const agent = await this.agent(type, host);
      return agent.alive === true && agent;
    });
  }

  /** A network with its subnets: CIDRs, or what else is to be said of each. */
  async network(
    name: string,
    subnets: readonly (string | Given)[],
    given: Given = {},
  ): Promise<TenantNetwork> {
    const { server } = this.cloud;
    const network = await server.create('networks', { name, ...given });
    const made: Resource[] = [];
    for (const subnet of subnets) made.push(await this.subnet(network, subnet));
    return { network, subnets: made };
  }

  subnet(network: Resource, given: string | Given): Promise<Resource> {
    const wish = typeof given === 'string' ? { cidr: given } : given;
    return this.cloud.server.create('subnets', { network_id: network.id, ip_version: 4, ...wish });
  }

  /** The provider network, where `outside` is. */
  async external(given: Given = {}): Promise<TenantNetwork> {
    const provider = { 'provider:network_type': 'flat', 'provider:physical_network': 'ext' };
    const subnet = { cidr: OUTSIDE.cidr, gateway_ip: OUTSIDE.address, enable_dhcp: false };
    return await this.network('public', [subnet], { 'router:external': true, ...provider, ...given });
  }

  /** A port as Nova makes it. */
  port(network: Resource, given: Given = {}): Promise<Resource> {
    return this.cloud.server.create('ports', {
      network_id: network.id,
      device_owner: 'compute:nova',
      'binding:host_id': 'net-1',
      ...given,
    });
  }

  /** A machine on a new port; it has no address until it asks for one. */
  async machine(
    name: string,
    network: Resource,
    given: Given = {},
  ): Promise<{ vm: Machine; port: Resource }> {
    const port = await this.port(network, given);
    return { port, vm: await this.cloud.boot(name, port) };
  }

  isActive(port: Resource): Promise<boolean> {
    return this.cloud.server.show('ports', port.id).then(({ status }) => status === 'ACTIVE');
  }

  /** DHCP ports of a network, of one host if named. */
  dhcpPorts(network: Resource, host?: string): Promise<Resource[]> {
    const binding = host === undefined ? '' : `&binding:host_id=${host}`;
    return this.cloud.server.list('ports', `?network_id=${network.id}&device_owner=network:dhcp${binding}`);
  }
}

/** The dnsmasq of a network: pid and arguments; undefined if none runs. */
export async function dnsmasqIn(ns: string): Promise<{ pid: number; argv: string[] } | undefined> {
  const pids = await output('ip', 'netns', 'pids', ns).catch(() => '');
  for (const pid of pids.split('\n').filter(Boolean)) {
    const argv = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    if (argv[0]?.endsWith('dnsmasq')) return { pid: Number(pid), argv };
  }
  return undefined;
}
