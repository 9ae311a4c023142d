import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { ALL_OPTIONS, lease } from '../e2e/dhcp-client.ts';
import type { Machine } from '../e2e/packets.ts';
import { output } from '../e2e/shell.ts';
import { Cloud } from './cloud/cloud.ts';
import type { NetworkNode } from './cloud/node.ts';
import type { Resource } from './cloud/server.ts';
import { addressOf, dnsmasqIn, fixedIps, short, Tenant, type TenantNetwork } from './cloud/tenant.ts';
import { type Party, party } from './rabbit/parties.ts';

const DOMAIN = 'cloud.example';
let cloud: Cloud;
let node: NetworkNode;
let tenant: Tenant;
let forger: Party;

const ns = (network: Resource): string => `qdhcp-${network.id}`;
const confs = (network: Resource, file: string): string =>
  fs.readFileSync(join(node.statePath, 'dhcp', network.id, file), 'utf8');
const pidOf = async (network: Resource): Promise<number> => (await dnsmasqIn(ns(network)))!.pid;
const log = (): string => fs.readFileSync(node.agent('dhcp').log, 'utf8');

beforeAll(async () => {
  cloud = await Cloud.start({
    server: {
      DEFAULT: { dns_domain: `${DOMAIN}.`, agent_down_time: 20 },
      ml2: { extension_drivers: 'port_security,dns' },
    },
    node: { common: { DEFAULT: { dns_domain: DOMAIN } } },
  });
  node = cloud.node;
  tenant = new Tenant(cloud);
  forger = party(cloud.broker.url());
  node.start('linuxbridge', 'dhcp', 'metadata');
  await tenant.alive('DHCP agent');
  await tenant.alive('Linux bridge agent');
});

afterAll(async () => {
  await forger?.rpc.close();
  await cloud?.stop();
});

