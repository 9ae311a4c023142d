import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Machine, Server } from './packets.ts';
import { type Rig, rig } from './rig.ts';
import { Background, inNs, pause, until } from './shell.ts';

const TOPOLOGY = `
networks:
  - name: ext
    external: true
    subnets:
      - { name: ext-v4, cidr: 203.0.113.0/24, gateway_ip: 203.0.113.1, allocation_pools: [{ start: 203.0.113.10, end: 203.0.113.60 }] }
  - { name: red, project: red, subnets: [{ name: red-v4, cidr: 10.0.0.0/24, enable_dhcp: false }] }
  - { name: blue, project: blue, subnets: [{ name: blue-v4, cidr: 10.0.0.0/24, enable_dhcp: false }] }
routers:
  - name: red
    external_gateway_info: { network: ext, external_fixed_ips: [{ ip_address: 203.0.113.11 }] }
    interfaces: [red-v4]
  - name: blue
    external_gateway_info: { network: ext, external_fixed_ips: [{ ip_address: 203.0.113.12 }] }
    interfaces: [blue-v4]
ports:
  - { name: internet, network: ext, fixed_ips: [{ ip_address: 203.0.113.1 }], allowed_address_pairs: [{ ip_address: 198.51.100.10 }] }
instances:
  - { name: internet, ports: [internet], configure: static }
  - { name: red1, network: red, fixed_ips: [{ ip_address: 10.0.0.5 }], configure: static }
  - { name: red2, network: red, fixed_ips: [{ ip_address: 10.0.0.6 }], configure: static }
  - { name: red3, network: red, fixed_ips: [{ ip_address: 10.0.0.7 }], configure: static }
  - { name: blue1, network: blue, fixed_ips: [{ ip_address: 10.0.0.5 }], configure: static }
floating_ips:
  - { floating_network: ext, floating_ip_address: 203.0.113.101, instance: red1 }
  - { floating_network: ext, floating_ip_address: 203.0.113.102, instance: red2 }
  - { floating_network: ext, floating_ip_address: 203.0.113.201, instance: blue1 }
`;
const OUTSIDE = '198.51.100.10';
const RED1 = '203.0.113.101';
const RED2 = '203.0.113.102';
const BLUE1 = '203.0.113.201';
const NEW = '203.0.113.150';
const PORT = 8080;

