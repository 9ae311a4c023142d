import fs from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { Machine, type Server } from '../e2e/packets.ts';
import { Background, inNs, output, pause } from '../e2e/shell.ts';
import { Cloud, OUTSIDE } from './cloud/cloud.ts';
import type { NetworkNode } from './cloud/node.ts';
import type { Resource } from './cloud/server.ts';
import { addressOf, short, Tenant, type TenantNetwork } from './cloud/tenant.ts';

const DOWN_TIME = 30;
let cloud: Cloud;
let node: NetworkNode;
let tenant: Tenant;
let outside: Machine;
let external: TenantNetwork;
let net: TenantNetwork;
let router: Resource;
let one: { vm: Machine; port: Resource };
let two: { vm: Machine; port: Resource };
let web: Server;

const ns = (id = router.id): string => `qrouter-${id}`;
const inside = (id = router.id): Machine => new Machine(ns(id));
const log = (): string => fs.readFileSync(node.agent('l3').log, 'utf8');

/** A machine with the address of its port and a default route, without DHCP. */
async function machine(name: string, network: Resource, subnet: Resource, given = {}) {
  const made = await tenant.machine(name, network, { fixed_ips: [{ subnet_id: subnet.id }], ...given });
  await made.vm.sh(`ip addr add ${addressOf(made.port)}/24 dev eth0`);
  if (subnet.gateway_ip) await made.vm.sh(`ip route add default via ${String(subnet.gateway_ip)}`);
  return made;
}

const routerPorts = (id: string, owner: string): Promise<Resource[]> =>
  cloud.server.list('ports', `?device_id=${id}&device_owner=network:router_${owner}`);
const interfaceOf = async (id: string, subnet: Resource): Promise<Resource> =>
  (await routerPorts(id, 'interface')).find((port) =>
    (port.fixed_ips as { subnet_id: string }[]).some(({ subnet_id }) => subnet_id === subnet.id),
  )!;
const gatewayOf = async (id = router.id) => {
  const [port] = await routerPorts(id, 'gateway');
  return { device: `qg-${short(port!.id)}`, address: addressOf(port!), mac: String(port!.mac_address) };
};
const plug = (id: string, subnet: Resource) =>
  cloud.server.request('PUT', `routers/${id}/add_router_interface`, { subnet_id: subnet.id });
const unplug = (id: string, subnet: Resource) =>
  cloud.server.request('PUT', `routers/${id}/remove_router_interface`, { subnet_id: subnet.id });
const setGateway = (id: string, info: object) =>
  cloud.server.update('routers', id, { external_gateway_info: info });
const reaches = (from: Machine, address: string) =>
  tenant.soon(
    `${from.ns} reaches ${address}`,
    async () => (await from.ping(address, { count: 1 })).received > 0,
  );
const silent = async (from: Machine, address: string) =>
  (await from.ping(address, { count: 1 })).received === 0;
const gone = (namespace: string) =>
  tenant.soon(`${namespace} is gone`, () => !listNamespaces().includes(namespace));

beforeAll(async () => {
  cloud = await Cloud.start({
    server: {
      DEFAULT: {
        agent_down_time: DOWN_TIME,
        allow_automatic_l3agent_failover: true,
        router_scheduler_driver: 'neutron.scheduler.l3_agent_scheduler.AZLeastRoutersScheduler',
      },
    },
    node: {
      common: { AGENT: { log_agent_heartbeats: true } },
      agents: { l3: { AGENT: { extensions: 'port_forwarding' } } },
    },
  });
  node = cloud.node;
  outside = cloud.outside;
  tenant = new Tenant(cloud);
  node.start('linuxbridge', 'l3');
  await tenant.alive('Linux bridge agent');
  await tenant.alive('L3 agent');
  external = await tenant.external();
  net = await tenant.network(
    'inside',
    [
      { cidr: '10.1.0.0/24', enable_dhcp: false },
      { cidr: '10.2.0.0/24', enable_dhcp: false },
    ],
    { mtu: 1400 },
  );
  const other = await tenant.network('other', [{ cidr: '10.3.0.0/24', enable_dhcp: false }]);
  router = await cloud.server.create('routers', { name: 'r1' });
  await plug(router.id, net.subnets[0]!);
  await plug(router.id, other.subnets[0]!);
  await setGateway(router.id, { network_id: external.network.id });
  one = await machine('vm1', net.network, net.subnets[0]!);
  two = await machine('vm2', other.network, other.subnets[0]!);
  web = await outside.answer('0.0.0.0', 8080);
  await reaches(one.vm, OUTSIDE.address);
  await reaches(two.vm, OUTSIDE.address);
});

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await web?.stop();
  await cloud?.stop();
});

