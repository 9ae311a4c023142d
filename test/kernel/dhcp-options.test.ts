import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import {
  dhcpPort,
  macOf,
  networkPayload,
  portId,
  portPayload,
  subnetPayload,
  type Wish,
} from '../agents/dhcp/compile/payload.ts';
import { Background, inNs, until } from '../e2e/shell.ts';
import { DhcpSite } from './dhcp-site.ts';
import { Vm } from './vm.ts';

/** What clients of both versions are told, and what dnsmasq answers, by options of ports, subnets and the agent. */
let site: DhcpSite;
let machines: Vm[] = [];

const vm = (number: number): Vm => {
  const made = new Vm(site.bridge, macOf(number));
  machines.push(made);
  return made;
};

afterEach(async () => {
  for (const machine of machines) await machine.remove();
  machines = [];
  await site.remove();
});

const own = dhcpPort(99, [[1, '10.0.1.2']]);
const port = (number: number, wish: Wish = {}) => portPayload(number, [[1, `10.0.1.${number}`]], wish);
const option = (opt_name: string, opt_value: string, ip_version = 4) => ({ opt_name, opt_value, ip_version });
const withOptions = (number: number, ...extra_dhcp_opts: object[]) => port(number, { extra_dhcp_opts });

async function served(
  subnet: Wish,
  ports: readonly unknown[],
  options: Wish = {},
  network: Wish = {},
): Promise<void> {
  site = new DhcpSite(options);
  await site.start(networkPayload([subnetPayload(1, subnet)], [own, ...ports], network));
}

/** A machine that has its address by hand, to ask dnsmasq for names. */
async function asker(number: number): Promise<(...question: string[]) => Promise<string>> {
  const machine = vm(number);
  await machine.sh(`ip address add 10.0.1.${number}/24 dev eth0`);
  return async (...question) => {
    const { stdout } = await machine.run('dig', '+short', '+time=2', '+tries=3', '@10.0.1.2', ...question);
    return stdout.trim();
  };
}