describe('a network made over REST', () => {
  let net: TenantNetwork;
  let vm: Machine;
  let port: Resource;

  beforeAll(async () => {
    net = await tenant.network(
      'a',
      [
        {
          cidr: '10.1.0.0/24',
          dns_nameservers: ['192.0.2.53', '192.0.2.54'],
          host_routes: [{ destination: '10.9.0.0/16', nexthop: '10.1.0.9' }],
        },
        { cidr: '10.2.0.0/24', gateway_ip: null },
      ],
      { mtu: 1400 },
    );
    const [first] = net.subnets;
    ({ vm, port } = await tenant.machine('a1', net.network, {
      fixed_ips: [{ subnet_id: first!.id, ip_address: '10.1.0.11' }],
      dns_name: 'first',
    }));
  });

  it('[J1][J3] has a namespace, a dnsmasq that names it, and a plugged DHCP port that becomes ACTIVE', async () => {
    const daemon = await tenant.soon('dnsmasq runs', () => dnsmasqIn(ns(net.network)));
    expect(daemon.argv.join(' ')).toContain(net.network.id);
    const [dhcp] = await tenant.dhcpPorts(net.network);
    const shown = await output(
      'ip',
      '-n',
      ns(net.network),
      '-4',
      '-br',
      'addr',
      'show',
      `ns-${short(dhcp!.id)}`,
    );
    for (const { ip_address } of fixedIps(dhcp!)) expect(shown).toContain(`${ip_address}/24`);
    await tenant.soon('the DHCP port is ACTIVE', () => tenant.isActive(dhcp!));
    await tenant.soon('the VM port is ACTIVE', () => tenant.isActive(port));
  });

  it('[J2][J4][K1][K2][K14] gives a port its address, a day, gateway, DNS servers and domain', async () => {
    const { ack } = await lease(vm);
    expect(ack?.address).toBe('10.1.0.11');
    expect(ack?.options.get(51)).toBe('86400');
    expect(ack?.options.get(3)).toBe('10.1.0.1');
    expect(ack?.options.get(6)).toBe('192.0.2.53,192.0.2.54');
    expect(ack?.options.get(15)).toBe(`"${DOMAIN}"`);
  });

  it('[J6][K1] serves ports of its second subnet, without a gateway', async () => {
    const { vm: other } = await tenant.machine('a2', net.network, {
      fixed_ips: [{ subnet_id: net.subnets[1]!.id, ip_address: '10.2.0.12' }],
    });
    await tenant.soon('dnsmasq knows it', () => confs(net.network, 'host').includes('10.2.0.12'));
    const { ack } = await lease(other);
    expect(ack?.address).toBe('10.2.0.12');
    expect(ack?.options.has(3)).toBe(false);
    await cloud.destroy(other);
  });

  it('[K5][K6][K7][N2] tells routes as 121 and 249; metadata by way of the DHCP port while there is no router', async () => {
    const [dhcp] = await tenant.dhcpPorts(net.network);
    const own = fixedIps(dhcp!).find(({ ip_address }) => ip_address.startsWith('10.1.'))!.ip_address;
    const { ack } = await lease(vm);
    expect(ack?.options.get(121)?.split(/,(?=\()/)).toEqual([
      '(10.2.0.0/24:0.0.0.0)',
      '(10.9.0.0/16:10.1.0.9)',
      `(169.254.169.254/32:${own})`,
      '(default:10.1.0.1)',
    ]);
    expect(ack?.options.get(249)).toBe(ack?.options.get(121));
  });

  it('[J16][K15][K16] answers DNS: the name of the port, generated names, and the way back', async () => {
    await cloud.lease(vm);
    const [dhcp] = await tenant.dhcpPorts(net.network);
    const server = fixedIps(dhcp!).find(({ ip_address }) => ip_address.startsWith('10.1.'))!.ip_address;
    const dig = async (...args: string[]) =>
      (await vm.run('dig', '+short', '+time=2', '+tries=2', `@${server}`, ...args)).stdout.trim();
    expect(await dig(`first.${DOMAIN}`)).toBe('10.1.0.11');
    expect(await dig('-x', '10.1.0.11')).toBe(`first.${DOMAIN}.`);
    const { ip_address } = fixedIps(dhcp!)[0]!;
    const other = await tenant.port(net.network);
    await tenant.soon('dnsmasq knows it', () => confs(net.network, 'addn_hosts').includes(addressOf(other)));
    const name = `host-${addressOf(other).replaceAll('.', '-')}.${DOMAIN}`;
    expect(await dig(name)).toBe(addressOf(other));
    expect(ip_address).not.toBe(addressOf(other));
    const { argv } = (await dnsmasqIn(ns(net.network)))!;
    expect(argv).toEqual(expect.arrayContaining(['--bind-dynamic', '--local-service']));
    await cloud.server.remove('ports', other.id);
  });

  it('[J19][J20] has a default route and the MTU in its namespace', async () => {
    expect(await output('ip', '-n', ns(net.network), 'route', 'show', 'default')).toContain(
      'default via 10.1.0.1',
    );
    expect(await output('ip', '-n', ns(net.network), 'link')).toMatch(/ns-\S+ .* mtu 1400 /);
    const request = ALL_OPTIONS.filter((option) => option !== 'interface-mtu');
    expect((await lease(vm, { request })).ack?.options.get(26)).toBe('1400');
  });

  it('[J9][J10] serves a new port at once by the same dnsmasq, and its address to the next one', async () => {
    const pid = await pidOf(net.network);
    const fixed_ips = [{ subnet_id: net.subnets[0]!.id, ip_address: '10.1.0.31' }];
    for (const name of ['a3', 'a4']) {
      const { vm: other, port: theirs } = await tenant.machine(name, net.network, { fixed_ips });
      const mac = String(theirs.mac_address);
      await tenant.soon('dnsmasq knows it', () => confs(net.network, 'host').includes(mac));
      expect((await lease(other)).ack?.address).toBe('10.1.0.31');
      await cloud.destroy(other);
      await cloud.server.remove('ports', theirs.id);
      await tenant.soon('its lease is released', () => !confs(net.network, 'leases').includes(mac));
    }
    expect(await pidOf(net.network)).toBe(pid);
  });

  it('[K10][K12][K13] tells extra options of a port by name, number and tag', async () => {
    await cloud.server.update('ports', port.id, {
      extra_dhcp_opts: [
        { opt_name: 'tftp-server', opt_value: '192.0.2.66' },
        { opt_name: '67', opt_value: 'boot.img' },
        { opt_name: 'tag:ipxe,67', opt_value: 'ipxe.cfg' },
      ],
    });
    await tenant.soon('the opts file has them', () => confs(net.network, 'opts').includes('ipxe.cfg'));
    expect(confs(net.network, 'opts').split('\n')).toEqual(
      expect.arrayContaining([
        `tag:port-${port.id},option:tftp-server,192.0.2.66`,
        `tag:port-${port.id},67,boot.img`,
        `tag:port-${port.id},tag:ipxe,67,ipxe.cfg`,
      ]),
    );
    const told = await tenant.soon('the client is told', async () => {
      const { ack } = await lease(vm, { request: ['tftp-server-name', 'bootfile-name'], timeout: 3 });
      return ack?.options.get(66) !== undefined && ack;
    });
    expect(told.options.get(66)).toContain('192.0.2.66');
    await cloud.server.update('ports', port.id, {
      extra_dhcp_opts: [
        { opt_name: 'tftp-server', opt_value: null },
        { opt_name: '67', opt_value: null },
        { opt_name: 'tag:ipxe,67', opt_value: null },
        { opt_name: 'client-id', opt_value: '01:02:03' },
      ],
    });
    await tenant.soon('the host file has the client id', () =>
      confs(net.network, 'host').includes('id:01:02:03'),
    );
    await cloud.server.update('ports', port.id, {
      extra_dhcp_opts: [{ opt_name: 'client-id', opt_value: null }],
    });
    await tenant.soon('and no more', () => !confs(net.network, 'host').includes('id:'));
  });

  it('[J11] keeps addresses over a restart: a client’s request is granted', async () => {
    const memory = join(cloud.directory, 'memory');
    fs.mkdirSync(memory);
    expect((await lease(vm, { memory })).ack?.address).toBe('10.1.0.11');
    const pid = await pidOf(net.network);
    await tenant.restart(node.agent('dhcp'), () => output('kill', '-9', String(pid)));
    await tenant.soon('dnsmasq is back', async () => (await dnsmasqIn(ns(net.network)))?.pid);
    const { packets, ack } = await lease(vm, { memory });
    expect(new Set(packets.map(({ type }) => type))).toEqual(new Set(['Request', 'ACK']));
    expect(ack?.address).toBe('10.1.0.11');
  });

  it('[J21] reports ports ready: until dnsmasq knows one it is not ACTIVE', async () => {
    node.agent('dhcp').signal('SIGSTOP');
    const { vm: other, port: waiting } = await tenant.machine('a5', net.network);
    // The L2 agent has done its part of another port that needs no DHCP.
    const plain = await tenant.machine('a6', (await tenant.network('bare', [])).network, {});
    await tenant.soon('the L2 agent is through', () => tenant.isActive(plain.port));
    expect(await tenant.isActive(waiting)).toBe(false);
    node.agent('dhcp').signal('SIGCONT');
    await tenant.soon('it is ACTIVE', () => tenant.isActive(waiting));
    expect(confs(net.network, 'host')).toContain(addressOf(waiting));
    await cloud.destroy(other);
    await cloud.destroy(plain.vm);
    await cloud.server.remove('ports', waiting.id);
  });

  it('[J23] removes devices that are not its own from its namespace', async () => {
    const stale = 'ns-0f0e0d0c-11';
    await output(
      'ip',
      '-n',
      ns(net.network),
      'link',
      'add',
      stale,
      'type',
      'veth',
      'peer',
      'name',
      'vdt-peer',
    );
    await cloud.server.update('subnets', net.subnets[0]!.id, { dns_nameservers: ['192.0.2.55'] });
    await tenant.soon(
      'it is gone',
      async () => !(await output('ip', '-n', ns(net.network), 'link')).includes(stale),
    );
  });

  it('[M7] makes its own port again when somebody deletes it', async () => {
    const [before] = await tenant.dhcpPorts(net.network);
    await cloud.server.remove('ports', before!.id);
    const after = await tenant.soon('a new port', async () => (await tenant.dhcpPorts(net.network))[0]);
    expect(after.id).not.toBe(before!.id);
    await tenant.soon('its device', async () =>
      (await output('ip', '-n', ns(net.network), 'link')).includes(`ns-${short(after.id)}`),
    );
    await tenant.soon(
      'service is back',
      async () => (await lease(vm, { timeout: 2 })).ack?.address === '10.1.0.11',
    );
  });

  it('[M8] follows its own port to another address, with a new dnsmasq', async () => {
    const [dhcp] = await tenant.dhcpPorts(net.network);
    const pid = await pidOf(net.network);
    const fixed_ips = fixedIps(dhcp!).map((fixed) =>
      fixed.subnet_id === net.subnets[0]!.id ? { ...fixed, ip_address: '10.1.0.77' } : fixed,
    );
    await cloud.server.update('ports', dhcp!.id, { fixed_ips });
    await tenant.soon('the device has it', async () =>
      (await output('ip', '-n', ns(net.network), '-4', 'addr')).includes('10.1.0.77/24'),
    );
    await tenant.soon('another dnsmasq', async () => {
      const now = (await dnsmasqIn(ns(net.network)))?.pid;
      return now !== undefined && now !== pid;
    });
    const { ack } = await tenant.soon('it serves', async () => {
      const exchange = await lease(vm, { timeout: 2 });
      return exchange.ack !== undefined && exchange;
    });
    expect(ack?.options.get(54)).toBe('10.1.0.77');
  });

  it('[M5] passes over what is older than what it knows, and over ports that were deleted', async () => {
    const tell = (method: string, payload: unknown) =>
      forger.rpc.cast({ topic: 'dhcp_agent', server: 'net-1', method, version: '1.0', args: { payload } });
    const gone = await tenant.port(net.network);
    await tenant.soon('it is served', () => confs(net.network, 'host').includes(addressOf(gone)));
    await cloud.server.remove('ports', gone.id);
    await tenant.soon('it is not any more', () => !confs(net.network, 'host').includes(addressOf(gone)));
    const current = await cloud.server.show('ports', port.id);
    const old = { ...current, revision_number: Number(current.revision_number) - 1 };
    const fixed_ips = [{ subnet_id: net.subnets[0]!.id, ip_address: '10.1.0.99' }];
    await tell('port_update_end', { port: { ...old, fixed_ips } });
    await tell('port_update_end', { port: { ...gone, revision_number: 1_000 } });
    await tell('port_update_end', {
      port: { ...current, revision_number: Number(current.revision_number) + 1, fixed_ips },
    });
    await tenant.soon('the newer one counts', () => confs(net.network, 'host').includes('10.1.0.99'));
    expect(confs(net.network, 'host')).not.toContain(addressOf(gone));
    expect(log()).toContain(`passed over: revision ${old.revision_number} of port ${port.id}`);
    expect(log()).toContain(`passed over: port ${gone.id} was deleted`);
  });

  it('[M6] asks for a network when a new port has the address of one it knows', async () => {
    const current = await cloud.server.show('ports', port.id);
    const twin = { ...current, id: 'f0000000-0000-4000-8000-00000000000f', mac_address: 'fa:16:3e:99:99:99' };
    const fixed_ips = [{ subnet_id: net.subnets[0]!.id, ip_address: '10.1.0.99' }];
    await forger.rpc.cast({
      topic: 'dhcp_agent',
      server: 'net-1',
      method: 'port_create_end',
      version: '1.0',
      args: { payload: { port: { ...twin, fixed_ips } } },
    });
    await tenant.soon('it says so', () =>
      log().includes(`resync: port ${twin.id} has an address of port ${port.id}`),
    );
    // What was forged before is overcome by the server's answer.
    await tenant.soon('the truth is back', () => confs(net.network, 'host').includes('10.1.0.11'));
    expect(confs(net.network, 'host')).not.toContain('fa:16:3e:99:99:99');
  });

  it('[M11] starts a dnsmasq again that was killed', async () => {
    const pid = await pidOf(net.network);
    await output('kill', '-9', String(pid));
    await tenant.soon('another one', async () => {
      const now = (await dnsmasqIn(ns(net.network)))?.pid;
      return now !== undefined && now !== pid;
    });
    expect((await lease(vm)).ack?.address).toBe('10.1.0.11');
  });

  it('[J7] stops serving a subnet without DHCP, and goes with the last one', async () => {
    const [first, second] = net.subnets;
    await cloud.server.update('subnets', first!.id, { enable_dhcp: false });
    await tenant.soon('no offer', async () => !(await lease(vm, { timeout: 2 })).ack);
    await cloud.server.update('subnets', second!.id, { enable_dhcp: false });
    await tenant.soon('the namespace is gone', () => !listNamespaces().includes(ns(net.network)));
    await tenant.soon('its port is released', async () => (await tenant.dhcpPorts(net.network)).length === 0);
    for (const subnet of net.subnets) await cloud.server.update('subnets', subnet.id, { enable_dhcp: true });
    await tenant.soon('offers again', async () => (await lease(vm, { timeout: 2 })).ack);
  });

  it('[J8] is not served while it is down', async () => {
    await cloud.server.update('networks', net.network.id, { admin_state_up: false });
    await tenant.soon('the namespace is gone', () => !listNamespaces().includes(ns(net.network)));
    await cloud.server.update('networks', net.network.id, { admin_state_up: true });
    await tenant.soon('offers again', async () => (await lease(vm, { timeout: 2 })).ack);
  });

  it('[M1] is gone after a restart if it was deleted meanwhile', async () => {
    const other = await tenant.network('doomed', ['10.44.0.0/24']);
    await tenant.soon('it is served', () => dnsmasqIn(ns(other.network)));
    await tenant.restart(node.agent('dhcp'), async () => {
      for (const dhcp of await tenant.dhcpPorts(other.network)) await cloud.server.remove('ports', dhcp.id);
      await cloud.server.remove('networks', other.network.id);
    });
    await tenant.soon('it is gone', () => !listNamespaces().includes(ns(other.network)));
    expect(listNamespaces()).toContain(ns(net.network));
  });

  it('[M10] stays calm when a subnet has no address left for it', async () => {
    const { network } = await tenant.network('full', []);
    // Without DHCP the only address goes to a port; then DHCP is switched on.
    const subnet = await tenant.subnet(network, { cidr: '10.45.0.0/30', enable_dhcp: false });
    const taken = await tenant.port(network);
    await cloud.server.update('subnets', subnet.id, { enable_dhcp: true });
    await tenant.soon('it says so', () => log().includes('no address is left'));
    const said = () => log().split('no address is left').length;
    const before = said();
    await cloud.server.update('networks', network.id, { name: 'still-full' });
    const { network: next } = await tenant.network('next', ['10.46.0.0/24']);
    await tenant.soon('others are served', () => dnsmasqIn(ns(next)));
    expect(said()).toBeLessThanOrEqual(before + 1);
    await cloud.server.remove('ports', taken.id);
    await tenant.soon('it is served once there is room', () => dnsmasqIn(ns(network)));
  });
});

describe('an agent told to end with its daemons', () => {
  it('[M12] exits when a dnsmasq dies', async () => {
    const { network } = await tenant.network('mortal', ['10.47.0.0/24']);
    await tenant.soon('it is served', () => dnsmasqIn(ns(network)));
    const [, own] = node.configFiles('dhcp');
    const text = fs.readFileSync(own!, 'utf8');
    await tenant.restart(node.agent('dhcp'), async () =>
      fs.writeFileSync(own!, `${text}\n[AGENT]\ncheck_child_processes_action = exit\n`),
    );
    await tenant.settled(node, 'dhcp');
    await output('kill', '-9', String(await pidOf(network)));
    await tenant.soon('the agent has ended', () => !node.agent('dhcp').running);
    expect(log()).toContain('this agent ends, too');
    fs.writeFileSync(own!, text);
    node.agent('dhcp').start();
    await tenant.soon('it is served again', () => dnsmasqIn(ns(network)));
  });
});

describe('two agents', () => {
  let second: NetworkNode;
  let net: TenantNetwork;
  let vm: Machine;
  let port: Resource;
  const there = () => `${ns(net.network)}.net-2`;

  beforeAll(async () => {
    second = cloud.addNode('net-2', {
      common: { DEFAULT: { dns_domain: DOMAIN } },
      agents: { dhcp: { DEFAULT: { dnsmasq_base_log_dir: '' } } },
    });
    second.start('linuxbridge', 'dhcp');
    await tenant.alive('DHCP agent', 'net-2');
    net = await tenant.network('both', ['10.50.0.0/24']);
    ({ vm, port } = await tenant.machine('b1', net.network));
    for (const host of ['net-1', 'net-2']) {
      const { id } = await tenant.agent('DHCP agent', host);
      await cloud.server
        .request('POST', `agents/${id}/dhcp-networks`, { network_id: net.network.id })
        .catch(() => undefined);
    }
    await tenant.soon(
      'both serve',
      async () => (await dnsmasqIn(ns(net.network))) && (await dnsmasqIn(there())),
    );
  });

  it('[J17][K3] both offer the same address, and both are DNS servers', async () => {
    const ports = await tenant.soon('two DHCP ports, both wired', async () => {
      const all = await tenant.dhcpPorts(net.network);
      const active = await Promise.all(all.map((one) => tenant.isActive(one)));
      return all.length === 2 && active.every(Boolean) && all;
    });
    const { packets } = await tenant.soon('two offers', async () => {
      const exchange = await lease(vm, { timeout: 4 });
      const servers = new Set(
        exchange.packets.filter(({ type }) => type === 'Offer').map(({ options }) => options.get(54)),
      );
      return servers.size === 2 && exchange;
    });
    const offers = packets.filter(({ type }) => type === 'Offer');
    expect(new Set(offers.map(({ address }) => address))).toEqual(new Set([addressOf(port)]));
    expect(new Set(offers.map(({ options }) => options.get(54)))).toEqual(new Set(ports.map(addressOf)));
    for (const { options } of offers)
      expect(new Set(options.get(6)?.split(','))).toEqual(new Set(ports.map(addressOf)));
  });

  it('[J18] an agent that takes a network over takes its address over', async () => {
    const { network } = await tenant.network('moving', ['10.51.0.0/24']);
    const before = await tenant.soon('one agent serves it', async () => (await tenant.dhcpPorts(network))[0]);
    const from = String(before['binding:host_id']);
    const to = from === 'net-1' ? 'net-2' : 'net-1';
    const namespaceOn = (host: string) => (host === 'net-1' ? ns(network) : `${ns(network)}.net-2`);
    await tenant.soon('with a dnsmasq', () => dnsmasqIn(namespaceOn(from)));
    await cloud.server.remove(
      `agents/${(await tenant.agent('DHCP agent', from)).id}/dhcp-networks`,
      network.id,
    );
    await tenant.soon('it is gone there', () => !listNamespaces().includes(namespaceOn(from)));
    const { id } = await tenant.agent('DHCP agent', to);
    await cloud.server.request('POST', `agents/${id}/dhcp-networks`, { network_id: network.id });
    await tenant.soon('the other serves it', () => dnsmasqIn(namespaceOn(to)));
    const after = await tenant.dhcpPorts(network);
    expect(after.map((port) => [port.id, addressOf(port), port['binding:host_id']])).toEqual([
      [before.id, addressOf(before), to],
    ]);
    expect(await output('ip', '-n', namespaceOn(to), '-4', 'addr')).toContain(`${addressOf(before)}/24`);
  });
});
