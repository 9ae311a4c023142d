import { describe, expect, it } from 'vitest';
import {
  initialLeases,
  leasesOfOthers,
  parseHosts,
  parseLeases,
  staleLeases,
} from '../../../agents/dhcp/leases.ts';
import { releasePacket } from '../../../agents/dhcp/release.ts';
import { release6Packet } from '../../../agents/dhcp/release6.ts';
import { dhcpPort, macOf, network, portPayload, subnetPayload } from './compile/payload.ts';

const DUID = '00:01:00:01:2e:9f:11:22:fa:16:3e:aa:bb:cc';
const FILE = `1795334111 ${macOf(5)} 10.0.1.5 host-10-0-1-5 01:fa:16:3e:00:00:05
0 ${macOf(6)} 10.0.1.6 * *
duid ${DUID}
1795334111 1048581 fd00:2::5 h5 00:03:00:01:fa:16:3e:00:00:05
`;

describe('the lease file', () => {
  it('has leases of both families and the DUID of the server', () => {
    const { serverDuid, leases } = parseLeases(FILE);
    expect(serverDuid).toBe(DUID);
    expect(leases.map(({ line, ...lease }) => lease)).toEqual([
      { expiry: 1795334111, ip: '10.0.1.5', family: 4, mac: macOf(5), clientId: '01:fa:16:3e:00:00:05' },
      { expiry: 0, ip: '10.0.1.6', family: 4, mac: macOf(6) },
      {
        expiry: 1795334111,
        ip: 'fd00:2::5',
        family: 6,
        iaid: '1048581',
        clientId: '00:03:00:01:fa:16:3e:00:00:05',
      },
    ]);
  });

  it('half a line is no lease', () => {
    expect(parseLeases('1795334111 fa:16:3e\nnonsense\n').leases).toEqual([]);
  });

  it('of new addresses, finds the leases that others have', () => {
    const wanted = (mac: number, ip: string): string => `${macOf(mac)},host,${ip}`;
    const others = leasesOfOthers(FILE, [
      wanted(5, '10.0.1.5'),
      wanted(7, '10.0.1.6'),
      wanted(8, '10.0.1.8'),
    ]);
    expect(others.map(({ ip, mac }) => [ip, mac])).toEqual([['10.0.1.6', macOf(6)]]);
    expect(leasesOfOthers(FILE.trimEnd(), [`${macOf(5)},host,[fd00:2::5]`])).toEqual([]);
    expect(leasesOfOthers(FILE, [`${macOf(6)},host,[fd00:2::5]`]).map(({ ip }) => ip)).toEqual(['fd00:2::5']);
    expect(leasesOfOthers('1795334111 fa', [wanted(5, '10.0.1.5')])).toEqual([]);
  });

  it('an IPv6 lease of an address that is another MAC’s now is not kept', () => {
    const subnet = subnetPayload(2, { ip_version: 6, cidr: 'fd00:2::/64', gateway_ip: null });
    const given = network([subnet], [portPayload(7, [[2, 'fd00:2::5']])]);
    const line = (mac: number) => `${macOf(mac)},tag:dhcpv6,h.x,[fd00:2::5]`;
    const leases = (oldHosts: string) =>
      initialLeases({ network: given, leases: FILE, oldHosts, newHosts: [line(7)] });
    expect(leases(line(7))).toContain('fd00:2::5');
    expect(leases(line(5))).toBe(`duid ${DUID}\n`);
  });

  it('at the start every IPv4 address is leased for ever, IPv6 leases are kept', () => {
    const subnets = [
      subnetPayload(1),
      subnetPayload(2, { ip_version: 6, cidr: 'fd00:2::/64', gateway_ip: null }),
      subnetPayload(3, { enable_dhcp: false }),
    ];
    const ports = [
      dhcpPort(99, [[1, '10.0.1.2']]),
      portPayload(7, [
        [1, '10.0.1.7'],
        [2, 'fd00:2::7'],
      ]),
      portPayload(5, [
        [2, 'fd00:2::5'],
        [3, '10.0.3.5'],
      ]),
    ];
    expect(
      initialLeases({ network: network(subnets, ports), leases: FILE, oldHosts: '', newHosts: [] }),
    ).toBe(
      `0 ${macOf(7)} 10.0.1.7 * *\nduid ${DUID}\n1795334111 1048581 fd00:2::5 h5 00:03:00:01:fa:16:3e:00:00:05\n`,
    );
    const given = { network: network(subnets, ports), leases: FILE, oldHosts: '', newHosts: [] };
    expect(initialLeases({ ...given, most: 1 })).toBe(
      `duid ${DUID}\n1795334111 1048581 fd00:2::5 h5 00:03:00:01:fa:16:3e:00:00:05\n`,
    );
    const empty = { network: network([subnetPayload(1)], []), leases: '', oldHosts: '', newHosts: [] };
    expect(initialLeases(empty)).toBe('');
  });
});