describe('a router made over REST', () => {
  it('[B1][B2][B3] has a namespace that forwards, with Neutron’s settings', async () => {
    const names = [
      'net.ipv4.ip_forward',
      'net.ipv4.conf.all.arp_ignore',
      'net.ipv4.conf.all.arp_announce',
      'net.netfilter.nf_conntrack_tcp_be_liberal',
    ];
    expect((await inside().sh(`sysctl -n ${names.join(' ')}`)).trim().split('\n')).toEqual([
      '1',
      '1',
      '2',
      '1',
    ]);
    expect((await inside().ping('127.0.0.1', { count: 1 })).received).toBe(1);
  });

  it('[B4][B6][B10][O4][Q2] has its interface, MTU and default route, on devices the Linux bridge agent has plugged', async () => {
    const port = await interfaceOf(router.id, net.subnets[0]!);
    const device = `qr-${short(port.id)}`;
    expect(await inside().sh(`ip -br -4 addr show ${device}`)).toContain('10.1.0.1/24');
    expect(await inside().sh(`ip link show ${device}`)).toContain('mtu 1400 ');
    expect(await output('ip', 'link', 'show', `tap${short(port.id)}`)).toContain(
      `master brq${short(net.network.id)}`,
    );
    expect((await one.vm.ping('10.1.0.1')).received).toBe(3);
    const gateway = await gatewayOf();
    expect(await inside().sh('ip route show default')).toContain(
      `via ${OUTSIDE.address} dev ${gateway.device}`,
    );
    await tenant.soon('its port is ACTIVE', () => tenant.isActive(port));
  });

  it('[B13][B15][B16][B18] translates what goes outside to the gateway address, and nothing between networks', async () => {
    const { address } = await gatewayOf();
    expect((await one.vm.asks(OUTSIDE.address, 8080))?.peer).toBe(address);
    const server = await two.vm.answer('0.0.0.0', 8081);
    expect((await one.vm.asks(addressOf(two.port), 8081))?.peer).toBe(addressOf(one.port));
    await server.stop();
    const rules = await inside().sh('nft list ruleset');
    expect(rules).toMatch(new RegExp(`snat ip to ${address.replaceAll('.', '\\.')} .*fully-random`));
    expect(rules).toMatch(/0x0*2\b/);
  });

  it('[B14] leaves addresses alone without SNAT', async () => {
    await setGateway(router.id, { network_id: external.network.id, enable_snat: false });
    const { address } = await gatewayOf();
    await outside.sh(`ip route replace 10.1.0.0/24 via ${address}`);
    await tenant.soon(
      'the VM is seen by its own address',
      async () => (await one.vm.asks(OUTSIDE.address, 8080))?.peer === addressOf(one.port),
    );
    await setGateway(router.id, { network_id: external.network.id, enable_snat: true });
    await outside.sh('ip route del 10.1.0.0/24');
    await tenant.soon(
      'and by the gateway again',
      async () => (await one.vm.asks(OUTSIDE.address, 8080))?.peer === address,
    );
  });

  it('[B7] has no device for a port that is down or removed', async () => {
    await plug(router.id, net.subnets[1]!);
    const port = await interfaceOf(router.id, net.subnets[1]!);
    const has = async () => (await inside().sh('ip -br link')).includes(`qr-${short(port.id)}`);
    await tenant.soon('it is there', has);
    // The server tells an agent of a port's state with the next change of its router.
    const set = async (admin_state_up: boolean) => {
      await cloud.server.update('ports', port.id, { admin_state_up });
      await cloud.server.update('routers', router.id, { name: `port-${admin_state_up}` });
    };
    await set(false);
    await tenant.soon('it is gone', async () => !(await has()));
    await set(true);
    await tenant.soon('it is back', has);
    await unplug(router.id, net.subnets[1]!);
    await tenant.soon('it is gone', async () => !(await has()));
  });

  it('[B8][O10] loses stale devices and keeps what others put into it', async () => {
    await inside().sh('nft add table ip operator');
    await inside().sh('ip link add qr-12345678-9a type veth peer name operator0');
    await cloud.server.update('routers', router.id, {
      routes: [{ destination: '192.168.9.0/24', nexthop: '10.1.0.9' }],
    });
    await tenant.soon('it is gone', async () => !(await inside().sh('ip -br link')).includes('qr-12345678'));
    expect(await inside().sh('nft list tables')).toContain('operator');
    await inside().sh('nft delete table ip operator');
    await cloud.server.update('routers', router.id, { routes: [] });
  });

  it('[B23] is not interrupted by a new name', async () => {
    const stream = one.vm.pingStream(OUTSIDE.address);
    await cloud.server.update('routers', router.id, { name: 'renamed' });
    const before = stream.replies;
    await tenant.soon('pings go on', () => stream.replies > before + 100);
    expect((await stream.stop()).lost).toEqual([]);
  });

  it('[D6][D7][D8][D9] has its extra routes, also shared and also beside one to nowhere', async () => {
    const routes = (...list: [destination: string, nexthop: string][]) =>
      cloud.server.update('routers', router.id, {
        routes: list.map(([destination, nexthop]) => ({ destination, nexthop })),
      });
    const shown = (destination: string) => inside().sh(`ip route show ${destination}`);
    const hop = addressOf(one.port);
    await one.vm.sh('ip addr add 192.168.1.1/32 dev lo');
    await routes(['192.168.1.0/24', hop]);
    await reaches(two.vm, '192.168.1.1');
    await routes(['192.168.1.0/24', hop], ['192.168.2.0/24', hop], ['192.168.2.0/24', '10.1.0.99']);
    await tenant.soon('two hops', async () => (await shown('192.168.2.0/24')).split('nexthop').length === 3);
    await routes(['192.168.1.0/24', hop], ['192.168.2.0/24', hop]);
    await tenant.soon('one hop', async () => /^192\.168\.2\.0\/24 via /.test(await shown('192.168.2.0/24')));
    await routes(['192.168.1.0/24', hop]);
    await tenant.soon('it is gone', async () => (await shown('192.168.2.0/24')) === '');
    expect((await two.vm.ping('192.168.1.1')).received).toBe(3);
    await routes();
    await tenant.soon('all are gone', async () => (await shown('192.168.1.0/24')) === '');
  });

  it('[B19] takes address, route and connections of a gateway along when it changes or goes', async () => {
    const before = await gatewayOf();
    const connections = async (ip: string) => (await inside().run('conntrack', '-L', '-q', ip)).stdout;
    await one.vm.ping(OUTSIDE.address, { count: 1 });
    expect(await connections(before.address)).not.toBe('');
    const fixed = { subnet_id: external.subnets[0]!.id, ip_address: '203.0.113.99' };
    await setGateway(router.id, { network_id: external.network.id, external_fixed_ips: [fixed] });
    await tenant.soon(
      'SNAT uses it',
      async () => (await one.vm.asks(OUTSIDE.address, 8080))?.peer === '203.0.113.99',
    );
    expect(await inside().sh(`ip -br -4 addr show ${before.device}`)).not.toContain(`${before.address}/`);
    await tenant.soon('connections are gone', async () => (await connections(before.address)) === '');
    await setGateway(router.id, {});
    await tenant.soon('the device is gone', async () => !(await inside().sh('ip -br link')).includes('qg-'));
    expect(await inside().sh('ip route show default')).toBe('');
    await setGateway(router.id, { network_id: external.network.id });
    await reaches(one.vm, OUTSIDE.address);
  });

  it('[B21] has no namespace while it is down', async () => {
    await cloud.server.update('routers', router.id, { admin_state_up: false });
    await gone(ns());
    await cloud.server.update('routers', router.id, { admin_state_up: true });
    await reaches(one.vm, OUTSIDE.address);
  });
});

