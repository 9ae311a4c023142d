import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eui64 } from '../../lib/model/ip.ts';
import {
  dhcpPort,
  macOf,
  networkPayload,
  portPayload,
  subnetPayload,
  type Wish,
} from '../agents/dhcp/compile/payload.ts';
import { until } from '../e2e/shell.ts';
import { Advertiser } from './advertiser.ts';
import { DhcpSite } from './dhcp-site.ts';
import { Vm } from './vm.ts';

const PREFIX = 'fd00:1::/64';
type Mode = 'slaac' | 'dhcpv6-stateless' | 'dhcpv6-stateful' | null;

const v6 = (ra: Mode, address: Mode, wish: Wish = {}) =>
  subnetPayload(1, {
    ip_version: 6,
    cidr: PREFIX,
    gateway_ip: 'fd00:1::1',
    ipv6_ra_mode: ra,
    ipv6_address_mode: address,
    dns_nameservers: ['fd00::53'],
    ...wish,
  });
const bootfile = { opt_name: 'bootfile-url', opt_value: 'http://boot.example/x', ip_version: 6 };

let site: DhcpSite;
let routers: Advertiser[] = [];
let machines: Vm[] = [];

const vm = (number: number): Vm => {
  const made = new Vm(site.bridge, macOf(number));
  machines.push(made);
  return made;
};
const router = async (options: string): Promise<void> => {
  routers.push(await Advertiser.start(site.bridge, options));
};

beforeEach(() => {
  site = new DhcpSite();
});
afterEach(async () => {
  for (const machine of machines) await machine.remove();
  for (const one of routers) await one.remove();
  machines = [];
  routers = [];
  await site.remove();
});

/** contract §12: who serves. Addresses and options that a client gets from dnsmasq by asking for them. */
describe('who is served by DHCPv6', () => {
  const own = dhcpPort(99, [[1, 'fd00:1::2']]);
  const auto = (number: number): string => eui64(PREFIX, macOf(number));

  test.each<[ra: Mode, address: Mode, gives: 'addresses' | 'options' | 'nothing']>([
    [null, null, 'addresses'],
    [null, 'slaac', 'nothing'],
    [null, 'dhcpv6-stateless', 'options'],
    [null, 'dhcpv6-stateful', 'addresses'],
    ['slaac', null, 'nothing'],
    ['dhcpv6-stateless', null, 'nothing'],
    ['dhcpv6-stateful', null, 'nothing'],
    ['slaac', 'slaac', 'nothing'],
    ['dhcpv6-stateless', 'dhcpv6-stateless', 'options'],
    ['dhcpv6-stateful', 'dhcpv6-stateful', 'addresses'],
  ])('[L1] [L2] [L3] with ra_mode %s and address_mode %s clients get %s', async (ra, address, gives) => {
    const fixed = (number: number): string =>
      [ra, address].some((mode) => mode === 'slaac' || mode === 'dhcpv6-stateless')
        ? auto(number)
        : `fd00:1::${number}`;
    const port = (number: number, wish: Wish = {}) => portPayload(number, [[1, fixed(number)]], wish);
    const ports = [port(5), port(6, { extra_dhcp_opts: [bootfile] })];
    await site.start(networkPayload([v6(ra, address)], [own, ...ports]));
    const [asking, informed, unknown] = [vm(5), vm(6), vm(7)] as const;
    const [lease, information, foreign] = await Promise.all([
      asking.dhclient6(),
      informed.dhclient6('-S'),
      unknown.dhclient6(),
    ]);
    expect(lease?.ip6_address).toBe(gives === 'addresses' ? 'fd00:1::5' : undefined);
    expect(foreign?.ip6_address).toBeUndefined();
    if (gives === 'nothing') {
      expect(information).toBeUndefined();
      return;
    }
    expect(information).toMatchObject({
      dhcp6_name_servers: 'fd00::53',
      dhcp6_domain_search: 'openstacklocal.',
      dhcp6_bootfile_url: 'http://boot.example/x',
    });
  });
});

const MANAGED = `AdvManagedFlag on; prefix ${PREFIX} { AdvAutonomous off; };`;
const OTHER = `AdvOtherConfigFlag on; prefix ${PREFIX} { };`;
const AUTONOMOUS = `prefix ${PREFIX} { };`;
const auto = (number: number, prefix = PREFIX): string => eui64(prefix, macOf(number));