describe('options of ports', () => {
  test('[K10] [K13] by name and by number they reach that port only', async () => {
    await served({}, [
      withOptions(
        5,
        option('tftp-server', '192.0.2.9'),
        option('67', 'pxe.0'),
        option('ntp-server', '192.0.2.123'),
      ),
      withOptions(6, option('bootfile-name', 'other.0')),
      port(7),
    ]);
    const [first, second, third] = await Promise.all([vm(5).dhclient(), vm(6).dhclient(), vm(7).dhclient()]);
    expect(first).toMatchObject({
      ip_address: '10.0.1.5',
      tftp_server_name: '192.0.2.9',
      bootfile_name: 'pxe.0',
      ntp_servers: '192.0.2.123',
    });
    expect(second).toMatchObject({ ip_address: '10.0.1.6', bootfile_name: 'other.0' });
    expect(third?.ip_address).toBe('10.0.1.7');
    for (const name of ['tftp_server_name', 'bootfile_name', 'ntp_servers'])
      expect(third).not.toHaveProperty(name);
  });

  test('[K11] [K13] of DHCPv6 by name and by number', async () => {
    const v6 = { ip_version: 6, cidr: 'fd00:1::/64', gateway_ip: 'fd00:1::1' };
    const at = (number: number, ...extra_dhcp_opts: object[]) =>
      portPayload(number, [[1, `fd00:1::${number}`]], { extra_dhcp_opts });
    site = new DhcpSite();
    await site.start(
      networkPayload(
        [subnetPayload(1, v6)],
        [
          dhcpPort(99, [[1, 'fd00:1::2']]),
          at(5, option('bootfile-url', 'http://a.example/x', 6), option('31', '[fd00::7b]', 6)),
          at(6, option('59', 'http://b.example/y', 6)),
          at(7, option('67', 'of the other version', 4)),
        ],
      ),
    );
    const [first, second, third] = await Promise.all([
      vm(5).dhclient6(),
      vm(6).dhclient6(),
      vm(7).dhclient6(),
    ]);
    expect(first).toMatchObject({
      ip6_address: 'fd00:1::5',
      dhcp6_bootfile_url: 'http://a.example/x',
      dhcp6_sntp_servers: 'fd00::7b',
    });
    expect(second).toMatchObject({ ip6_address: 'fd00:1::6', dhcp6_bootfile_url: 'http://b.example/y' });
    expect(third?.ip6_address).toBe('fd00:1::7');
    expect(third).not.toHaveProperty('dhcp6_bootfile_url');
  });

  test('[J12] [K13] with tag:ipxe they reach iPXE clients only', async () => {
    await served({}, [
      withOptions(5, option('tag:ipxe,67', 'http://boot/x'), option('tag:!ipxe,67', 'undionly.kpxe')),
    ]);
    const machine = vm(5);
    expect(await machine.dhclient()).toMatchObject({ bootfile_name: 'undionly.kpxe' });
    machine.forgetLeases();
    machine.sends('option ipxe code 175 = text; send ipxe "x";');
    expect(await machine.dhclient()).toMatchObject({ bootfile_name: 'http://boot/x' });
  });

  test('[K12] a client that comes with the client id of its port has the address, whatever its MAC; any id does for *', async () => {
    await served({}, [withOptions(5, option('client-id', '01:02:03:04')), withOptions(6, option('61', '*'))]);
    const [other, any] = [vm(25), vm(6)];
    other.sends('send dhcp-client-identifier 01:02:03:04;');
    any.sends('send dhcp-client-identifier "whatever";');
    const [byId, byMac] = await Promise.all([other.dhclient(), any.dhclient()]);
    expect([byId?.ip_address, byMac?.ip_address]).toEqual(['10.0.1.5', '10.0.1.6']);
    any.sends('send dhcp-client-identifier "another";');
    any.forgetLeases();
    expect((await any.dhclient())?.ip_address).toBe('10.0.1.6');
  });

  test('hostile ones are left out and named; the port itself and the others are served', async () => {
    const hostile = ['x\ntag:port-all,option:router,6.6.6.6', 'a"b', 'a #b', '\u0000', 'x'.repeat(10_240)];
    await served({}, [
      ...hostile.map((value, i) => withOptions(10 + i, option('224', value), option('67', 'good'))),
      ...hostile.map((value, i) => withOptions(20 + i, option(value, '1.2.3.4'), option('67', 'good'))),
      ...hostile.map((value, i) => withOptions(30 + i, option('client-id', value), option('67', 'good'))),
      port(40, { dns_assignment: [{ ip_address: '10.0.1.40', hostname: 'a,b', fqdn: 'a,10.0.1.41' }] }),
      port(41, { mac_address: 'fa:16:3e:00:00:29\n#' }),
      port(5),
    ]);
    const told = await Promise.all([5, 12, 20, 24, 34, 40].map((number) => vm(number).dhclient()));
    expect(told.map((one) => one?.ip_address)).toEqual(
      [5, 12, 20, 24, 34, 40].map((number) => `10.0.1.${number}`),
    );
    for (const one of told) expect(one?.routers).toBe('10.0.1.1');
    expect(told.slice(1, 5).map((one) => one?.bootfile_name)).toEqual(['good', 'good', 'good', 'good']);
    for (const [number, field] of [
      [12, 'opt_value'],
      [20, 'opt_name'],
      [34, 'client'],
      [40, 'hostname'],
      [41, 'mac_address'],
    ] as const)
      expect(site.warnings.some((text) => text.includes(portId(number)) && text.includes(field))).toBe(true);
    for (const warning of site.warnings) expect(warning).toMatch(/^network [0-9a-f-]{36}: /);
  });
});

