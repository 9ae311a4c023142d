import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  dhcpPort,
  macOf,
  networkPayload,
  portPayload,
  subnetPayload,
  type Wish,
} from '../agents/dhcp/compile/payload.ts';
import { Background, inNs, until } from '../e2e/shell.ts';
import { Advertiser } from './advertiser.ts';
import { DhcpSite } from './dhcp-site.ts';
import { Vm } from './vm.ts';

/** What clients that go on running hear of what changes, and clients that are somewhere else. */
let site: DhcpSite;
let machines: Vm[] = [];
let cleanUps: (() => Promise<void> | void)[] = [];

const vm = (number: number, bridge = site.bridge): Vm => {
  const made = new Vm(bridge, macOf(number));
  machines.push(made);
  return made;
};

beforeEach(() => {
  site = new DhcpSite();
});
afterEach(async () => {
  for (const machine of machines) await machine.remove();
  for (const cleanUp of cleanUps) await cleanUp();
  machines = [];
  cleanUps = [];
  await site.remove();
});

const has = (machine: Vm, version: 4 | 6, expected: string) =>
  until(
    `${machine.ns} has ${expected} and nothing else`,
    () => {
      const found = machine.addresses(version).join(' ');
      if (found === expected) return true;
      throw new Error(`it has ${found}`);
    },
    45_000,
  );

const V6 = subnetPayload(2, {
  ip_version: 6,
  cidr: 'fd00:2::/64',
  gateway_ip: 'fd00:2::1',
  ipv6_ra_mode: 'dhcpv6-stateful',
  ipv6_address_mode: 'dhcpv6-stateful',
});
const own = dhcpPort(99, [
  [1, '10.0.1.2'],
  [2, 'fd00:2::2'],
]);
const both = (number: number, last: number, wish: Wish = {}) =>
  portPayload(
    number,
    [
      [1, `10.0.1.${last}`],
      [2, `fd00:2::${last}`],
    ],
    wish,
  );
const payload = (subnet: Wish, ...ports: readonly unknown[]) =>
  networkPayload([subnetPayload(1, subnet), V6], [own, ...ports]);

describe('a running client', () => {
  beforeEach(async () => {
    await site.start(payload({}, both(5, 5)));
    const router = await Advertiser.start(
      site.bridge,
      'AdvManagedFlag on; prefix fd00:2::/64 { AdvAutonomous off; };',
    );
    cleanUps.push(() => router.remove());
  });

  test('keeps its addresses over a new start of agent and dnsmasq, and hears of changed options when it renews', async () => {
    const machine = vm(5);
    machine.dhcpcd();
    await has(machine, 4, '10.0.1.5/24');
    await has(machine, 6, 'fd00:2::5/128');
    const before = site.pid();
    await site.restart({ dhcp_lease_duration: 3_600 });
    expect(site.pid()).not.toBe(before);
    await site.change(payload({ dns_nameservers: ['192.0.2.99'] }, both(5, 5)));
    const capture = await machine.dhcpPackets();
    machine.rebind();
    const told = await until(
      'it was told',
      () => {
        const found = machine.told('REBIND', 'RENEW', 'BOUND');
        return found?.domain_name_servers === '192.0.2.99' && found;
      },
      30_000,
    );
    expect(told).toMatchObject({ ip_address: '10.0.1.5', dhcp_lease_time: '3600' });
    await until(
      'DHCPv6 answered, too',
      () => machine.told('REBIND6', 'RENEW6', 'REBOOT6') !== undefined,
      30_000,
    );
    expect(capture.lines.join('\n')).not.toContain('length 1: NACK');
    await has(machine, 4, '10.0.1.5/24');
    await has(machine, 6, 'fd00:2::5/128');
  });

  test('has the new address of its port when it asks again, and another port has the old ones', async () => {
    // Not of DHCPv6: dnsmasq 2.90 lets a client that rebinds have its address, whoever it is for by now.
    const machine = vm(5);
    machine.dhcpcd('-4');
    await has(machine, 4, '10.0.1.5/24');
    await site.change(payload({}, both(5, 15), both(6, 5)));
    expect(await site.leases()).not.toMatch(/ (10\.0\.1\.5|fd00:2::5) /);
    machine.rebind();
    await has(machine, 4, '10.0.1.15/24');
    const other = vm(6);
    const [v4, v6] = [await other.dhclient(), await other.dhclient6()];
    expect([v4?.ip_address, v6?.ip6_address]).toEqual(['10.0.1.5', 'fd00:2::5']);
    expect(site.warnings).toEqual([]);
  });
});

