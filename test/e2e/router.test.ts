import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Machine, Server } from './packets.ts';
import { type Rig, rig } from './rig.ts';
import { output, run, until } from './shell.ts';

/** Two tenant networks behind one router with SNAT, one behind a router without; "the internet" outside. */
const TOPOLOGY = `
networks:
  - name: ext
    external: true
    subnets:
      - { name: ext-v4, cidr: 203.0.113.0/24, gateway_ip: 203.0.113.1 }
      - { name: ext-more, cidr: 192.0.2.0/24, gateway_ip: null }
  - name: far
    external: true
    subnets: [{ name: far-v4, cidr: 100.64.1.0/24, gateway_ip: 100.64.9.9 }]
  - { name: a, mtu: 1400, subnets: [{ name: a-v4, cidr: 10.1.0.0/24, enable_dhcp: false }] }
  - { name: b, subnets: [{ name: b-v4, cidr: 10.2.0.0/24, enable_dhcp: false }] }
  - { name: c, subnets: [{ name: c-v4, cidr: 10.3.0.0/24, enable_dhcp: false }] }
  - { name: d, subnets: [{ name: d-v4, cidr: 10.4.0.0/24, enable_dhcp: false }] }
  - name: six
    subnets:
      - { name: six-a, cidr: "fd00:6:a::/64", enable_dhcp: false }
      - { name: six-b, cidr: "fd00:6:b::/64", enable_dhcp: false }
routers:
  - name: r1
    id: 11111111-0000-4000-8000-000000000001
    external_gateway_info:
      network: ext
      external_fixed_ips:
        - { subnet: ext-v4, ip_address: 203.0.113.11 }
        - { subnet: ext-v4, ip_address: 203.0.113.12 }
    interfaces: [a-v4, b-v4, six-a, six-b]
  - name: r2
    external_gateway_info:
      network: ext
      enable_snat: false
      external_fixed_ips: [{ subnet: ext-v4, ip_address: 203.0.113.20 }]
    interfaces: [c-v4]
  - name: r3
    external_gateway_info:
      network: far
      external_fixed_ips: [{ subnet: far-v4, ip_address: 100.64.1.30 }]
    interfaces: [{ port: leg }]
ports:
  - { name: leg, network: d, fixed_ips: [{ ip_address: 10.4.0.1 }] }
  - { name: internet-ext, network: ext, fixed_ips: [{ ip_address: 203.0.113.1 }], allowed_address_pairs: [{ ip_address: 198.51.100.10 }] }
  - { name: internet-far, network: far, fixed_ips: [{ ip_address: 100.64.1.2 }], allowed_address_pairs: [{ ip_address: 100.64.9.9 }] }
instances:
  - { name: internet, ports: [internet-ext, internet-far], configure: static }
  - { name: neighbour, network: ext, fixed_ips: [{ ip_address: 192.0.2.7 }], configure: static }
  - { name: a1, network: a, fixed_ips: [{ ip_address: 10.1.0.5 }], configure: static }
  - { name: a2, network: a, fixed_ips: [{ ip_address: 10.1.0.6 }], configure: static }
  - { name: b1, network: b, fixed_ips: [{ ip_address: 10.2.0.5 }], configure: static }
  - { name: c1, network: c, fixed_ips: [{ ip_address: 10.3.0.5 }], configure: static }
  - { name: d1, network: d, fixed_ips: [{ ip_address: 10.4.0.5 }], configure: static }
  - { name: s1, network: six, fixed_ips: [{ ip_address: "fd00:6:a::5" }, { ip_address: "fd00:6:b::5" }], configure: static }
`;
const OUTSIDE = '198.51.100.10';

