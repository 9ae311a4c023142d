import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lease } from './dhcp-client.ts';
import type { Machine } from './packets.ts';
import { type Rig, rig } from './rig.ts';
import { pause, until } from './shell.ts';

const METADATA = 'http://169.254.169.254/latest/meta-data/instance-id';
const METADATA_V6 = 'http://[fe80::a9fe:a9fe%25eth0]/latest/meta-data/instance-id';

/** Listening TCP sockets of a namespace: 'address:port'. */
const listening = async (machine: Machine): Promise<string[]> =>
  (await machine.sh('ss -Hltn')).split('\n').flatMap((line) => line.trim().split(/\s+/)[3] ?? []);

describe('metadata from the DHCP namespace', () => {
  const TOPOLOGY = (dhcp: string) => `
networks:
  - { name: routed, subnets: [{ name: routed-v4, cidr: 10.6.0.0/24 }] }
  - { name: meta, subnets: [{ name: meta-v4, cidr: 169.254.0.0/16 }] }
routers:
  - { name: r1, interfaces: [routed-v4, meta-v4] }
instances:
  - { name: c1, network: routed, fixed_ips: [{ ip_address: 10.6.0.5 }], configure: static }
  - { name: m1, network: meta, fixed_ips: [{ ip_address: 169.254.7.7 }], configure: static }
dhcp: ${dhcp}
`;

  test('[N3] with force_metadata it is there beside a router, and option 121 leads to it', async () => {
    const net = await rig(TOPOLOGY('{ force_metadata: true }'));
    try {
      const dhcp = net.dhcpPort('routed').fixed_ips[0]!.ip_address;
      expect(await listening(net.dhcp('routed'))).toContain('169.254.169.254:80');
      const c1 = net.client('c1');
      const { ack } = await lease(c1);
      expect(ack?.options.get(121)).toContain(`(169.254.169.254/32:${dhcp})`);
      // The router's own way is shut: what answers is the DHCP port.
      await c1.sh(`ip route del default && ip route add 169.254.169.254/32 via ${dhcp}`);
      const { status, body } = await c1.curl(METADATA);
      expect([status, body]).toEqual([200, net.instanceId('c1')]);
    } finally {
      await net.remove();
    }
  });

  test('[N4] with enable_metadata_network a network of 169.254.0.0/16 serves the router’s instances', async () => {
    const net = await rig(TOPOLOGY('{ enable_metadata_network: true }'));
    try {
      // On the link, not through the router, which would answer by itself.
      const { status, body } = await net.client('m1').curl(METADATA);
      expect([status, body]).toEqual([200, net.instanceId('m1')]);
      expect(await listening(net.dhcp('meta'))).toContain('169.254.169.254:80');
      expect(await listening(net.dhcp('routed'))).not.toContain('169.254.169.254:80');
      await net.end();
      net.edit((topology) => {
        topology.dhcp = {};
      });
      await net.up();
      expect(await listening(net.dhcp('meta'))).not.toContain('169.254.169.254:80');
    } finally {
      await net.remove();
    }
  });
});

describe('fe80::a9fe:a9fe that another agent of the network has', () => {
  let net: Rig;
  beforeAll(async () => {
    net = await rig(`
networks:
  - { name: a, subnets: [{ name: a-v4, cidr: 10.7.0.0/24 }] }
instances:
  - { name: other, network: a, configure: none }
  - { name: c1, network: a, fixed_ips: [{ ip_address: 10.7.0.5 }], configure: static }
`);
  });
  afterAll(() => net?.remove());

  test('[N15] stays its own; this one serves IPv4 only, and is at peace', async () => {
    const { device } = net.dhcpPort('a');
    await net.client('other').sh('ip address add fe80::a9fe:a9fe/64 dev eth0 nodad');
    net.edit((topology) => {
      topology.networks[0]!.subnets!.push({
        name: 'a-v6',
        cidr: '2001:db8:a::/64',
        ipv6_ra_mode: 'slaac',
        ipv6_address_mode: 'slaac',
      });
    });
    const own = () => net.dhcp('a').sh(`ip -6 -o address show dev ${device} to fe80::a9fe:a9fe`);
    await until('the duplicate is noticed', async () => (await own()).includes('dadfailed'));
    await net.converged();
    const events = (await net.viaduct('events', 'a')).stdout;
    await pause(5_000);
    expect((await net.viaduct('events', 'a')).stdout).toBe(events);
    const c1 = net.client('c1');
    await c1.sh(`ip route add 169.254.169.254/32 via ${net.dhcpPort('a').fixed_ips[0]!.ip_address}`);
    const { status, body } = await c1.curl(METADATA);
    expect([status, body]).toEqual([200, net.instanceId('c1')]);
    // Who answers at the IPv6 address is the other one, which has no service here.
    expect((await c1.curl(METADATA_V6)).status).toBe(0);
  });
});