describe('options of subnets', () => {
  test('[K4] name server 0.0.0.0 announces none', async () => {
    await served({ dns_nameservers: ['0.0.0.0'] }, [port(5)]);
    const told = await vm(5).dhclient();
    expect(told).toMatchObject({ ip_address: '10.0.1.5', routers: '10.0.1.1' });
    expect(told).not.toHaveProperty('domain_name_servers');
  });

  test('[K4] name server :: announces none to DHCPv6 clients', async () => {
    const v6 = { ip_version: 6, cidr: 'fd00:1::/64', gateway_ip: 'fd00:1::1', dns_nameservers: ['::'] };
    site = new DhcpSite();
    await site.start(
      networkPayload(
        [subnetPayload(1, v6)],
        [dhcpPort(99, [[1, 'fd00:1::2']]), portPayload(5, [[1, 'fd00:1::5']])],
      ),
    );
    const told = await vm(5).dhclient6();
    expect(told?.ip6_address).toBe('fd00:1::5');
    expect(told).not.toHaveProperty('dhcp6_name_servers');
  });

  test('[K3] without name servers all agents of the network are announced', async () => {
    await served({}, [port(5), dhcpPort(98, [[1, '10.0.1.3']], 'net-2')]);
    expect((await vm(5).dhclient())?.domain_name_servers).toBe('10.0.1.2 10.0.1.3');
  });
});