describe('metadata', () => {
  test('[N20] is reached through the port of an OVN metadata agent, if the network has one', async () => {
    const ovn = portPayload(50, [[1, '10.0.1.50']], {
      device_owner: 'network:distributed',
      device_id: 'ovnmeta-000a0001-0000-4000-8000-000000000000',
    });
    await site.remove();
    site = new DhcpSite({ force_metadata: true });
    const agent = dhcpPort(99, [[1, '10.0.1.2']]);
    const port = portPayload(5, [[1, '10.0.1.5']]);
    await site.start(networkPayload([subnetPayload(1)], [agent, port, ovn]));
    const [first, second] = [vm(5), vm(50)];
    const [told, none] = await Promise.all([first.dhclient(), second.dhclient()]);
    const METADATA = '32 169 254 169 254';
    expect(told?.classless_routes).toBe(`${METADATA} 10 0 1 50 0 10 0 1 1`);
    expect(told?.microsoft_routes).toBe(told?.classless_routes);
    expect(none).toBeUndefined();
    await site.change(networkPayload([subnetPayload(1)], [agent, port]));
    first.forgetLeases();
    expect((await first.dhclient())?.classless_routes).toBe(`${METADATA} 10 0 1 2 0 10 0 1 1`);
  });
});

describe('a routed network', () => {
  const SEGMENTS = ['00000000-0000-4000-8000-0000000000d1', '00000000-0000-4000-8000-0000000000d2'] as const;
  const subnet = (number: number, segment_id: string) => subnetPayload(number, { segment_id });

  test('[J22] serves the subnets of its segment here, and those of others only by way of a relay there', async () => {
    const agent = dhcpPort(99, [[1, '10.0.1.2']]);
    const ports = [
      portPayload(5, [[1, '10.0.1.5']]),
      portPayload(6, [[2, '10.0.2.6']]),
      portPayload(7, [[3, '10.0.3.7']]),
    ];
    await site.start(
      networkPayload([subnet(1, SEGMENTS[0]), subnet(3, SEGMENTS[0])], [agent, ...ports], {
        non_local_subnets: [subnet(2, SEGMENTS[1])],
      }),
    );
    const [here, stray] = [vm(5), vm(6)];
    const [told, nothing] = await Promise.all([here.dhclient(), stray.dhclient()]);
    expect(told?.ip_address).toBe('10.0.1.5');
    // On-link is what is in the same segment.
    expect(told?.classless_routes).toBe('24 10 0 3 0 0 0 0 0 10 0 1 1');
    expect(nothing).toBeUndefined();
    expect(await site.sh('ip -4 -o address show scope global')).not.toContain('10.0.2.');
    await stray.remove();
    machines = machines.filter((machine) => machine !== stray);
    const there = vm(6, await relay());
    expect(await there.dhclient()).toMatchObject({ ip_address: '10.0.2.6', routers: '10.0.2.1' });
  });

  /** The router between two segments, with a DHCP relay in it; returns the bridge of the other segment. */
  async function relay(): Promise<string> {
    const [ns, bridge] = [`vdtrly${process.pid.toString(36)}`, `vdtb${process.pid.toString(36)}`] as const;
    const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' });
    ip('netns', 'add', ns);
    ip('link', 'add', bridge, 'type', 'bridge');
    ip('link', 'set', bridge, 'up');
    const ends = [
      [`${ns}a`, 'eth0', site.bridge, '10.0.1.1/24'],
      [`${ns}b`, 'eth1', bridge, '10.0.2.1/24'],
    ] as const;
    for (const [root, device, master, address] of ends) {
      ip('link', 'add', root, 'type', 'veth', 'peer', 'name', device, 'netns', ns);
      ip('link', 'set', root, 'master', master, 'up');
      ip('-n', ns, 'address', 'add', address, 'dev', device);
      ip('-n', ns, 'link', 'set', device, 'up');
    }
    const words = ['-k', '-C', '/dev/null', '--port=0', '--pid-file=', '--log-facility=-', '--user=root'];
    const program = new Background(inNs(ns, 'dnsmasq', ...words, '--dhcp-relay=10.0.2.1,10.0.1.2'));
    cleanUps.push(async () => {
      await program.stop('SIGKILL');
      for (const [root] of ends) ip('link', 'del', root);
      ip('link', 'del', bridge);
      ip('netns', 'del', ns);
    });
    await until('the relay listens', () => program.lines.some((line) => /DHCP relay/.test(line)));
    return bridge;
  }
});