describe('floating IPs', () => {
  let net: Rig;
  let internet: Machine;
  const servers: Server[] = [];
  const whoAnswers = async (from: Machine, address: string) => (await from.asks(address, PORT))?.who;
  const fips =
    () => (change: (list: NonNullable<Parameters<Parameters<Rig['edit']>[0]>[0]['floating_ips']>) => void) =>
      net.edit((topology) => change(topology.floating_ips!));

  beforeAll(async () => {
    net = await rig(TOPOLOGY);
    internet = net.client('internet');
    for (const name of ['internet', 'red1', 'red2', 'red3', 'blue1'])
      servers.push(await net.client(name).answer('0.0.0.0', PORT));
    await internet.reaches(RED1);
  });
  afterAll(async () => {
    for (const server of servers) await server.stop();
    await net?.remove();
  });

  test('[C1] a floating IP leads to its instance, which is seen by it outside', async () => {
    expect((await internet.ping(RED1)).received).toBe(3);
    expect(await whoAnswers(internet, RED1)).toBe(net.client('red1').ns);
    expect(await net.client('red1').asks(OUTSIDE, PORT)).toMatchObject({ peer: RED1 });
    expect(await net.client('red3').asks(OUTSIDE, PORT)).toMatchObject({ peer: '203.0.113.11' });
  });

  test('[C2] it is a /32 address of the gateway device', async () => {
    const addresses = await net.router('red').sh(`ip -br -4 addr show ${net.gateway('red').device}`);
    expect(addresses).toContain(`${RED1}/32`);
    expect(addresses).toContain(`${RED2}/32`);
  });

  test('tenants with the same addresses do not meet: each floating IP leads to its own', async () => {
    expect(await whoAnswers(internet, BLUE1)).toBe(net.client('blue1').ns);
    expect(await whoAnswers(net.client('red2'), '10.0.0.5')).toBe(net.client('red1').ns);
    expect((await net.client('blue1').ping('10.0.0.7', { count: 1 })).received).toBe(0);
    expect(await whoAnswers(net.client('red1'), BLUE1)).toBe(net.client('blue1').ns);
  });

  test('[B17] an instance reaches another one, and itself, by floating IPs of its own router', async () => {
    expect(await net.client('red1').asks(RED2, PORT)).toMatchObject({
      who: net.client('red2').ns,
      peer: RED1,
    });
    expect(await net.client('red1').asks(RED1, PORT)).toMatchObject({
      who: net.client('red1').ns,
      peer: RED1,
    });
    // Without a floating IP it comes from the gateway address, so that the reply finds the router.
    expect(await net.client('red3').asks(RED2, PORT)).toMatchObject({
      who: net.client('red2').ns,
      peer: '203.0.113.11',
    });
  });

  test('[C7] the router itself reaches it', async () => {
    const ping = await net.router('red').ping(RED1);
    expect(ping.received).toBe(3);
    expect(await whoAnswers(net.router('red'), RED1)).toBe(net.client('red1').ns);
  });

  test('[B9][C3] a new floating IP is announced: three rounds of ARP request and reply', async () => {
    const capture = await internet.capture(
      'eth0',
      `arp and ether src ${net.gateway('red').mac_address}`,
      '-tt',
    );
    fips()((list) => list.push({ floating_network: 'ext', floating_ip_address: NEW, instance: 'red3' }));
    const own = () => capture.lines.filter((line) => line.includes(NEW));
    await until('six announcements', () => own().length >= 6, 30_000);
    await pause(300);
    await capture.stop();
    const requests = own().filter(
      (line) => line.includes(`Request who-has ${NEW}`) && line.includes(`tell ${NEW}`),
    );
    const replies = own().filter((line) =>
      line.includes(`Reply ${NEW} is-at ${net.gateway('red').mac_address}`),
    );
    expect([requests.length, replies.length, own().length]).toEqual([3, 3, 6]);
    const times = own().map((line) => Number.parseFloat(line));
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(3.5);
    expect(await whoAnswers(internet, NEW)).toBe(net.client('red3').ns);
  });

  test('[C6] associated anew, it leads to the other instance', async () => {
    const stream = internet.pingStream(NEW);
    await until('pings flow', () => stream.replies > 20);
    fips()((list) => {
      list.find((one) => one.floating_ip_address === NEW)!.instance = 'red2';
      list.splice(
        list.findIndex((one) => one.floating_ip_address === RED2),
        1,
      );
    });
    await until('red2 answers', async () => (await whoAnswers(internet, NEW)) === net.client('red2').ns);
    expect(await net.client('red2').asks(OUTSIDE, PORT)).toMatchObject({ peer: NEW });
    await stream.stop();
    fips()((list) => list.push({ floating_network: 'ext', floating_ip_address: RED2, instance: 'red3' }));
    await until('red3 answers', async () => (await whoAnswers(internet, RED2)) === net.client('red3').ns);
  });

  test('[C5] connections of a removed floating IP end', async () => {
    const server = await net.client('red1').trickle('0.0.0.0');
    const client = new Background(inNs(internet.ns, 'curl', '-sN', `http://${RED1}:${server.port}/`));
    await until('the connection lives', () => client.lines.length > 5);
    const router = net.router('red');
    const entries = async () =>
      (await router.run('conntrack', '-L', '-d', RED1)).stdout +
      (await router.run('conntrack', '-L', '-q', RED1)).stdout;
    expect(await entries()).toContain('ESTABLISHED');
    fips()((list) =>
      list.splice(
        list.findIndex((one) => one.floating_ip_address === RED1),
        1,
      ),
    );
    await until('the entries are gone', async () => (await entries()) === '');
    const until_ = client.lines.length;
    await pause(500);
    expect(client.lines.length - until_).toBeLessThan(5);
    const later = client.lines.length;
    await pause(500);
    expect(client.lines.length).toBe(later);
    expect((await internet.ping(RED1, { count: 1 })).received).toBe(0);
    expect(await net.client('red1').asks(OUTSIDE, PORT)).toMatchObject({ peer: '203.0.113.11' });
    await client.stop();
    await server.stop();
  });

  test('[C8] at no moment the router answers for it itself', async () => {
    for (let round = 0; round < 2; round += 1) {
      const stream = internet.pingStream(RED1);
      await pause(300);
      fips()((list) => list.push({ floating_network: 'ext', floating_ip_address: RED1, instance: 'red1' }));
      await until('it answers', () => stream.replies > 50);
      // The router would answer with 64, the instance is one hop further.
      expect((await stream.stop()).ttls).toEqual([63]);
      fips()((list) => list.pop());
      await until('it is gone', async () => (await internet.ping(RED1, { count: 1 })).received === 0);
    }
  });

  test('[C9] an update of the gateway loses no packet of a floating IP', async () => {
    const stream = internet.pingStream(BLUE1);
    await until('pings flow', () => stream.replies > 20);
    for (const mtu of [1450, 1500]) {
      net.edit(() => {
        net.entry('networks', 'ext').mtu = mtu;
      });
      const { device } = net.gateway('blue');
      await until('the MTU is there', async () =>
        (await net.router('blue').sh(`ip link show ${device}`)).includes(`mtu ${mtu} `),
      );
      const before = stream.replies;
      await until('pings go on', () => stream.replies > before + 50);
    }
    expect((await stream.stop()).lost).toEqual([]);
  });
});