describe('packets', () => {
  test('[J14] leave with their UDP checksums computed, for clients that check them', async () => {
    const v6 = subnetPayload(2, { ip_version: 6, cidr: 'fd00:2::/64', gateway_ip: 'fd00:2::1' });
    site = new DhcpSite();
    const agent = dhcpPort(99, [
      [1, '10.0.1.2'],
      [2, 'fd00:2::2'],
    ]);
    const both = portPayload(5, [
      [1, '10.0.1.5'],
      [2, 'fd00:2::5'],
    ]);
    await site.start(networkPayload([subnetPayload(1), v6], [agent, both]));
    const machine = vm(5);
    const capture = await machine.dhcpPackets();
    expect((await machine.dhclient())?.ip_address).toBe('10.0.1.5');
    expect((await machine.dhclient6())?.ip6_address).toBe('fd00:2::5');
    const text = await until('both answers are captured', () => {
      const seen = capture.lines.join('\n');
      return (
        /\.67 > [\d.]+\.68: .*udp sum|\.67 > [\d.]+\.68: \[/.test(seen) &&
        /\.547 > .*\.546: \[/.test(seen) &&
        seen
      );
    });
    const answers = text.split('\n').filter((line) => /\.67 > [\d.]+\.68: |\.547 > .*\.546: /.test(line));
    expect(answers.length).toBeGreaterThan(3);
    for (const answer of answers) expect(answer).toContain('[udp sum ok]');
  });
});

describe('names', () => {
  const dns_assignment = [{ ip_address: '10.0.1.6', hostname: 'web', fqdn: 'web.a.example.' }];

  test('[K15] [K16] of ports are answered: A, AAAA and PTR, generated and assigned ones', async () => {
    const v6 = subnetPayload(2, { ip_version: 6, cidr: 'fd00:2::/64', gateway_ip: 'fd00:2::1' });
    site = new DhcpSite();
    const agent = dhcpPort(99, [
      [1, '10.0.1.2'],
      [2, 'fd00:2::2'],
    ]);
    const both = portPayload(5, [
      [1, '10.0.1.5'],
      [2, 'fd00:2::5'],
    ]);
    await site.start(networkPayload([subnetPayload(1), v6], [agent, both, port(6, { dns_assignment })]));
    const ask = await asker(5);
    expect(await ask('host-10-0-1-5.openstacklocal')).toBe('10.0.1.5');
    expect(await ask('host-fd00-2--5.openstacklocal', 'AAAA')).toBe('fd00:2::5');
    expect(await ask('-x', '10.0.1.5')).toBe('host-10-0-1-5.openstacklocal.');
    expect(await ask('-x', 'fd00:2::5')).toBe('host-fd00-2--5.openstacklocal.');
    expect(await ask('web.a.example')).toBe('10.0.1.6');
    expect(await ask('-x', '10.0.1.6')).toBe('web.a.example.');
    await site.change(networkPayload([subnetPayload(1), v6], [agent, both, port(7)]));
    expect(await ask('web.a.example')).toBe('');
    expect(await ask('host-10-0-1-7.openstacklocal')).toBe('10.0.1.7');
  });

  test('[K17] of others are asked of the forwarders, and of nobody without them', async () => {
    await served({}, [port(5), port(6)], { dnsmasq_dns_servers: ['10.0.1.6'] });
    const upstream = vm(6);
    await upstream.sh('ip address add 10.0.1.6/24 dev eth0');
    const log = new Background(
      inNs(
        upstream.ns,
        'dnsmasq',
        '-k',
        '-C',
        '/dev/null',
        '--no-resolv',
        '--address=/far.example/192.0.2.77',
        '--log-facility=-',
        '--pid-file=',
      ),
    );
    try {
      await until('it listens', () => log.lines.some((line) => line.includes('started')));
      const ask = await asker(5);
      expect(await ask('far.example')).toBe('192.0.2.77');
      await site.restart({});
      expect(await ask('far.example')).toBe('');
    } finally {
      await log.stop('SIGKILL');
    }
  });

  test('[K18] of dnsmasq_txt_record have their text', async () => {
    await served({}, [port(5)], { dnsmasq_txt_record: 'note.openstacklocal,served here' });
    const ask = await asker(5);
    expect(await ask('note.openstacklocal', 'TXT')).toBe('"served here"');
  });
});

describe('options of the agent', () => {
  test('[J24] what dnsmasq_config_file says is honoured', async () => {
    site = new DhcpSite();
    const path = join(site.confs, 'extra.conf');
    writeFileSync(path, 'dhcp-option-force=224,from-the-file\naddress=/fixed.example/192.0.2.9\n');
    await site.start(networkPayload([subnetPayload(1)], [own, port(5)]));
    await site.restart({ dnsmasq_config_file: path });
    const machine = vm(5);
    expect(await machine.dhclient()).toMatchObject({ ip_address: '10.0.1.5', custom: 'from-the-file' });
    await machine.sh('ip address add 10.0.1.5/24 dev eth0');
    expect((await machine.run('dig', '+short', '@10.0.1.2', 'fixed.example')).stdout.trim()).toBe(
      '192.0.2.9',
    );
  });

  test('[J4] [K19] lease, T1, T2 and lease limit change by a new start, and clients are told', async () => {
    await served({}, [port(5)]);
    const machine = vm(5);
    expect(await machine.dhclient()).toMatchObject({ dhcp_lease_time: '86400', dhcp_renewal_time: '43200' });
    await site.restart({ dhcp_lease_duration: 600, dhcp_renewal_time: 100, dhcp_rebinding_time: 200 });
    expect(await machine.dhclient()).toMatchObject({
      ip_address: '10.0.1.5',
      dhcp_lease_time: '600',
      dhcp_renewal_time: '100',
      dhcp_rebinding_time: '200',
    });
    await site.restart({ dhcp_lease_duration: -1 });
    expect(await machine.dhclient()).toMatchObject({ dhcp_lease_time: '4294967295' });
  });

  test('[J15] no more leases than dnsmasq_lease_max are given', async () => {
    await served({}, [port(5), port(6)], { dnsmasq_lease_max: 1 });
    const [first, second] = await Promise.all([vm(5).dhclient(), vm(6).dhclient()]);
    expect([first?.ip_address, second?.ip_address]).toEqual(['10.0.1.5', undefined]);
  });
});

describe('a lease', () => {
  test('[J11] is renewed without a refusal by a dnsmasq and an agent that know nothing of it', async () => {
    await served({}, [port(5)]);
    const machine = vm(5);
    expect((await machine.dhclient())?.ip_address).toBe('10.0.1.5');
    const before = site.pid();
    // As on another host: neither process nor lease file is left.
    process.kill(before, 'SIGKILL');
    writeFileSync(join(site.directory, 'leases'), '');
    await site.restart({ dhcp_lease_duration: 3_600 });
    expect(site.pid()).not.toBe(before);
    const capture = await machine.dhcpPackets();
    expect((await machine.dhclient())?.ip_address).toBe('10.0.1.5');
    const text = await until('the answer is captured', () => {
      const seen = capture.lines.join('\n');
      return /DHCP-Message \(53\), length 1: (ACK|NACK|Offer)/.test(seen) && seen;
    });
    expect(
      [...text.matchAll(/DHCP-Message \(53\), length 1: (\w+)/g)].map((match) => match[1]!),
    ).not.toContain('NACK');
    expect(text).not.toContain('Discover');
  });
});