describe('the host file', () => {
  it('of Neutron or of ours gives MAC, addresses and client ids', () => {
    const text = [
      `${macOf(1)},web.x.,10.0.1.1`,
      `${macOf(2)},tag:dhcpv6,web.x.,[fd00::1],[fd00::2],set:port-x`,
      `${macOf(3)},id:01:02,web.x.,10.0.1.3,set:port-x`,
      `${macOf(4)},id:*,web.x.,10.0.1.4`,
      `${macOf(5)},set:port-x`,
    ].join('\n');
    expect(parseHosts(text)).toEqual([
      { mac: macOf(1), ip: '10.0.1.1' },
      { mac: macOf(2), ip: 'fd00::1' },
      { mac: macOf(2), ip: 'fd00::2' },
      { mac: macOf(3), ip: '10.0.1.3', clientId: '01:02' },
      { mac: macOf(4), ip: '10.0.1.4' },
    ]);
  });
});

describe('stale leases', () => {
  const { ports } = network([subnetPayload(1)], [portPayload(5, [[1, '10.0.1.5']])]);
  const { leases } = parseLeases(
    `0 ${macOf(5)} 10.0.1.5 * *\n0 ${macOf(6)} 10.0.1.6 * *\nduid ${DUID}\n0 1 fd00::5 * 00:01\n`,
  );
  const host = (mac: number, ip: string, id = '') => `${macOf(mac)},${id}h,${ip}`;
  const stale = (oldHosts: string, newHosts = host(5, '10.0.1.5'), of = leases, who = ports) =>
    staleLeases({ oldHosts, newHosts, leases: of, ports: who }).map(({ ip }) => ip);

  it('are those of addresses that no port has', () => {
    expect(stale(host(5, '10.0.1.5'))).toEqual(['10.0.1.6', 'fd00::5']);
  });

  it('are those of addresses that another MAC has now', () => {
    const moved = network([subnetPayload(1)], [portPayload(7, [[1, '10.0.1.5']])]).ports;
    expect(stale(host(5, '10.0.1.5'), host(7, '10.0.1.5'), leases.slice(0, 1), moved)).toEqual(['10.0.1.5']);
  });

  it('of a port that lost its client id are kept, of one that got another are not', () => {
    const own = parseLeases(`0 ${macOf(5)} 10.0.1.5 * 61:62\n`).leases;
    const before = host(5, '10.0.1.5', 'id:ab,');
    expect(stale(before, host(5, '10.0.1.5'), own)).toEqual([]);
    expect(stale(before, before, own)).toEqual([]);
    expect(stale(before, host(5, '10.0.1.5', 'id:cd,'), own)).toEqual(['10.0.1.5']);
  });
});

describe('a DHCPv6 release', () => {
  const given = {
    mac: macOf(3),
    ip: 'fd00::3',
    server: 'fd00::2',
    iaid: '258',
    clientId: '00:03',
    serverId: '00:01:aa',
  };
  const relayed = (message: string): string =>
    [
      '0c00',
      'fd000000000000000000000000000002',
      'fe80000000000000f8163efffe000003',
      '004f00080001fa163e000003',
      `0009${(message.length / 2).toString(16).padStart(4, '0')}${message}`,
    ].join('');
  const ids = '08000000000100020003000200030001aa';
  const address = '00050018fd0000000000000000000000000000030000000000000000';

  it('is that of RFC 8415, as a relay passes it on', () => {
    expect(release6Packet(given).toString('hex')).toBe(
      relayed(`${ids}00030028000001020000000000000000${address}`),
    );
  });

  it('of a temporary address is by its own kind of association', () => {
    expect(release6Packet({ ...given, iaid: 'T1' }).toString('hex')).toBe(
      relayed(`${ids}0004002000000001${address}`),
    );
  });
});

describe('a release', () => {
  it('is the packet of RFC 2131', () => {
    const packet = releasePacket({ mac: macOf(3), ip: '10.0.0.3', server: '10.0.0.2', clientId: '01:61' });
    const hex = packet.toString('hex');
    expect(packet).toHaveLength(548);
    expect(hex.slice(0, 24)).toBe('010106000000000000000000');
    expect(hex.slice(24, 32)).toBe('0a000003');
    expect(hex.slice(56, 88)).toBe('fa163e00000300000000000000000000');
    expect(hex.slice(472).replace(/0+$/, '')).toBe('6382536335010736040a0000023d020161ff');
  });
});
