import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNamespace, deleteNamespace } from '../../lib/kernel/netns.ts';
import { ALL_OPTIONS, lease } from './dhcp-client.ts';
import { Machine } from './packets.ts';
import { type Rig, rig } from './rig.ts';
import { output, pause, run, until } from './shell.ts';

/** `p…` are instances without a client of their own: the tests ask for them. */
const TOPOLOGY = `
networks:
  - name: a
    mtu: 1400
    dns_domain: a.example
    subnets:
      - name: a-v4
        cidr: 10.1.0.0/24
        dns_nameservers: [192.0.2.53, 192.0.2.54]
        host_routes: [{ destination: 10.9.0.0/16, nexthop: 10.1.0.9 }]
      - { name: a-more, cidr: 10.2.0.0/24, gateway_ip: null }
  - name: lone
    subnets:
      - name: lone-v4
        cidr: 10.3.0.0/24
        gateway_ip: null
        host_routes: [{ destination: 0.0.0.0/0, nexthop: 10.3.0.254 }]
  - { name: far, subnets: [{ name: far-v4, cidr: 10.4.0.0/24, enable_dhcp: false }] }
routers:
  - { name: r, interfaces: [a-v4, far-v4] }
instances:
  - { name: p1, network: a, fixed_ips: [{ ip_address: 10.1.0.11 }], configure: none }
  - { name: p2, network: a, fixed_ips: [{ ip_address: 10.2.0.12 }], configure: none }
  - { name: p3, network: lone, fixed_ips: [{ ip_address: 10.3.0.13 }], configure: none }
  - { name: vm, network: a, fixed_ips: [{ ip_address: 10.1.0.21 }] }
  - { name: hermit, network: lone, fixed_ips: [{ ip_address: 10.3.0.21 }] }
  - { name: far, network: far, fixed_ips: [{ ip_address: 10.4.0.5 }], configure: static }
`;

/** Pid of the dnsmasq in a network's namespace. */
async function dnsmasq(net: Rig, network: string): Promise<{ pid: string; argv: string[] }> {
  const pids = (await output('ip', 'netns', 'pids', net.dhcp(network).ns)).trim().split('\n').filter(Boolean);
  for (const pid of pids) {
    const argv = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    if (argv[0]?.endsWith('dnsmasq')) return { pid, argv };
  }
  throw new Error(`no dnsmasq in ${net.dhcp(network).ns}`);
}

