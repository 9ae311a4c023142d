import { describe, expect, it } from 'vitest';
import { parseNetwork } from '../../../lib/model/network.ts';
import { PayloadError } from '../../../lib/model/payload.ts';

const id = (number: number): string => `00000000-0000-4000-8000-00000000000${number}`;
const subnet = (wish: object = {}) => ({
  id: id(4),
  network_id: id(3),
  ip_version: 4,
  cidr: '10.0.0.0/24',
  gateway_ip: '10.0.0.1',
  ...wish,
});
const port = (number: number, wish: object = {}) => ({
  id: id(number),
  network_id: id(3),
  mac_address: `fa:16:3e:00:00:0${number}`,
  device_owner: 'compute:nova',
  fixed_ips: [{ subnet_id: id(4), ip_address: `10.0.0.${number}` }],
  ...wish,
});
const read = (wish: object) => parseNetwork({ id: id(3), subnets: [subnet()], ports: [], ...wish });

describe('a port that is not as it should be', () => {
  it.each<[what: string, wish: object, problem: string]>([
    ['MAC', { mac_address: 'fa:16\n' }, 'mac_address: "fa:16\\n" is not a MAC address'],
    [
      'address',
      { fixed_ips: [{ subnet_id: id(4), ip_address: '10.0.0.300' }] },
      'fixed_ips[0].ip_address: "10.0.0.300" is not an IP address',
    ],
    ['network', { network_id: 'x' }, 'network_id: "x" is not a UUID'],
    ['list of options', { extra_dhcp_opts: 'all' }, 'extra_dhcp_opts: "all" is not a list'],
  ])('is left out for its %s, the others stay', (_what, wish, problem) => {
    const { ports, problems } = read({ ports: [port(5), port(6, wish), port(7)] });
    expect(ports.map((one) => one.id)).toEqual([id(5), id(7)]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`network ${id(3)}: port ${id(6)}: ${problem}`);
  });

  it('has no id: its place is named', () => {
    const { ports, problems } = read({ ports: [port(5, { id: 7 }), port(6), null] });
    expect(ports.map((one) => one.id)).toEqual([id(6)]);
    expect(problems[0]).toContain('port ports[0]: id: 7 is not a UUID');
    expect(problems[1]).toContain('port ports[2]: null');
  });

  it('loses only what is wrong of its options, names and pairs', () => {
    const wish = {
      extra_dhcp_opts: [
        { opt_name: 67 },
        { opt_name: '66', opt_value: 'x' },
        { opt_name: 'a', ip_version: 5 },
      ],
      dns_assignment: [{ ip_address: '10.0.0.6', hostname: null, fqdn: 'x' }],
      allowed_address_pairs: [{ ip_address: 'all' }, { ip_address: '10.0.0.0/8' }],
    };
    const { ports, problems } = read({ ports: [port(6, wish)] });
    expect(ports[0]).toMatchObject({
      extra_dhcp_opts: [{ opt_name: '66' }],
      dns_assignment: [],
      allowed_address_pairs: [{ ip_address: '10.0.0.0/8' }],
    });
    expect(problems.map((text) => text.replace(`network ${id(3)}: port ${id(6)}: `, ''))).toEqual([
      expect.stringContaining('extra_dhcp_opts[0].opt_name: 67 is not text: '),
      expect.stringContaining('extra_dhcp_opts[2].ip_version: 5 is not 4 or 6: '),
      'allowed_address_pairs[0].ip_address: "all" is not an IP address or CIDR: it is left out',
      expect.stringContaining('dns_assignment[0].hostname: null is not text: '),
    ]);
  });

  it('is an error of the network if it is an agent’s or a router’s: no decision is made without it', () => {
    const own = port(6, {
      device_owner: 'network:dhcp',
      fixed_ips: [{ subnet_id: 'x', ip_address: '10.0.0.2' }],
    });
    expect(() => read({ ports: [port(5), own] })).toThrow(PayloadError);
    expect(() => read({ ports: [port(5), own] })).toThrow(`port ${id(6)}: fixed_ips[0].subnet_id: "x"`);
  });

  it('is said each time, though it is read once', () => {
    const bad = port(6, { mac_address: '' });
    expect(read({ ports: [bad] }).problems).toEqual(read({ ports: [bad, port(5)] }).problems);
  });
});

describe('a subnet that is not as it should be', () => {
  it.each<[what: string, wish: object, problem: string]>([
    ['CIDR', { cidr: '10.0.0.0' }, 'cidr: "10.0.0.0" is not a CIDR'],
    ['IP version', { ip_version: 6 }, 'cidr: "10.0.0.0/24" is not IPv6'],
    ['gateway of the other version', { gateway_ip: 'fd00::1' }, 'gateway_ip: "fd00::1" is not IPv4'],
    [
      'mode',
      { ipv6_ra_mode: 'often' },
      'ipv6_ra_mode: "often" is not one of slaac, dhcpv6-stateless, dhcpv6-stateful',
    ],
  ])('is left out for its %s and named', (_what, wish, problem) => {
    const { subnets, problems, unread } = read({ subnets: [subnet(wish), subnet({ id: id(5) })] });
    expect(subnets.map((one) => one.id)).toEqual([id(5)]);
    expect(unread).toEqual({ subnets: [id(4)], ports: [] });
    expect(problems[0]).toContain(`network ${id(3)}: subnet ${id(4)}: ${problem}`);
  });

  it('and a network that is wrong in itself is an error', () => {
    expect(() => read({ ports: 'none' })).toThrow(`network ${id(3)}: ports: expected a list`);
    expect(() => read({ mtu: 20 })).toThrow(PayloadError);
  });
});

describe('a host that is in several segments of a network', () => {
  const routed = (number: number, segment_id: string | null, cidr: string) =>
    subnet({ id: id(number), segment_id, cidr, gateway_ip: null });

  it('serves the first of them, and says which subnets it does not serve', () => {
    const { subnets, non_local_subnets, problems } = read({
      subnets: [routed(5, 'b', '10.5.0.0/24'), routed(6, 'a', '10.6.0.0/24'), routed(7, 'a', '10.7.0.0/24')],
      non_local_subnets: [routed(8, 'c', '10.8.0.0/24')],
    });
    expect(subnets.map((one) => one.id)).toEqual([id(6), id(7)]);
    expect(non_local_subnets.map((one) => one.id)).toEqual([id(5), id(8)]);
    expect(problems).toEqual([
      expect.stringContaining(`network ${id(3)}: subnet ${id(5)}: this host is in several segments`),
    ]);
  });

  it('is not one that is in one of them, or whose network has none', () => {
    for (const [one, other] of [
      ['a', 'a'],
      [null, null],
      [null, 'a'],
    ] as const)
      expect(
        read({ subnets: [routed(5, one, '10.5.0.0/24'), routed(6, other, '10.6.0.0/24')] }),
      ).toMatchObject({ subnets: [{ id: id(5) }, { id: id(6) }], problems: [] });
  });
});