describe('floating IPs made over REST', () => {
  let fip: Resource;
  let address = '';

  it('[C1][C2][C3][B9][C4] lead to their port both ways, as /32, announced, and ACTIVE', async () => {
    const { device, mac } = await gatewayOf();
    const capture = await outside.capture('eth0', `arp and ether src ${mac}`);
    fip = await cloud.server.create('floatingips', {
      floating_network_id: external.network.id,
      port_id: one.port.id,
    });
    address = String(fip.floating_ip_address);
    await reaches(outside, address);
    expect((await one.vm.asks(OUTSIDE.address, 8080))?.peer).toBe(address);
    expect(await inside().sh(`ip -br -4 addr show ${device}`)).toContain(`${address}/32`);
    const announced = () => capture.lines.filter((line) => line.includes(address));
    await tenant.soon('three requests and three replies', () =>
      ['Request', 'Reply'].every((kind) => announced().filter((line) => line.includes(kind)).length >= 3),
    );
    await capture.stop();
    await tenant.soon(
      'ACTIVE',
      async () => (await cloud.server.show('floatingips', fip.id)).status === 'ACTIVE',
    );
  });

  it('[B17][C7] are reached from inside and from the router', async () => {
    const server = await one.vm.answer('0.0.0.0', 8082);
    expect((await two.vm.asks(address, 8082))?.who).toBe(one.vm.ns);
    expect((await one.vm.asks(address, 8082))?.peer).toBe(address);
    expect((await inside().ping(address)).received).toBe(3);
    await server.stop();
  });

  it('[C9] lose no packet when the gateway changes', async () => {
    const stream = outside.pingStream(address);
    await tenant.soon('pings flow', () => stream.replies > 20);
    for (const mtu of [1450, 1500]) {
      await cloud.server.update('networks', external.network.id, { mtu });
      const { device } = await gatewayOf();
      await tenant.soon('the MTU is there', async () =>
        (await inside().sh(`ip link show ${device}`)).includes(`mtu ${mtu} `),
      );
    }
    expect((await stream.stop()).lost).toEqual([]);
  });

  it('[C6][C5] move to another port, and their connections end with them', async () => {
    await cloud.server.update('floatingips', fip.id, { port_id: two.port.id });
    const server = await two.vm.trickle('0.0.0.0');
    const another = await two.vm.answer('0.0.0.0', 8083);
    await tenant.soon(
      'the other answers',
      async () => (await outside.asks(address, 8083))?.who === two.vm.ns,
    );
    await another.stop();
    const client = new Background(inNs(outside.ns, 'curl', '-sN', `http://${address}:${server.port}/`));
    await tenant.soon('a connection lives', () => client.lines.length > 5);
    await cloud.server.update('floatingips', fip.id, { port_id: null });
    await tenant.soon(
      'no entry is left',
      async () => (await inside().run('conntrack', '-L', '-d', address)).stdout === '',
    );
    await pause(300);
    const heard = client.lines.length;
    await pause(500);
    expect(client.lines.length).toBe(heard);
    await client.stop();
    await server.stop();
    await tenant.soon('DOWN', async () => (await cloud.server.show('floatingips', fip.id)).status === 'DOWN');
  });

  it('[C8] are at no moment answered for by the router', async () => {
    const stream = outside.pingStream(address);
    await pause(200);
    await cloud.server.update('floatingips', fip.id, { port_id: one.port.id });
    await tenant.soon('it answers', () => stream.replies > 50);
    // The router would answer with 64.
    expect((await stream.stop()).ttls).toEqual([63]);
    await cloud.server.remove('floatingips', fip.id);
    await tenant.soon('it is gone', () => silent(outside, address));
  });
});

