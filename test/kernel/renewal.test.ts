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
import { type Told, Vm } from './vm.ts';

/** Clients that go on running ask their server for more time, while agents and ports come and go. */
let site: DhcpSite;
let machines: Vm[] = [];
let router: Advertiser | undefined;

const vm = (number: number): Vm => {
  const made = new Vm(site.bridge, macOf(number));
  machines.push(made);
  return made;
};

beforeEach(() => {
  site = new DhcpSite();
});
afterEach(async () => {
  for (const machine of machines) await machine.remove();
  await router?.remove();
  machines = [];
  router = undefined;
  await site.remove();
});

const toldOf = (machine: Vm, ...reasons: string[]): Promise<Told> =>
  until(`${machine.ns} hears ${reasons.join(' or ')}`, () => machine.told(...reasons), 30_000);

const V4 = (wish: Wish = {}) => subnetPayload(1, { dns_nameservers: ['192.0.2.53'], ...wish });
const V6 = (mode: string, wish: Wish = {}) =>
  subnetPayload(2, {
    ip_version: 6,
    cidr: 'fd00:2::/64',
    gateway_ip: 'fd00:2::1',
    ipv6_ra_mode: mode,
    ipv6_address_mode: mode,
    dns_nameservers: ['fd00::53'],
    ...wish,
  });
const own = dhcpPort(99, [
  [1, '10.0.1.2'],
  [2, 'fd00:2::2'],
]);
const both = (number: number, wish: Wish = {}) =>
  portPayload(
    number,
    [
      [1, `10.0.1.${number}`],
      [2, `fd00:2::${number}`],
    ],
    wish,
  );
const bootfile = (opt_value: string) => ({
  extra_dhcp_opts: [{ opt_name: 'bootfile-url', opt_value, ip_version: 6 }],
});