describe('a DHCP network', () => {
  let net: Rig;
  beforeAll(async () => {
    net = await rig(TOPOLOGY);
  });
  afterAll(() => net?.remove());

  test('[J1] it has a namespace with a dnsmasq that names the network', async () => {
    expect(await output('ip', 'netns')).toContain(net.dhcp('a').ns);
    const { argv } = await dnsmasq(net, 'a');
    expect(argv.join(' ')).toContain(net.networkId('a'));
  });

  test('[J2] a known MAC gets its fixed address, another one no offer', async () => {
    expect((await lease(net.client('p1'))).ack?.address).toBe('10.1.0.11');
    const ns = `${net.client('p1').ns}-x`;
    const tap = `x${process.pid.toString(36)}`;
    createNamespace(ns);
    try {
      const words = `ip link add ${tap} type veth peer name eth0 netns ${ns}`;
      execFileSync('sh', ['-c', `${words} && ip link set ${tap} master ${net.bridge('a')} up`]);
      execFileSync('ip', ['-n', ns, 'link', 'set', 'eth0', 'up']);
      const { packets, ack } = await lease(new Machine(ns), { timeout: 3 });
      expect(ack).toBeUndefined();
      expect(new Set(packets.map(({ type }) => type))).toEqual(new Set(['Discover']));
    } finally {
      await run(['ip', 'link', 'del', tap]);
      deleteNamespace(ns);
    }
  });

  test('[J3] the DHCP port is plugged and has its addresses', async () => {
    const port = net.dhcpPort('a');
    const shown = await net.dhcp('a').sh(`ip -br -4 address show ${port.device}`);
    for (const { ip_address } of port.fixed_ips) expect(shown).toContain(`${ip_address}/24`);
    expect(await output('ip', '-o', 'link', 'show', `tap${port.device.slice(3)}`)).toContain(
      `master ${net.bridge('a')}`,
    );
    await net.client('vm').reaches(port.fixed_ips[0]!.ip_address, 30_000);
  });

  test('[J4] the lease is for a day', async () => {
    expect((await lease(net.client('p1'))).ack?.options.get(51)).toBe('86400');
  });

  test('[J6] ports on each subnet of the network get their addresses', async () => {
    expect((await lease(net.client('p1'))).ack?.address).toBe('10.1.0.11');
    expect((await lease(net.client('p2'))).ack?.address).toBe('10.2.0.12');
  });

  test('[J16] it listens only in its namespace, and answers DNS only to its network', async () => {
    const { argv } = await dnsmasq(net, 'a');
    expect(argv).toEqual(expect.arrayContaining(['--bind-dynamic', '--local-service']));
    const server = net
      .dhcpPort('a')
      .fixed_ips.find(({ ip_address }) => ip_address.startsWith('10.1.'))!.ip_address;
    const ask = (name: string) =>
      net.client(name).run('dig', '+short', '+time=2', '+tries=1', `@${server}`, 'vm.a.example');
    await net.client('vm').reaches(server);
    expect((await ask('vm')).stdout.trim()).toBe('10.1.0.21');
    await net.client('far').reaches(server);
    expect((await ask('far')).stdout).not.toContain('10.1.0.21');
  });

  test('[J19] the namespace has a default route', async () => {
    expect(await net.dhcp('a').sh('ip route show default')).toContain(
      `default via 10.1.0.1 dev ${net.dhcpPort('a').device}`,
    );
    expect(await net.dhcp('lone').sh('ip route show default')).toBe('');
  });

  test('[J20] its device has the MTU of the network', async () => {
    expect(await net.dhcp('a').sh(`ip link show ${net.dhcpPort('a').device}`)).toContain('mtu 1400 ');
  });

  test('[K1] the gateway goes out as router, and none where there is none', async () => {
    expect((await lease(net.client('p1'))).ack?.options.get(3)).toBe('10.1.0.1');
    expect((await lease(net.client('p2'))).ack?.options.has(3)).toBe(false);
  });

  test('[K2][K14] DNS servers and domain name go out', async () => {
    const { ack } = await lease(net.client('p1'));
    expect(ack?.options.get(6)).toBe('192.0.2.53,192.0.2.54');
    expect(ack?.options.get(15)).toBe('"openstacklocal"');
  });

  test('[K5][K6][K7] routes go out as 121 and 249: sibling subnets, host routes, metadata, at last the default', async () => {
    const { ack } = await lease(net.client('p1'));
    const routes = ack?.options.get(121);
    expect(routes?.split(/,(?=\()/)).toEqual([
      '(10.2.0.0/24:0.0.0.0)',
      '(10.9.0.0/16:10.1.0.9)',
      '(169.254.169.254/32:10.1.0.1)',
      '(default:10.1.0.1)',
    ]);
    expect(ack?.options.get(249)).toBe(routes);
    const shown = await net.client('vm').sh('ip route');
    expect(shown).toContain('10.2.0.0/24 dev eth0');
    expect(shown).toContain('10.9.0.0/16 via 10.1.0.9 dev eth0');
    expect(shown).toContain('default via 10.1.0.1 dev eth0');
  });

  test('[K8] without a gateway, a host route to everywhere is the router', async () => {
    expect((await lease(net.client('p3'))).ack?.options.get(3)).toBe('10.3.0.254');
  });

  test('[K9] the MTU goes out, asked for or not', async () => {
    const request = ALL_OPTIONS.filter((option) => option !== 'interface-mtu');
    expect((await lease(net.client('p1'), { request })).ack?.options.get(26)).toBe('1400');
  });

  test('[N2] on a network without router metadata comes by the DHCP port', async () => {
    const hermit = net.client('hermit');
    await until(
      'the route is there',
      async () => (await hermit.sh('ip route')).includes('169.254.169.254'),
      30_000,
    );
    const { status, body } = await hermit.curl('http://169.254.169.254/latest/meta-data/instance-id');
    expect([status, body]).toEqual([200, net.instanceId('hermit')]);
  });

  test('[J9] a new port is served at once, by the same dnsmasq', async () => {
    const { pid } = await dnsmasq(net, 'a');
    const ip_address = '10.1.0.31';
    net.edit((topology) =>
      topology.instances!.push({ name: 'p4', network: 'a', fixed_ips: [{ ip_address }], configure: 'none' }),
    );
    await until(
      'it has a device',
      async () => (await net.client('p4').run('ip', 'link', 'show', 'eth0')).code === 0,
    );
    const { packets, ack } = await lease(net.client('p4'));
    expect(ack?.address).toBe(ip_address);
    // At the first or second try, whatever a busy machine makes of the client's patience.
    expect(packets.filter(({ type }) => type === 'Discover').length).toBeLessThanOrEqual(2);
    expect((await dnsmasq(net, 'a')).pid).toBe(pid);
  });

  test('[J10] the address of a removed port serves the next one at first try', async () => {
    const { pid } = await dnsmasq(net, 'a');
    const leases = (await dnsmasq(net, 'a')).argv
      .find((one) => one.startsWith('--dhcp-leasefile='))!
      .slice('--dhcp-leasefile='.length);
    const { mac_address } = net.instancePort('p4');
    expect(fs.readFileSync(leases, 'utf8')).toContain(mac_address);
    net.edit((topology) => {
      topology.instances = topology.instances!.filter(({ name }) => name !== 'p4');
    });
    await until('the lease is released', () => !fs.readFileSync(leases, 'utf8').includes(mac_address));
    net.edit((topology) =>
      topology.instances!.push({
        name: 'p5',
        network: 'a',
        fixed_ips: [{ ip_address: '10.1.0.31' }],
        configure: 'none',
      }),
    );
    await until(
      'it has a device',
      async () => (await net.client('p5').run('ip', 'link', 'show', 'eth0')).code === 0,
    );
    await pause(300);
    expect((await lease(net.client('p5'))).ack?.address).toBe('10.1.0.31');
    expect((await dnsmasq(net, 'a')).pid).toBe(pid);
  });

  test('[J11] after a restart a client keeps its address without a refusal', async () => {
    const memory = join(net.directory, 'memory');
    fs.mkdirSync(memory);
    expect((await lease(net.client('p1'), { memory })).ack?.address).toBe('10.1.0.11');
    const { pid } = await dnsmasq(net, 'a');
    await net.end();
    await run(['kill', '-9', pid]);
    await net.up();
    const { packets, ack } = await lease(net.client('p1'), { memory });
    // Nothing but a request for the remembered address and consent (a request may be repeated).
    expect(new Set(packets.map(({ type }) => type))).toEqual(new Set(['Request', 'ACK']));
    expect(ack?.address).toBe('10.1.0.11');
  });

  test('[J7] a subnet without DHCP gets no offer; the last one takes the namespace along', async () => {
    const subnets = net.entry('networks', 'a').subnets as { name: string; enable_dhcp?: boolean }[];
    const set = (name: string, enable_dhcp: boolean) =>
      net.edit(() => {
        subnets.find((one) => one.name === name)!.enable_dhcp = enable_dhcp;
      });
    set('a-more', false);
    await until('no offer on it', async () => !(await lease(net.client('p2'), { timeout: 2 })).ack, 20_000);
    expect((await lease(net.client('p1'))).ack?.address).toBe('10.1.0.11');
    set('a-v4', false);
    const gone = async () => !(await output('ip', 'netns')).includes(net.dhcp('a').ns);
    await until('the namespace is gone', gone);
    set('a-v4', true);
    set('a-more', true);
    await until('offers again', async () => (await lease(net.client('p2'), { timeout: 2 })).ack, 20_000);
  });

  test('[J8] a network that is set down has no DHCP namespace', async () => {
    const lone = net.entry('networks', 'lone');
    net.edit(() => {
      lone.admin_state_up = false;
    });
    await until('it is gone', async () => !(await output('ip', 'netns')).includes(net.dhcp('lone').ns));
    expect((await run(['pgrep', '-f', `dnsmasq.*${net.networkId('lone')}`])).stdout).toBe('');
    net.edit(() => {
      lone.admin_state_up = true;
    });
    await until('it serves again', async () => (await lease(net.client('p3'), { timeout: 2 })).ack, 20_000);
  });
});

const small = (settings: string): string => `
networks: [{ name: a, subnets: [{ name: a-v4, cidr: 10.1.0.0/24 }] }]
instances: [{ name: p1, network: a, fixed_ips: [{ ip_address: 10.1.0.11 }], configure: none }]
dhcp: ${settings}
`;

describe('DHCP with other settings', () => {
  let net: Rig;
  beforeAll(async () => {
    const times = 'dhcp_lease_duration: 7200, dhcp_renewal_time: 600, dhcp_rebinding_time: 900';
    const others = 'dhcp_broadcast_reply: true, dnsmasq_lease_max: 10, dns_domain: lab.example';
    net = await rig(small(`{ ${times}, ${others} }`));
  });
  afterAll(() => net?.remove());

  test('[J5] renewal and rebinding times go out', async () => {
    const { ack } = await lease(net.client('p1'));
    expect([51, 58, 59].map((option) => ack?.options.get(option))).toEqual(['7200', '600', '900']);
  });

  test('[J13] replies are broadcast when that is wanted', async () => {
    const { packets } = await lease(net.client('p1'));
    const replies = packets.filter(({ type }) => type === 'Offer' || type === 'ACK');
    expect(replies.length).toBeGreaterThanOrEqual(2);
    expect(new Set(replies.map(({ to }) => to))).toEqual(new Set(['255.255.255.255']));
  });

  test('[J15] leases are limited: to the size of the subnets, and to the option', async () => {
    expect((await dnsmasq(net, 'a')).argv).toContain('--dhcp-lease-max=10');
  });

  test('[K14] the domain name is that of the settings', async () => {
    expect((await lease(net.client('p1'))).ack?.options.get(15)).toBe('"lab.example"');
  });
});

describe('DHCP with endless leases', () => {
  let net: Rig;
  beforeAll(async () => {
    net = await rig(small('{ dhcp_lease_duration: -1 }'));
  });
  afterAll(() => net?.remove());

  test('[J4] a lease can be for ever', async () => {
    expect((await lease(net.client('p1'))).ack?.options.get(51)).toBe('4294967295');
  });
});