describe('a client that follows router advertisements', () => {
  const own = dhcpPort(99, [[1, 'fd00:1::2']]);
  const has = (machine: Vm, version: 4 | 6, expected: string[]) =>
    until(
      `${machine.ns} has ${expected.join(' ')}`,
      () => {
        const found = machine.addresses(version);
        if (found.join() === expected.join()) return true;
        throw new Error(`it has ${found.join(' ')}`);
      },
      40_000,
    );

  const toldOf = (machine: Vm, reason: string) =>
    until(`${machine.ns} hears ${reason}`, () => machine.told(reason), 30_000);

  test('[L1] stateful: its fixed address by DHCPv6, and no other', async () => {
    await site.start(
      networkPayload([v6('dhcpv6-stateful', 'dhcpv6-stateful')], [own, portPayload(5, [[1, 'fd00:1::5']])]),
    );
    await router(MANAGED);
    const machine = vm(5);
    machine.dhcpcd();
    await has(machine, 6, ['fd00:1::5/128']);
    expect(await toldOf(machine, 'BOUND6')).toMatchObject({
      dhcp6_name_servers: 'fd00::53',
      dhcp6_domain_search: 'openstacklocal',
      dhcp6_ia_na1_ia_addr1_vltime: '86400',
    });
    expect(machine.routes(6)).toMatch(/^default via fe80::/m);
  });

  test('[L2] stateless: the address it makes itself, with options by DHCPv6', async () => {
    const extra_dhcp_opts = [bootfile];
    await site.start(
      networkPayload(
        [v6('dhcpv6-stateless', 'dhcpv6-stateless')],
        [own, portPayload(5, [[1, auto(5)]], { extra_dhcp_opts })],
      ),
    );
    await router(OTHER);
    const machine = vm(5);
    machine.dhcpcd();
    await has(machine, 6, [`${auto(5)}/64`]);
    expect(await toldOf(machine, 'INFORM6')).toMatchObject({
      dhcp6_name_servers: 'fd00::53',
      dhcp6_domain_search: 'openstacklocal',
      dhcp6_bootfile_url: 'http://boot.example/x',
    });
  });

  test("[L3] SLAAC: the kernel's address is the fixed one; dnsmasq has nothing to do with it", async () => {
    await site.start(networkPayload([v6('slaac', 'slaac')], [own, portPayload(5, [[1, auto(5)]])]));
    await router(AUTONOMOUS);
    const machine = vm(5);
    machine.slaac();
    await has(machine, 6, [`${auto(5)}/64`]);
    expect(machine.routes(6)).toMatch(/^default via fe80::/m);
    expect(site.file('host')).toBe('');
  });

  test('dual stack: one client has the addresses, routes, MTU and servers of both', async () => {
    const v4 = subnetPayload(2, {
      cidr: '10.0.2.0/24',
      dns_nameservers: ['192.0.2.53'],
      host_routes: [{ destination: '10.77.0.0/16', nexthop: '10.0.2.7' }],
    });
    const both = (number: number, wish: Wish = {}) =>
      portPayload(
        number,
        [
          [2, `10.0.2.${number}`],
          [1, `fd00:1::${number}`],
        ],
        wish,
      );
    const options = [bootfile, { opt_name: 'ntp-server', opt_value: '192.0.2.123', ip_version: 4 }];
    await site.start(
      networkPayload(
        [v6('dhcpv6-stateful', 'dhcpv6-stateful'), v4],
        [
          dhcpPort(99, [
            [1, 'fd00:1::2'],
            [2, '10.0.2.2'],
          ]),
          both(5, { extra_dhcp_opts: options }),
          both(6),
        ],
      ),
    );
    await router(MANAGED);
    const [machine, other] = [vm(5), vm(6)];
    machine.dhcpcd();
    other.dhcpcd();
    await has(machine, 4, ['10.0.2.5/24']);
    await has(machine, 6, ['fd00:1::5/128']);
    await has(other, 4, ['10.0.2.6/24']);
    await has(other, 6, ['fd00:1::6/128']);
    expect(await toldOf(machine, 'BOUND')).toMatchObject({
      domain_name_servers: '192.0.2.53',
      domain_name: 'openstacklocal',
      interface_mtu: '1450',
      ntp_servers: '192.0.2.123',
    });
    expect(await toldOf(machine, 'BOUND6')).toMatchObject({
      dhcp6_name_servers: 'fd00::53',
      dhcp6_bootfile_url: 'http://boot.example/x',
    });
    expect(await toldOf(other, 'BOUND')).not.toHaveProperty('ntp_servers');
    expect(await toldOf(other, 'BOUND6')).not.toHaveProperty('dhcp6_bootfile_url');
    expect(machine.routes(4)).toMatch(/^10\.77\.0\.0\/16 via 10\.0\.2\.7 /m);
    expect(machine.routes(4)).toMatch(/^default via 10\.0\.2\.1 /m);
    // dhcpcd leaves the device as it is and tells its routes.
    expect(machine.routes(4)).toContain('mtu 1450');
  });

  test('subnets of different modes on one network: each is as its own mode says', async () => {
    const [second, third] = ['fd00:2::/64', 'fd00:3::/64'] as const;
    const of = (number: number, mode: Mode, cidr: string) => ({
      ...subnetPayload(number),
      ip_version: 6,
      cidr,
      gateway_ip: cidr.replace('/64', '1'),
      ipv6_ra_mode: mode,
      ipv6_address_mode: mode,
    });
    const subnets = [
      v6('dhcpv6-stateful', 'dhcpv6-stateful'),
      of(2, 'slaac', second),
      of(3, 'dhcpv6-stateless', third),
      subnetPayload(4),
      subnetPayload(5, { enable_dhcp: false }),
    ];
    const port = (number: number) =>
      portPayload(number, [
        [1, `fd00:1::${number}`],
        [2, auto(number, second)],
        [3, auto(number, third)],
        [4, `10.0.4.${number}`],
        [5, `10.0.5.${number}`],
      ]);
    const agent = dhcpPort(99, [
      [1, 'fd00:1::2'],
      [2, auto(99, second)],
      [3, auto(99, third)],
      [4, '10.0.4.2'],
    ]);
    await site.start(networkPayload(subnets, [agent, port(5)]));
    await router(`${MANAGED} prefix ${second} { }; prefix ${third} { };`);
    const machine = vm(5);
    machine.dhcpcd();
    await has(machine, 6, ['fd00:1::5/128', `${auto(5, second)}/64`, `${auto(5, third)}/64`]);
    await has(machine, 4, ['10.0.4.5/24']);
  });
});