describe('many floating IPs', () => {
  const COUNT = 1000;
  const PORTION = 200;
  const fixed = (index: number) => `10.8.${Math.floor(index / 200)}.${(index % 200) + 10}`;
  const floating = (index: number) => `198.18.${Math.floor(index / 200)}.${(index % 200) + 10}`;
  let net: Rig;

  beforeAll(async () => {
    const indexes = Array.from({ length: COUNT }, (_, index) => index);
    const topology = {
      networks: [
        {
          name: 'ext',
          external: true,
          subnets: [
            {
              name: 'ext-v4',
              cidr: '198.18.0.0/16',
              gateway_ip: '198.18.255.1',
              allocation_pools: [{ start: '198.18.250.1', end: '198.18.254.250' }],
            },
          ],
        },
        {
          name: 'int',
          subnets: [{ name: 'int-v4', cidr: '10.8.0.0/16', gateway_ip: '10.8.255.1', enable_dhcp: false }],
        },
      ],
      routers: [{ name: 'r', external_gateway_info: { network: 'ext' }, interfaces: ['int-v4'] }],
      ports: [
        { name: 'all', network: 'int', fixed_ips: indexes.map((index) => ({ ip_address: fixed(index) })) },
      ],
      instances: [
        {
          name: 'internet',
          network: 'ext',
          fixed_ips: [{ ip_address: '198.18.255.1' }],
          configure: 'static',
        },
        { name: 'all', ports: ['all'], configure: 'static' },
      ],
      floating_ips: indexes.slice(1).map((index) => ({
        floating_network: 'ext',
        floating_ip_address: floating(index),
        port: 'all',
        fixed_ip_address: fixed(index),
      })),
    };
    net = await rig(JSON.stringify(topology));
  });
  afterAll(async () => {
    await net?.remove();
  });

  test('[C11] a thousand of one router all answer, and one more does at once', async () => {
    const internet = net.client('internet');
    // Every address is pinged once. The kernel has room for 1024 neighbours of all namespaces together, so they
    // are asked by portions and forgotten in between.
    const unanswered = async (indexes: number[]) => {
      let silent = '';
      for (let start = 0; start < indexes.length; start += PORTION) {
        const list = indexes
          .slice(start, start + PORTION)
          .map(floating)
          .join(' ');
        const each = "xargs -n 1 -P 16 sh -c 'ping -n -c 1 -W 2 $0 >/dev/null 2>&1 || echo $0'";
        silent += await internet.sh(`echo ${list} | ${each}`);
        for (const machine of [internet, net.router('r'), net.client('all')])
          await machine.sh('ip neigh flush all');
      }
      return silent;
    };
    const rest = Array.from({ length: COUNT - 1 }, (_, index) => index + 1);
    expect(await unanswered(rest)).toBe('');
    net.edit((topology) =>
      topology.floating_ips!.push({
        floating_network: 'ext',
        floating_ip_address: floating(0),
        port: 'all',
        fixed_ip_address: fixed(0),
      }),
    );
    await internet.reaches(floating(0), 5_000);
    expect(await unanswered([0, 500, 999])).toBe('');
  });
});
