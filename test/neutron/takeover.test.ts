import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { readPidFile, readProcess } from '../../lib/kernel/process.ts';
import { program } from '../e2e/build.ts';
import type { Capture, Machine, PingStream } from '../e2e/packets.ts';
import { Background, inNs, output, run, until } from '../e2e/shell.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import { NeutronAgents } from './cloud/neutron-agents.ts';
import type { NodeAgent } from './cloud/node.ts';
import type { Resource } from './cloud/server.ts';

const ROLES: readonly NodeAgent[] = ['l3', 'dhcp', 'metadata'];
let cloud: Cloud;
let neutron: NeutronAgents;

async function soon<T>(what: string, look: () => T | Promise<T>, timeout = 240_000) {
  try {
    return await until(what, look, timeout);
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${neutron.tail()}\n${cloud.node.tail()}`);
  }
}

beforeAll(async () => {
  cloud = await Cloud.start();
  neutron = new NeutronAgents(cloud.node);
});

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.node.stop();
  await neutron?.remove();
  await cloud?.stop();
});

/**
 * Connections that begin while all this goes on: exit codes of one ping each. Its patience is for a busy machine: ping
 * gives up by the clock, even if the reply is there and only waits to be read.
 */
class NewFlows {
  readonly #loop: Background;

  constructor(machine: Machine, target: string) {
    const one = `ping -n -q -c 1 -W 15 ${target} >/dev/null; echo $?`;
    this.#loop = new Background(inNs(machine.ns, 'sh', '-c', `while sleep 0.1; do ${one}; done`));
  }

  async stop(): Promise<{ tried: number; lost: number }> {
    // The last one may have been cut off.
    const codes = (await this.#loop.stop('SIGKILL')).filter((line) => /^\d+$/.test(line));
    return { tried: codes.length, lost: codes.filter((code) => code !== '0').length };
  }
}

describe('a live node, from Neutron’s agents to Viaduct’s and back', { timeout: 500_000 }, () => {
  let external: Resource;
  let network: Resource;
  let isolated: Resource;
  let router: Resource;
  let doomed: Resource;
  let behind: Machine;
  let floating: Machine;
  let client: Machine;
  let lonely: Machine;
  let floatingIp: string;
  let streams: PingStream[];
  let flows: NewFlows[];
  let untranslated: Capture;
  let atFirst: { devices: string[]; pids: Map<string, number>; proxies: number[]; rules: string[][] };
  const ports: Resource[] = [];
  const NAMES = ['iptables', 'ip6tables'] as const;

  const inRouter = (...argv: string[]): Promise<string> => output(...inNs(`qrouter-${router.id}`, ...argv));
  const ours = (): string[] => listNamespaces().filter((name) => /^q(router|dhcp)-/.test(name));
  /** Index and name of every device in every namespace of the agents. */
  const devices = async (): Promise<string[]> => {
    const all = await Promise.all(
      ours().map(async (ns) => {
        const links = await output('ip', '-n', ns, '-o', 'link');
        return [...links.matchAll(/^(\d+: [^@:]+)/gm)].map(([, link]) => `${ns} ${link}`);
      }),
    );
    return all.flat().sort();
  };
  const pid = (...path: string[]): number | undefined => {
    const found = readPidFile(join(cloud.node.statePath, ...path));
    return found !== undefined && readProcess(found) ? found : undefined;
  };
  const haproxy = (id: string): number | undefined => pid('external/pids', `${id}.pid.haproxy`);
  const daemonPids = (): Map<string, number> =>
    new Map(
      [network, isolated]
        .map(({ id }): [string, number] => [`dnsmasq ${id}`, pid('dhcp', id, 'pid') ?? 0])
        .concat([[`radvd ${router.id}`, pid('external/pids', `${router.id}.pid.radvd`) ?? 0]]),
    );
  const rules = (): Promise<string[][]> =>
    Promise.all(
      NAMES.map(async (name) =>
        (await inRouter(`${name}-save`))
          .split('\n')
          .filter((line) => line !== '' && !line.startsWith('#'))
          .map((line) => line.replace(/\[\d+:\d+\]/, '[0:0]'))
          .sort(),
      ),
    );
  const settled = () =>
    soon('Viaduct’s agents have done all they know of', () =>
      ROLES.every((role) => cloud.node.status(role)?.converged === true),
    );
  const alive = (since: number) =>
    soon('the server counts all agents as alive, started anew', async () => {
      const agents = await cloud.server.list('agents');
      const fresh = agents.filter(
        ({ alive: lives, agent_type, started_at }) =>
          lives && (agent_type === 'Linux bridge agent' || Date.parse(`${started_at}Z`) >= since - 1_000),
      );
      return fresh.length === 4;
    });
  const instanceId = (machine: Machine, id: string) =>
    soon(`metadata answers ${machine.ns}`, async () => {
      const { status, body } = await machine.curl('http://169.254.169.254/latest/meta-data/instance-id');
      return status === 200 && body === `instance ${id}`;
    });
  const renews = async (machine: Machine, port: Resource): Promise<void> => {
    const [fixed] = port.fixed_ips as { ip_address: string }[];
    expect(await soon('an address by DHCP', () => cloud.lease(machine))).toBe(fixed!.ip_address);
  };
  const boot = async (name: string, networkId: string): Promise<Machine> => {
    const port = await cloud.server.create('ports', {
      network_id: networkId,
      device_id: `a0000000-0000-4000-8000-00000000000${ports.length}`,
      device_owner: 'compute:nova',
      'binding:host_id': 'net-1',
    });
    ports.push(port);
    return await cloud.boot(name, port);
  };
  const subnet = (id: string, cidr: string, more = {}) =>
    cloud.server.create('subnets', { network_id: id, ip_version: 4, cidr, ...more });
  const routerOn = async (name: string, subnets: readonly Resource[]): Promise<Resource> => {
    const made = await cloud.server.create('routers', { name });
    for (const { id } of subnets)
      await cloud.server.request('PUT', `routers/${made.id}/add_router_interface`, { subnet_id: id });
    return made;
  };

  it('is built by Neutron’s agents', async () => {
    const since = Date.now();
    cloud.node.start('linuxbridge');
    neutron.start();
    await alive(since);
    external = await cloud.server.create('networks', {
      name: 'public',
      'router:external': true,
      'provider:network_type': 'flat',
      'provider:physical_network': 'ext',
    });
    await subnet(external.id, OUTSIDE.cidr, { gateway_ip: OUTSIDE.address, enable_dhcp: false });
    network = await cloud.server.create('networks', { name: 'private' });
    isolated = await cloud.server.create('networks', { name: 'isolated' });
    const slaac = { ip_version: 6, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };
    const four = await subnet(network.id, '10.9.0.0/24');
    const six = await subnet(network.id, '2001:db8:9::/64', slaac);
    await subnet(isolated.id, '10.8.0.0/24');
    router = await routerOn('r1', [four, six]);
    await cloud.server.update('routers', router.id, { external_gateway_info: { network_id: external.id } });
    const other = await cloud.server.create('networks', { name: 'other' });
    doomed = await routerOn('doomed', [await subnet(other.id, '10.7.0.0/24', { enable_dhcp: false })]);
    behind = await boot('behind', network.id);
    floating = await boot('floating', network.id);
    client = await boot('client', network.id);
    lonely = await boot('lonely', isolated.id);
    const { floating_ip_address } = await cloud.server.create('floatingips', {
      floating_network_id: external.id,
      port_id: ports[1]!.id,
    });
    floatingIp = String(floating_ip_address);
    for (const [i, machine] of [behind, floating, client, lonely].entries()) await renews(machine, ports[i]!);
    await soon('packets leave by SNAT', async () => (await behind.ping(OUTSIDE.address)).received === 3);
    await soon('the floating IP answers', async () => (await cloud.outside.ping(floatingIp)).received === 3);
    await soon('the doomed router is built', () => haproxy(doomed.id) !== undefined);
    await instanceId(client, String(ports[2]!.device_id));
    await instanceId(lonely, String(ports[3]!.device_id));
  });

  it('is seen as it is, with pings through SNAT and a floating IP that never end', async () => {
    await neutron.stop();
    // Nobody listens when the server says so.
    for (const { subnet_id } of await cloud.server
      .list('ports', `?device_id=${doomed.id}`)
      .then((found) => found.flatMap(({ fixed_ips }) => fixed_ips as { subnet_id: string }[])))
      await cloud.server.request('PUT', `routers/${doomed.id}/remove_router_interface`, { subnet_id });
    await cloud.server.remove('routers', doomed.id);
    atFirst = {
      devices: await devices(),
      pids: daemonPids(),
      proxies: [router, doomed, isolated].map(({ id }) => haproxy(id) ?? 0),
      rules: await rules(),
    };
    expect([...atFirst.pids.values(), ...atFirst.proxies]).not.toContain(0);
    expect(atFirst.rules[0]!.filter((line) => line.includes('neutron-l3-agent')).length).toBeGreaterThan(40);
    untranslated = await cloud.outside.capture('eth0', 'src net 10.9.0.0/24');
    streams = [behind.pingStream(OUTSIDE.address), cloud.outside.pingStream(floatingIp)];
    flows = [new NewFlows(behind, OUTSIDE.address), new NewFlows(cloud.outside, floatingIp)];
    await soon('they are answered', () => streams.every(({ replies }) => replies > 50));
  });

  it('is taken over: the same devices and processes, no iptables rule of Neutron’s, nothing of deleted routers', async () => {
    const since = Date.now();
    cloud.node.start(...ROLES);
    await alive(since);
    await settled();
    expect(await inRouter('nft', 'list', 'tables')).toBe('table inet viaduct\n');
    expect((await rules()).flat()).toEqual([]);
    await soon('the deleted router is gone', () => !listNamespaces().includes(`qrouter-${doomed.id}`));
    await soon('its haproxy, too', () => haproxy(doomed.id) === undefined);
    expect(daemonPids()).toEqual(atFirst.pids);
    expect(await devices()).toEqual(atFirst.devices.filter((line) => !line.includes(doomed.id)));
  });

  it('serves metadata and DHCP, and Neutron’s haproxies have ended', async () => {
    await instanceId(client, String(ports[2]!.device_id));
    await instanceId(lonely, String(ports[3]!.device_id));
    await soon('no haproxy is left', () => atFirst.proxies.every((found) => !readProcess(found)));
    await renews(client, ports[2]!);
    await renews(lonely, ports[3]!);
  });

  it('[O7] is found as it is by the next start: no kernel write, no fork', async () => {
    for (const role of ROLES) expect(await cloud.node.agent(role).stop(), role).toBe(0);
    const since = Date.now();
    cloud.node.start(...ROLES);
    await alive(since);
    await settled();
    for (const role of ['l3', 'dhcp'] as const)
      await soon(`the ${role} agent says what it did`, () => {
        const [line] =
          cloud.node
            .agent(role)
            .tail(200_000)
            .match(/settled after [^"]*/g)
            ?.slice(-1) ?? [];
        return line !== undefined && /: 0 kernel writes, 0 forks/.test(line);
      });
    expect(daemonPids()).toEqual(atFirst.pids);
  });

  it('is given back: Neutron’s iptables rules are what they were, nothing of ours is left', async () => {
    const common = join(cloud.directory, 'neutron.conf');
    const argv = program('cli', 'release', '--json', '--config-file', common);
    const { code, stdout, stderr } = await run(argv, { timeout: 60_000 });
    expect([code, stderr]).toEqual([0, '']);
    const { given } = JSON.parse(stdout) as { given: { kind: string; id: string; problems: string[] }[] };
    expect(given.flatMap(({ problems }) => problems)).toEqual([]);
    expect(new Set(given.map(({ id }) => id))).toEqual(new Set([router.id, network.id, isolated.id]));
    for (const role of ROLES)
      await soon(`the ${role} agent has ended`, () => !cloud.node.agent(role).running);
    expect(await inRouter('nft', 'list', 'tables')).not.toContain('viaduct');
    expect(await rules()).toEqual(atFirst.rules);
    expect(fs.existsSync(join(cloud.node.statePath, 'viaduct'))).toBe(false);
    expect(await devices()).toEqual(atFirst.devices.filter((line) => !line.includes(doomed.id)));
  });

  it('is Neutron’s again: same devices and rules, metadata and DHCP', async () => {
    const before = daemonPids();
    const since = Date.now();
    neutron.start();
    await alive(since);
    await soon('its haproxies are back', () =>
      [router, isolated].every(({ id }) => haproxy(id) !== undefined),
    );
    await soon('it has started dnsmasq anew, as it always does', () =>
      [network, isolated].every(
        ({ id }) => ![0, before.get(`dnsmasq ${id}`)].includes(pid('dhcp', id, 'pid') ?? 0),
      ),
    );
    await instanceId(client, String(ports[2]!.device_id));
    await instanceId(lonely, String(ports[3]!.device_id));
    await renews(client, ports[2]!);
    await renews(lonely, ports[3]!);
    expect(await devices()).toEqual(atFirst.devices.filter((line) => !line.includes(doomed.id)));
    expect(await rules()).toEqual(atFirst.rules);
  });

  it('has lost no ping and let none out untranslated, of flows old and new', async () => {
    for (const stream of streams) {
      const { sent, lost } = await stream.stop();
      expect(lost).toEqual([]);
      expect(sent).toBeGreaterThan(1_000);
    }
    for (const flow of flows) {
      const { tried, lost } = await flow.stop();
      expect(lost).toBe(0);
      expect(tried).toBeGreaterThan(20);
    }
    expect(await untranslated.stop()).toEqual([]);
  });
});