describe('a client that renews', () => {
  test('keeps address, routes and options of both versions: nothing changed, ports changed, a new agent, a new dnsmasq', async () => {
    const payload = (...others: readonly unknown[]) =>
      networkPayload([V4(), V6('dhcpv6-stateful')], [own, both(5), ...others]);
    await site.start(payload());
    router = await Advertiser.start(
      site.bridge,
      'AdvManagedFlag on; prefix fd00:2::/64 { AdvAutonomous off; };',
    );
    const machine = vm(5);
    machine.dhcpcd();
    await toldOf(machine, 'BOUND');
    await toldOf(machine, 'BOUND6');
    const routes = [machine.routes(4), machine.routes(6).replace(/ expires \d+sec/g, '')];
    const dnsmasq = site.pid();
    const capture = await machine.dhcpPackets();

    const steps: readonly (readonly [what: string, step: () => Promise<void>])[] = [
      ['nothing changed', async () => {}],
      ['another port came', () => site.change(payload(both(6)))],
      ['and went', () => site.change(payload())],
      ['the agent is another one', () => site.restart()],
      ['dnsmasq is another one', () => site.restart({ dhcp_lease_duration: 3_600 })],
    ];
    for (const [what, step] of steps) {
      await step();
      machine.renew();
      expect(await toldOf(machine, 'RENEW'), what).toMatchObject({
        ip_address: '10.0.1.5',
        domain_name_servers: '192.0.2.53',
        domain_name: 'openstacklocal',
        interface_mtu: '1450',
        routers: '10.0.1.1',
      });
      expect(await toldOf(machine, 'RENEW6'), what).toMatchObject({
        dhcp6_ia_na1_ia_addr1: 'fd00:2::5',
        dhcp6_name_servers: 'fd00::53',
        dhcp6_domain_search: 'openstacklocal',
      });
      expect([machine.addresses(4), machine.addresses(6)], what).toEqual([
        ['10.0.1.5/24'],
        ['fd00:2::5/128'],
      ]);
      expect([machine.routes(4), machine.routes(6).replace(/ expires \d+sec/g, '')], what).toEqual(routes);
      if (what === 'the agent is another one') expect(site.pid()).toBe(dnsmasq);
    }
    expect(site.pid()).not.toBe(dnsmasq);
    const seen = capture.lines.join('\n');
    expect(seen).not.toContain('length 1: NACK');
    // Of its server, and of nobody else.
    expect(seen).toMatch(/10\.0\.1\.5\.68 > 10\.0\.1\.2\.67: /);
    expect(seen).toMatch(/dhcp6 renew/);
    expect(seen).not.toMatch(/dhcp6 (solicit|rebind)|: Discover/);
  });

  test('hears of options of its port and subnet that changed', async () => {
    const payload = (v4: Wish, wish: Wish) =>
      networkPayload([V4(v4), V6('dhcpv6-stateful')], [own, both(5, wish)]);
    await site.start(payload({}, bootfile('http://old.example/x')));
    router = await Advertiser.start(
      site.bridge,
      'AdvManagedFlag on; prefix fd00:2::/64 { AdvAutonomous off; };',
    );
    const machine = vm(5);
    machine.dhcpcd();
    await toldOf(machine, 'BOUND');
    expect(await toldOf(machine, 'BOUND6')).toMatchObject({ dhcp6_bootfile_url: 'http://old.example/x' });
    await site.change(payload({ dns_nameservers: ['192.0.2.99'] }, bootfile('http://new.example/x')));
    machine.renew();
    expect(await toldOf(machine, 'RENEW')).toMatchObject({
      ip_address: '10.0.1.5',
      domain_name_servers: '192.0.2.99',
    });
    expect(await toldOf(machine, 'RENEW6')).toMatchObject({
      dhcp6_ia_na1_ia_addr1: 'fd00:2::5',
      dhcp6_bootfile_url: 'http://new.example/x',
    });
  });

  test('stateless: it asks for options again and has those of now, beside the address it made itself', async () => {
    const address = eui64('fd00:2::/64', macOf(5));
    const agent = dhcpPort(99, [[2, 'fd00:2::2']]);
    const payload = (url: string) =>
      networkPayload([V6('dhcpv6-stateless')], [agent, portPayload(5, [[2, address]], bootfile(url))]);
    await site.start(payload('http://old.example/x'));
    router = await Advertiser.start(site.bridge, 'AdvOtherConfigFlag on; prefix fd00:2::/64 { };');
    const machine = vm(5);
    machine.dhcpcd();
    expect(await toldOf(machine, 'INFORM6')).toMatchObject({ dhcp6_bootfile_url: 'http://old.example/x' });
    await site.restart({ dhcp_lease_duration: 3_600 });
    await site.change(payload('http://new.example/x'));
    machine.rebind();
    expect(await toldOf(machine, 'INFORM6')).toMatchObject({
      dhcp6_bootfile_url: 'http://new.example/x',
      dhcp6_name_servers: 'fd00::53',
    });
    expect(machine.addresses(6)).toEqual([`${address}/64`]);
  });

  test('dhclient does so when T1 is over, again and again, whatever becomes of the agent', async () => {
    await site.remove();
    // dnsmasq takes no T1 below 3 s.
    site = new DhcpSite({ dhcp_renewal_time: 5, dhcp_rebinding_time: 500 });
    const payload = (v4: Wish = {}) => networkPayload([V4(v4)], [own, portPayload(5, [[1, '10.0.1.5']])]);
    await site.start(payload());
    const machine = vm(5);
    machine.dhclientStays();
    await toldOf(machine, 'BOUND');
    const capture = await machine.dhcpPackets();
    expect(await toldOf(machine, 'RENEW')).toMatchObject({
      ip_address: '10.0.1.5',
      domain_name_servers: '192.0.2.53',
      dhcp_renewal_time: '5',
    });
    await site.restart();
    await site.change(payload({ dns_nameservers: ['192.0.2.99'] }));
    await until(
      'it hears of the other name server',
      () => machine.told('RENEW')?.domain_name_servers === '192.0.2.99',
      30_000,
    );
    expect(machine.told('RENEW')).toMatchObject({ ip_address: '10.0.1.5', routers: '10.0.1.1' });
    const seen = capture.lines.join('\n');
    expect(seen).toMatch(/10\.0\.1\.5\.68 > 10\.0\.1\.2\.67: /);
    expect(seen).not.toMatch(/length 1: NACK|: Discover/);
  });
});