describe('leases of DHCPv6', () => {
  const own = dhcpPort(99, [[1, 'fd00:1::2']]);
  const subnet = v6('dhcpv6-stateful', 'dhcpv6-stateful');
  const at = (number: number, ip: string, wish: Wish = {}) => portPayload(number, [[1, ip]], wish);
  const payload = (...ports: readonly unknown[]) => networkPayload([subnet], [own, ...ports]);

  test('[J10] [L7] of a removed port is released: the address serves another one at the first try', async () => {
    await site.start(payload(at(5, 'fd00:1::5'), at(6, 'fd00:1::6')));
    const before = site.pid();
    const [first, second, next] = [vm(5), vm(6), vm(7)] as const;
    expect((await first.dhclient6())?.ip6_address).toBe('fd00:1::5');
    expect((await second.dhclient6())?.ip6_address).toBe('fd00:1::6');
    expect(await site.leases()).toContain(' fd00:1::5 ');
    await site.change(payload(at(6, 'fd00:1::6')));
    expect(await site.leases()).not.toContain(' fd00:1::5 ');
    expect(await site.leases()).toContain(' fd00:1::6 ');
    await site.change(payload(at(6, 'fd00:1::6'), at(7, 'fd00:1::5')));
    expect((await next.dhclient6())?.ip6_address).toBe('fd00:1::5');
    expect(site.pid()).toBe(before);
    expect(site.warnings).toEqual([]);
  });

  test('[L7] of a port with another address is released, and the port gets its new one', async () => {
    await site.start(payload(at(5, 'fd00:1::5')));
    const machine = vm(5);
    expect((await machine.dhclient6())?.ip6_address).toBe('fd00:1::5');
    await site.change(payload(at(5, 'fd00:1::15')));
    expect(await site.leases()).not.toContain(' fd00:1::5 ');
    machine.forgetLeases();
    expect((await machine.dhclient6())?.ip6_address).toBe('fd00:1::15');
    expect(site.warnings).toEqual([]);
  });

  test('[L6] are kept, with the identity of the server, when dnsmasq and the agent are new', async () => {
    await site.start(payload(at(5, 'fd00:1::5')));
    const machine = vm(5);
    expect((await machine.dhclient6())?.ip6_address).toBe('fd00:1::5');
    const leases = await site.leases();
    const before = site.pid();
    await site.restart({ dhcp_lease_duration: 7_200 });
    expect(site.pid()).not.toBe(before);
    expect(await site.leases()).toBe(leases);
    expect((await machine.dhclient6())?.ip6_address).toBe('fd00:1::5');
    expect(await site.leases()).toContain(' fd00:1::5 ');
  });

  test('[L5] with dnsmasq_enable_addr6_list a port that comes with another DUID has its second address', async () => {
    const two = portPayload(5, [
      [1, 'fd00:1::5'],
      [1, 'fd00:1::15'],
    ]);
    const addressesIn = async (options: Wish): Promise<(string | undefined)[]> => {
      await site.remove();
      site = new DhcpSite(options);
      await site.start(payload(two));
      const machine = vm(5);
      const first = await machine.dhclient6('-D', 'LLT');
      machine.forgetLeases();
      const second = await machine.dhclient6('-D', 'LL');
      await machine.remove();
      machines = [];
      return [first?.ip6_address, second?.ip6_address].sort();
    };
    expect(await addressesIn({ dnsmasq_enable_addr6_list: true })).toEqual(['fd00:1::15', 'fd00:1::5']);
    expect(await addressesIn({})).toContain(undefined);
  });

  test('[L4] a client id of the port is for DHCPv4: entries of one version do not answer the other', async () => {
    const v4 = subnetPayload(2, { cidr: '10.0.2.0/24' });
    const extra_dhcp_opts = [{ opt_name: 'client-id', opt_value: 'abc', ip_version: 4 }];
    const agent = dhcpPort(99, [
      [1, 'fd00:1::2'],
      [2, '10.0.2.2'],
    ]);
    const port = portPayload(
      5,
      [
        [2, '10.0.2.5'],
        [1, 'fd00:1::5'],
      ],
      { extra_dhcp_opts },
    );
    await site.start(networkPayload([subnet, v4], [agent, port]));
    const machine = vm(5);
    expect((await machine.dhclient())?.ip_address).toBe('10.0.2.5');
    expect((await machine.dhclient6())?.ip6_address).toBe('fd00:1::5');
    machine.forgetLeases();
    machine.sends('send dhcp-client-identifier "abc";');
    expect((await machine.dhclient())?.ip_address).toBe('10.0.2.5');
    // This dnsmasq tells the versions apart by their addresses, too; older ones do by the tag alone.
    const lines = site.file('host').trim().split('\n');
    expect(lines.map((line) => line.split(',').slice(1, -2))).toEqual([['id:abc'], ['tag:dhcpv6', 'id:abc']]);
  });

  test('[L8] a subnet with a prefix shorter than 64 is not served, the others are', async () => {
    const short = subnetPayload(2, { ip_version: 6, cidr: 'fd00:2::/56', gateway_ip: 'fd00:2::1' });
    const agent = dhcpPort(99, [
      [1, 'fd00:1::2'],
      [2, 'fd00:2::2'],
    ]);
    await site.start(
      networkPayload([subnet, short], [agent, at(5, 'fd00:1::5'), portPayload(6, [[2, 'fd00:2::6']])]),
    );
    expect(site.argv().filter((arg) => arg.startsWith('--dhcp-range='))).toHaveLength(1);
    const [served, not] = await Promise.all([vm(5).dhclient6(), vm(6).dhclient6()]);
    expect([served?.ip6_address, not?.ip6_address]).toEqual(['fd00:1::5', undefined]);
  });

  test('[L9] the DHCP namespace follows no router advertisement', async () => {
    await site.start(payload(at(5, 'fd00:1::5')));
    await router(AUTONOMOUS);
    const machine = vm(5);
    machine.slaac();
    await until('the machine has heard the router', () => machine.addresses(6).length > 0, 30_000);
    const shown = await site.sh('ip -6 -o address show scope global');
    expect([...shown.matchAll(/inet6 (\S+)/g)].map((match) => match[1])).toEqual(['fd00:1::2/64']);
  });
});