describe('centralized routers', () => {
  let net: Rig;
  let internet: Machine;
  let web: Server;
  const seenFrom = async (client: string, ...args: string[]) =>
    (await net.client(client).asks(OUTSIDE, web.port, ...args))?.peer;

  beforeAll(async () => {
    net = await rig(TOPOLOGY);
    internet = net.client('internet');
    // What a provider's router would know.
    await internet.sh('ip route add 10.3.0.0/24 via 203.0.113.20');
    web = await internet.answer('0.0.0.0');
    await net.client('a1').reaches(OUTSIDE);
  });
  afterAll(async () => {
    await web?.stop();
    await net?.remove();
  });

  test('[B1] a router has a namespace of its own with loopback up', async () => {
    expect(await output('ip', 'netns')).toContain(net.router('r1').ns);
    expect(await net.router('r1').sh('ip -br link show lo')).toContain('LOOPBACK,UP');
    expect((await net.router('r1').ping('127.0.0.1', { count: 1 })).received).toBe(1);
  });

  test('[B2] it forwards, and answers ARP only for addresses of the device that was asked', async () => {
    const names = 'net.ipv4.ip_forward net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce';
    expect((await net.router('r1').sh(`sysctl -n ${names}`)).split('\n').slice(0, 3)).toEqual([
      '1',
      '1',
      '2',
    ]);
    const other = await net.client('a1').sh('arping -c 1 -w 1 -I eth0 10.2.0.1 || true');
    expect(other).toContain('Received 0 response');
    expect(await net.client('a1').sh('arping -c 1 -w 1 -I eth0 10.1.0.1')).toContain('Received 1 response');
  });

  test('[B4] the interface is up with the gateway address, and instances reach it', async () => {
    const { device } = net.interface('r1', 'a');
    expect(device).toMatch(/^qr-[0-9a-f]{8}-[0-9a-f]{2}$/);
    const words = (await net.router('r1').sh(`ip -br -4 addr show ${device}`)).split(/\s+/);
    expect(words.slice(1, 3)).toEqual(['UP', '10.1.0.1/24']);
    expect((await net.client('a1').ping('10.1.0.1')).received).toBe(3);
  });

  test('[B5] one port carries several subnets', async () => {
    const { device } = net.interface('r1', 'six');
    const addresses = await net.router('r1').sh(`ip -br -6 addr show ${device}`);
    expect(addresses).toContain('fd00:6:a::1/64');
    expect(addresses).toContain('fd00:6:b::1/64');
    await net.client('s1').reaches('fd00:6:a::1');
    await net.client('s1').reaches('fd00:6:b::1');
  });

  test('[B6] the interface has the MTU of its network', async () => {
    expect(await net.router('r1').sh(`ip link show ${net.interface('r1', 'a').device}`)).toContain(
      'mtu 1400 ',
    );
    const whole = ['-M', 'do', '-s', String(1400 - 28)];
    expect((await net.client('a1').ping('10.1.0.1', { args: whole })).received).toBe(3);
    expect(await net.router('r1').sh(`ip link show ${net.interface('r1', 'b').device}`)).toContain(
      'mtu 1500 ',
    );
    // What is too big for the other side is refused by the router with its MTU.
    const tooBig = await net.client('b1').run('ping', '-c1', '-W1', '-M', 'do', '-s', '1472', '10.1.0.5');
    expect(tooBig.stdout + tooBig.stderr).toContain('mtu = 1400');
  });

  test('[B10] the gateway device leads outside', async () => {
    const { device } = net.gateway('r1');
    expect(await net.router('r1').sh('ip route show default')).toContain(`via 203.0.113.1 dev ${device} `);
    expect((await net.router('r1').ping(OUTSIDE)).received).toBe(3);
  });

  test('[B11] a gateway outside of its subnet is reached on-link', async () => {
    const { device } = net.gateway('r3');
    const routes = await net.router('r3').sh('ip route');
    expect(routes).toMatch(new RegExp(`^100\\.64\\.9\\.9 dev ${device} .*scope link`, 'm'));
    expect(routes).toMatch(new RegExp(`^default via 100\\.64\\.9\\.9 dev ${device} `, 'm'));
    await net.client('d1').reaches(OUTSIDE);
    expect(await seenFrom('d1')).toBe('100.64.1.30');
  });

  test('[B12] subnets of the external network without an own address are on-link', async () => {
    const { device } = net.gateway('r1');
    expect(await net.router('r1').sh('ip route show 192.0.2.0/24')).toMatch(
      new RegExp(`^192\\.0\\.2\\.0/24 dev ${device} .*scope link`),
    );
    const neighbour = net.client('neighbour');
    await neighbour.sh('ip route add 203.0.113.0/24 dev eth0');
    const capture = await internet.capture('eth0', 'icmp and host 192.0.2.7');
    await net.client('a1').reaches('192.0.2.7');
    expect(await capture.stop()).toEqual([]);
  });

  test('[B13] what instances send outside comes from the gateway address', async () => {
    const capture = await internet.capture('eth0', `tcp port ${web.port}`);
    expect(await seenFrom('a1')).toBe('203.0.113.11');
    expect(await seenFrom('b1')).toBe('203.0.113.11');
    const lines = await capture.stop();
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.filter((line) => line.includes('10.1.0.') || line.includes('10.2.0.'))).toEqual([]);
  });

  test('[B14] without SNAT they keep their own address', async () => {
    await net.client('c1').reaches(OUTSIDE);
    const capture = await internet.capture('eth0', `tcp port ${web.port}`);
    expect(await seenFrom('c1')).toBe('10.3.0.5');
    expect((await capture.stop()).some((line) => line.includes('10.3.0.5.'))).toBe(true);
  });

  test('[B15] source ports are random', async () => {
    const client = net.client('a1');
    const ports: number[] = [];
    for (let index = 0; index < 12; index += 1) {
      const answer = await client.asks(OUTSIDE, web.port, '--local-port', String(41_000 + index));
      ports.push(answer!.port);
    }
    const gaps = ports.slice(1).map((port, index) => Math.abs(port - ports[index]!));
    expect(gaps.filter((gap) => gap > 50).length).toBeGreaterThan(8);
    expect(await net.router('r1').sh('nft list ruleset')).toMatch(
      /snat ip to 203\.0\.113\.11 .*fully-random/,
    );
  });

  test('[B16] between internal networks nothing is translated', async () => {
    const server = await net.client('b1').answer('0.0.0.0');
    expect(await net.client('a1').asks('10.2.0.5', server.port)).toMatchObject({ peer: '10.1.0.5' });
    await server.stop();
  });

  test('[B18] packets from outside carry the ingress mark', async () => {
    const router = net.router('r1');
    const { device } = net.gateway('r1');
    const seen = (mark: string) => `iifname ${device} meta mark & 0xffff ${mark} 0x2 counter`;
    const rules = `table ip e2e { chain watch { type filter hook input priority 10; ${seen('==')}; ${seen('!=')}; }; }`;
    await router.sh(`nft '${rules}'`);
    await internet.ping('203.0.113.11');
    const counters = [...(await router.sh('nft list table ip e2e')).matchAll(/packets (\d+)/g)];
    expect(Number(counters[0]![1])).toBeGreaterThanOrEqual(3);
    expect(Number(counters[1]![1])).toBe(0);
    await router.sh('nft delete table ip e2e');
  });

  test('[B20] a gateway with several addresses has them all and translates to the first', async () => {
    const addresses = await net.router('r1').sh(`ip -br -4 addr show ${net.gateway('r1').device}`);
    expect(addresses).toContain('203.0.113.11/24');
    expect(addresses).toContain('203.0.113.12/24');
    expect((await internet.ping('203.0.113.12')).received).toBe(3);
    expect(await seenFrom('a2')).toBe('203.0.113.11');
  });

  test('[B23] a new name of the router interrupts nothing', async () => {
    const stream = net.client('a1').pingStream(OUTSIDE);
    await until('pings flow', () => stream.replies > 20);
    net.edit(() => {
      net.entry('routers', 'r1').name = 'renamed';
    });
    const before = stream.replies;
    await until('pings go on', () => stream.replies > before + 200);
    net.edit(() => {
      net.entry('routers', 'renamed').name = 'r1';
    });
    const between = stream.replies;
    await until('pings go on', () => stream.replies > between + 100);
    expect((await stream.stop()).lost).toEqual([]);
  });

  test('[B7] a port that is set down has no device, nor has one that is removed', async () => {
    const { device } = net.interface('r3', 'd');
    const leg = net.entry('ports', 'leg');
    const devices = () => net.router('r3').sh('ip -br link');
    expect(await devices()).toContain(device);
    net.edit(() => {
      leg.admin_state_up = false;
    });
    await until('the device is gone', async () => !(await devices()).includes(device));
    expect((await net.client('d1').ping('10.4.0.1', { count: 1 })).received).toBe(0);
    net.edit(() => {
      leg.admin_state_up = true;
    });
    await net.client('d1').reaches('10.4.0.1');
    const r3 = net.entry('routers', 'r3');
    net.edit(() => {
      r3.interfaces = [];
    });
    await until('the device is gone', async () => !(await devices()).includes(device));
    net.edit(() => {
      r3.interfaces = [{ port: 'leg' }];
    });
    await net.client('d1').reaches(OUTSIDE);
  });

  test('[B19] a changed or cleared gateway takes its address, route and connections along', async () => {
    const router = net.router('r1');
    const { device } = net.gateway('r1');
    const r1 = net.entry('routers', 'r1');
    const given = r1.external_gateway_info;
    const connections = async (ip: string) => (await router.run('conntrack', '-L', '-q', ip)).stdout;
    await net.client('a1').ping(OUTSIDE, { count: 1 });
    expect(await connections('203.0.113.11')).not.toBe('');
    const elsewhere = { subnet: 'ext-v4', ip_address: '203.0.113.99' };
    net.edit(() => {
      r1.external_gateway_info = { network: 'ext', external_fixed_ips: [elsewhere] };
    });
    await until('SNAT uses the new address', async () => (await seenFrom('a1')) === '203.0.113.99');
    expect(await router.sh(`ip -br -4 addr show ${device}`)).not.toContain('203.0.113.11');
    await until('its connections are gone', async () => (await connections('203.0.113.11')) === '', 3_000);
    expect((await internet.ping('203.0.113.11', { count: 1 })).received).toBe(0);

    net.edit(() => {
      delete r1.external_gateway_info;
    });
    await until('the device is gone', async () => !(await router.sh('ip -br link')).includes(device));
    expect(await router.sh('ip route show default')).toBe('');
    await until('its connections are gone', async () => (await connections('203.0.113.99')) === '', 3_000);
    expect((await net.client('a1').ping('10.2.0.5')).received).toBe(3);
    net.edit(() => {
      r1.external_gateway_info = given;
    });
    await net.client('a1').reaches(OUTSIDE);
  });

  test('[B21] a router that is set down has no namespace', async () => {
    const r2 = net.entry('routers', 'r2');
    const { ns } = net.router('r2');
    net.edit(() => {
      r2.admin_state_up = false;
    });
    await until('it is gone', async () => !(await output('ip', 'netns')).includes(ns));
    net.edit(() => {
      r2.admin_state_up = true;
    });
    await net.client('c1').reaches(OUTSIDE);
  });

  test('[B24] a deleted router leaves nothing; the others stay', async () => {
    const { ns } = net.router('r2');
    const taps = [net.gateway('r2').device, net.interface('r2', 'c').device].map(
      (name) => `tap${name.slice(3)}`,
    );
    const stream = net.client('a1').pingStream(OUTSIDE);
    net.edit((topology) => {
      topology.routers = topology.routers!.filter(({ name }) => name !== 'r2');
    });
    await until('it is gone', async () => !(await output('ip', 'netns')).includes(ns));
    const links = await output('ip', '-br', 'link');
    for (const tap of taps) expect(links).not.toContain(tap);
    expect((await run(['ps', '-eo', 'args'])).stdout).not.toContain(ns.slice('qrouter-'.length));
    expect((await stream.stop()).lost).toEqual([]);
  });
});