describe('the life of the agent', () => {
  it('[A21][A22][O12] reports zone, extensions it has, and its host; the server logs its heartbeats', async () => {
    const agent = await tenant.agent('L3 agent');
    expect(agent.availability_zone).toBe('nova');
    expect(agent.configurations).toMatchObject({ extensions: [], log_agent_heartbeats: true });
    expect(log()).toContain('does not have port_forwarding');
    const queues = (await cloud.broker.list('queues', 'name')).map(({ name }) => name);
    expect(queues).toContain('l3_agent.net-1');
    await tenant.soon('the server says so', () =>
      /Heartbeat received from L3 agent agent on host net-1/.test(serverLog()),
    );
  });

  it('[A7][A18] builds what was made while it was away, and interrupts nothing by ending and starting', async () => {
    const stream = one.vm.pingStream(OUTSIDE.address);
    const trickle = await outside.trickle('0.0.0.0');
    const client = new Background(
      inNs(one.vm.ns, 'curl', '-sN', `http://${OUTSIDE.address}:${trickle.port}/`),
    );
    await tenant.soon('a connection lives', () => client.lines.length > 5);
    let made: Resource | undefined;
    await tenant.restart(node.agent('l3'), async () => {
      made = await cloud.server.create('routers', { name: 'meanwhile' });
      await setGateway(made.id, { network_id: external.network.id });
    });
    await tenant.soon('it is built', () => listNamespaces().includes(ns(made!.id)));
    const agents = (await cloud.server.request('GET', `routers/${made!.id}/l3-agents`)) as {
      agents: Resource[];
    };
    expect(agents.agents.map(({ host }) => host)).toEqual(['net-1']);
    const heard = client.lines.length;
    await tenant.soon('the connection goes on', () => client.lines.length > heard + 10);
    await client.stop();
    await trickle.stop();
    expect((await stream.stop()).lost).toEqual([]);
    await setGateway(made!.id, {});
    await cloud.server.remove('routers', made!.id);
    await gone(ns(made!.id));
  });

  it('[A14] asks once for a burst of updates, as the answer is as new as the last of them', async () => {
    node.agent('l3').signal('SIGSTOP');
    for (let i = 0; i < 20; i += 1) await cloud.server.update('routers', router.id, { name: `burst-${i}` });
    const asked = () => log().split(`"router":"${router.id}","steps"`).length;
    const before = asked();
    node.agent('l3').signal('SIGCONT');
    await tenant.soon('it is built', () => asked() > before);
    await reaches(one.vm, OUTSIDE.address);
    await tenant.settled(node, 'l3');
    expect(asked() - before).toBeLessThan(10);
  });

  it('[A15] goes on with others while one can’t be built, tries it again and again, and succeeds when it can', async () => {
    const broken = await cloud.server.create('routers', { name: 'broken' });
    const subnet = await tenant.network('broken', [{ cidr: '10.8.0.0/24', enable_dhcp: false }]);
    node.agent('l3').signal('SIGSTOP');
    await plug(broken.id, subnet.subnets[0]!);
    const port = await interfaceOf(broken.id, subnet.subnets[0]!);
    const name = `tap${short(port.id)}`;
    await output('ip', 'link', 'add', name, 'type', 'bridge');
    node.agent('l3').signal('SIGCONT');
    const attempts = () =>
      log()
        .split('\n')
        .filter((line) => line.includes(broken.id) && /\(attempt \d+, next in/.test(line)).length;
    await tenant.soon('three attempts', () => attempts() >= 3);
    await cloud.server.update('routers', router.id, {
      routes: [{ destination: '192.168.7.0/24', nexthop: '10.1.0.9' }],
    });
    await tenant.soon(
      'others are served',
      async () => (await inside().sh('ip route show 192.168.7.0/24')) !== '',
    );
    await output('ip', 'link', 'del', name);
    await tenant.soon(
      'it is built',
      async () => (await inside(broken.id).sh('ip -br link')).includes(`qr-${short(port.id)}`),
      60_000,
    );
    await unplug(broken.id, subnet.subnets[0]!);
    await cloud.server.remove('routers', broken.id);
    await gone(ns(broken.id));
  });

  it('[A1][A5] counts as dead when it stands still, and looks at everything when it is back', async () => {
    node.agent('l3').signal('SIGSTOP');
    await tenant.soon(
      'it counts as dead',
      async () => (await tenant.agent('L3 agent')).alive === false,
      90_000,
    );
    const port = await interfaceOf(router.id, net.subnets[0]!);
    await inside().sh(`ip addr del 10.1.0.1/24 dev qr-${short(port.id)}`);
    node.agent('l3').signal('SIGCONT');
    await tenant.alive('L3 agent');
    await tenant.soon('the address is back', async () =>
      (await inside().sh('ip -br -4 addr')).includes('10.1.0.1/24'),
    );
    await tenant.soon('it says why', () =>
      log().includes('full sync: the server had taken this agent for dead'),
    );
    await reaches(one.vm, OUTSIDE.address);
  });

  it('[O5] with interface_driver null makes namespaces and no ports', async () => {
    const empty = await cloud.server.create('routers', { name: 'empty' });
    await withOptions('interface_driver = null', async () => {
      await setGateway(empty.id, { network_id: external.network.id });
      await tenant.soon('its namespace', () => listNamespaces().includes(ns(empty.id)));
      await tenant.settled(node, 'l3');
      expect(await inside(empty.id).sh('ip -br link')).not.toMatch(/q[rg]-/);
      await setGateway(empty.id, {});
      await cloud.server.remove('routers', empty.id);
      await gone(ns(empty.id));
    });
    await reaches(one.vm, OUTSIDE.address);
  });
});

const serverLog = (): string => fs.readFileSync(cloud.server.log, 'utf8');

/** The agent with one more option in its own file, for as long as `during` takes. */
async function withOptions(more: string, during: () => Promise<void>): Promise<void> {
  const [, own] = node.configFiles('l3');
  const text = fs.readFileSync(own!, 'utf8');
  const change = (to: string) => tenant.restart(node.agent('l3'), async () => fs.writeFileSync(own!, to));
  await change(`${text}\n[DEFAULT]\n${more}\n`);
  try {
    await during();
  } finally {
    await change(text);
    await tenant.settled(node, 'l3');
  }
}
