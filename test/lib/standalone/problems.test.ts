import { describe, expect, it } from 'vitest';
import { nearest } from '../../../lib/standalone/problem.ts';
import { parseTopology, TopologyError } from '../../../lib/standalone/topology.ts';

function problemsOf(text: string): string[] {
  try {
    parseTopology(text, { file: 't.yaml', host: 'net-1' });
    return [];
  } catch (error) {
    if (!(error instanceof TopologyError)) throw error;
    expect(error.message.split('\n')).toHaveLength(error.problems.length);
    return error.message.split('\n');
  }
}

const BASE = `networks:
  - {name: ext, external: true, subnets: [{name: e, cidr: 198.18.0.0/24}]}
  - {name: net, subnets: [{name: s, cidr: 10.0.0.0/24}]}
  - {name: two, subnets: [{name: s2, cidr: 10.2.0.0/24}]}
`;

describe('single mistakes', () => {
  it.each<[string, string, string]>([
    [
      'a key twice',
      'name: a\nname: b',
      't.yaml:2:1: Map keys must be unique — correct the YAML syntax here or just before',
    ],
    [
      'no mapping',
      '- a',
      "t.yaml:1:1: the file is not a mapping of sections — write sections such as 'networks:' and 'routers:'",
    ],
    [
      'nothing',
      '',
      "t.yaml:1:1: the file is not a mapping of sections — write sections such as 'networks:' and 'routers:'",
    ],
    [
      'an unknown section',
      'network: []',
      `t.yaml:1:1: the topology: unknown key "network" — did you mean 'networks'?`,
    ],
    [
      'an unknown key',
      'networks:\n  - name: a\n    mtuu: 1400',
      `t.yaml:3:5: network "a": unknown key "mtuu" — did you mean 'mtu'?`,
    ],
    [
      'an unknown key like no other',
      'ports: []\ndhcp: {frobnicate: 1}',
      `t.yaml:2:8: the topology: dhcp: unknown key "frobnicate" — remove it; known keys are bulk_reload_interval, `,
    ],
    [
      'a missing name',
      'networks: [{mtu: 1500}]',
      `t.yaml:1:12: networks[0]: 'name' is missing — give the network a name`,
    ],
    [
      'no list',
      'networks: 7',
      `t.yaml:1:11: the topology: networks: is not a list — write the values as '- value' lines or in [ ]`,
    ],
    [
      'no mapping in a list',
      'networks: [7]',
      `t.yaml:1:12: the topology: networks[0]: is not a mapping — write it as 'key: value' lines`,
    ],
    [
      'a bad CIDR',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/33}]}]',
      `t.yaml:1:39: network "a": subnets[0]: cidr: "10.0.0.0/33" is not a CIDR — write it like 10.0.0.0/24 or 2001:db8::/64`,
    ],
    [
      'host bits',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.1/24}]}]',
      `cidr: "10.0.0.1/24" has host bits set — write 10.0.0.0/24`,
    ],
    [
      'a missing CIDR',
      'networks: [{name: a, subnets: [{name: s}]}]',
      `t.yaml:1:32: subnet "s": 'cidr' is missing — add one, like 10.0.0.0/24`,
    ],
    [
      'a multicast subnet',
      'networks: [{name: a, subnets: [{cidr: 224.0.0.0/8}]}]',
      `224.0.0.0/8 can't be a subnet (any, loopback, link-local or multicast) — choose another range`,
    ],
    [
      'an IP version that does not fit',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, ip_version: 6}]}]',
      'ip_version 6 does not fit 10.0.0.0/24 — write 4 or leave it out',
    ],
    [
      'a bad gateway',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, gateway_ip: 10.0.0.300}]}]',
      `gateway_ip: "10.0.0.300" is not an IP address — write it like 10.0.0.5 or 2001:db8::5`,
    ],
    [
      'a gateway of the other IP version',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, gateway_ip: "fe80::1"}]}]',
      'gateway_ip fe80::1 is not IPv4 — write one like 10.0.0.1',
    ],
    [
      'a gateway that is the broadcast address',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, gateway_ip: 10.0.0.255}]}]',
      `gateway_ip 10.0.0.255 is the network's or broadcast address of 10.0.0.0/24 — write 10.0.0.1`,
    ],
    [
      'a pool outside',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, allocation_pools: [{start: 10.0.0.5, end: 10.0.1.5}]}]}]',
      'allocation pool 10.0.0.5 to 10.0.1.5 is not within 10.0.0.0/24 — stay within 10.0.0.1 to 10.0.0.254',
    ],
    [
      'a pool the wrong way round',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, allocation_pools: [{start: 10.0.0.9, end: 10.0.0.5}]}]}]',
      'ends before it starts — swap the two',
    ],
    [
      'a pool with the gateway',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, allocation_pools: [{start: 10.0.0.1, end: 10.0.0.5}]}]}]',
      'holds the gateway_ip 10.0.0.1 — leave it out',
    ],
    [
      'pools that overlap',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, allocation_pools: [{start: 10.0.0.5, end: 10.0.0.9}, {start: 10.0.0.9, end: 10.0.0.12}]}]}]',
      'overlaps another pool of the subnet — make them disjoint',
    ],
    [
      'overlapping subnets of a network',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24}, {cidr: 10.0.0.128/25}]}]',
      '10.0.0.128/25 overlaps subnet 10.0.0.0/24 of the same network — choose ranges that do not overlap',
    ],
    [
      'a bad mode',
      'networks: [{name: a, subnets: [{cidr: "fd00::/64", ipv6_ra_mode: slack}]}]',
      `ipv6_ra_mode: "slack" is not slaac, dhcpv6-stateless, dhcpv6-stateful — write one of those`,
    ],
    [
      'a mode on IPv4',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/24, ipv6_ra_mode: slaac}]}]',
      'IPv6 modes on an IPv4 subnet — remove them',
    ],
    [
      'different modes',
      'networks: [{name: a, subnets: [{cidr: "fd00::/64", ipv6_ra_mode: slaac, ipv6_address_mode: dhcpv6-stateful}]}]',
      'ipv6_ra_mode slaac and ipv6_address_mode dhcpv6-stateful differ — make them the same',
    ],
    [
      'SLAAC on another prefix length',
      'networks: [{name: a, subnets: [{cidr: "fd00::/80", ipv6_ra_mode: slaac}]}]',
      'slaac needs a prefix of 64 bits, not 80 — use a /64',
    ],
    [
      'modes without DHCP',
      'networks: [{name: a, subnets: [{cidr: "fd00::/64", enable_dhcp: false, ipv6_ra_mode: slaac}]}]',
      'IPv6 modes need enable_dhcp — set enable_dhcp: true or remove them',
    ],
    [
      'DHCP on a /31',
      'networks: [{name: a, subnets: [{cidr: 10.0.0.0/31}]}]',
      '10.0.0.0/31 is too small for DHCP — use a shorter prefix or enable_dhcp: false',
    ],
    [
      'a bad MTU',
      'networks: [{name: a, mtu: 40}]',
      `mtu: "40" is not a whole number from 68 to 65535 — write one`,
    ],
    [
      'an MTU too small for IPv6',
      'networks: [{name: a, mtu: 1279, subnets: [{cidr: "fd00::/64"}]}]',
      'mtu 1279 is too small for its IPv6 subnet fd00::/64 — write at least 1280',
    ],
    [
      'a bad device name',
      'networks: [{name: a, physical_interface: "eth0; reboot"}]',
      `physical_interface: "eth0; reboot" is not the name of a network device`,
    ],
    [
      'a device name too long',
      'networks: [{name: a, physical_interface: abcdefghijklmnop}]',
      `is not the name of a network device`,
    ],
    [
      'a device twice',
      'networks: [{name: a, physical_interface: eth1}, {name: b, physical_interface: eth1}]',
      'network "b": eth1 is already the physical_interface of a — give each network a device of its own',
    ],
    [
      'a bad domain',
      'networks: [{name: a, dns_domain: "a b"}]',
      `dns_domain: "a b" is not a domain name — write it like lab.example`,
    ],
    [
      'a bad flag',
      'networks: [{name: a, external: yes}]',
      `external: "yes" is not true or false — write one of those`,
    ],
    [
      'a bad id',
      'networks: [{name: a, id: ../../x}]',
      `id: "../../x" is not a UUID — write one, or leave it out to have it derived`,
    ],
    ['control characters', 'networks: [{name: "a\\nb"}]', 'name: has control characters — remove them'],
    [
      'a bad deployment name',
      'name: A b',
      `t.yaml:1:7: the topology: name: "A b" is not a deployment name — use a-z, 0-9 and "-"`,
    ],
    [
      'a network twice',
      'networks: [{name: a},\n {name: a}]',
      't.yaml:2:2: the name "a" is that of another network (line 1) — rename one of them',
    ],
    [
      'ids whose devices would be called the same',
      'networks: [{name: a, id: 11111111-1111-4111-8111-111111111111}, {name: b, id: 11111111-1111-4111-8111-111111111112}]',
      'so their devices would have one name — choose ids that differ in the first 11 characters',
    ],
    ['a relative path in dhcp', 'dhcp: {dnsmasq_config_file: x}', '"x" is not an absolute path'],
    ['a bad name server in dhcp', 'dhcp: {dnsmasq_dns_servers: ["192.0.2.1#x"]}', 'is not a name server'],
    ['a bad bool in dhcp', 'dhcp: {force_metadata: 3}', `force_metadata: "3" is not true or false`],
    [
      'a bad metadata port',
      'metadata: {nova_metadata_port: 70000}',
      `"70000" is not a whole number from 1 to 65535`,
    ],
    [
      'a subnet of no network',
      'subnets: [{network: b, cidr: 10.0.0.0/24}]',
      'subnets[0]: there is no network "b" — define it, or name a network of this file',
    ],
  ])('%s', (_title, text, expected) => {
    const problems = problemsOf(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(expected);
    expect(problems[0]).toMatch(/^t\.yaml:\d+:\d+: .+ — .+$/);
  });

  it.each<[string, string, string]>([
    [
      'a reference to nothing',
      'routers: [{name: r, interfaces: [S]}]',
      `t.yaml:5:34: router "r": there is no subnet "S" — did you mean "s"?`,
    ],
    [
      'an ambiguous reference',
      'subnets: [{name: s, network: two, cidr: 10.9.0.0/24}]\nrouters: [{name: r, interfaces: [s]}]',
      'router "r": "s" means more than one subnet (lines 3 and 5) — use an id or a name that only one has',
    ],
    [
      'a gateway that is not external',
      'routers: [{name: r, external_gateway_info: {network: net}}]',
      `t.yaml:5:54: router "r": the gateway network "net" is not external — name an external network, or set 'external: true' on this one`,
    ],
    [
      'a gateway without a network',
      'routers: [{name: r, external_gateway_info: {enable_snat: true}}]',
      `external_gateway_info: 'network' is missing — name an external network`,
    ],
    [
      'a gateway address elsewhere',
      'routers: [{name: r, external_gateway_info: {network: ext, external_fixed_ips: [{ip_address: 10.0.0.9}]}}]',
      'the gateway of router "r": 10.0.0.9 is outside every subnet of network "ext" — choose one of 198.18.0.0/24',
    ],
    [
      'overlapping subnets on a router',
      'subnets: [{name: o, network: two, cidr: 10.0.0.128/25}]\nrouters: [{name: r, interfaces: [s, o]}]',
      't.yaml:6:37: router "r": subnet 10.0.0.128/25 overlaps 10.0.0.0/24 on the same router',
    ],
    [
      'two interfaces on a subnet',
      'routers: [{name: r, interfaces: [s, {subnet: s, ip_address: 10.0.0.9}]}]',
      'router "r": two interfaces on subnet s — remove one of them',
    ],
    [
      'two interfaces on a subnet by port',
      'ports: [{name: p, network: net}]\nrouters: [{name: r, interfaces: [s, {port: p}]}]',
      'router "r": two interfaces on subnet s — remove one of them',
    ],
    [
      'two routers with one gateway address',
      'routers: [{name: r, interfaces: [s]},\n {name: q, interfaces: [s]}]',
      't.yaml:6:25: the interface of router "q" on subnet s: 10.0.0.1 is already taken by the interface of router "r" on subnet s (line 5) — choose another one',
    ],
    [
      'an interface on a subnet without gateway',
      'subnets: [{name: o, network: two, cidr: 10.9.0.0/24, gateway_ip: null}]\nrouters: [{name: r, interfaces: [o]}]',
      `router "r": subnet 10.9.0.0/24 has no gateway_ip — give the interface an 'ip_address' or the subnet a gateway_ip`,
    ],
    [
      'an interface that is both',
      'ports: [{name: p, network: net}]\nrouters: [{name: r, interfaces: [{subnet: s, port: p}]}]',
      `needs 'subnet' (with 'ip_address' or not) or 'port' — write one of these`,
    ],
    [
      'a port used twice',
      'ports: [{name: p, network: net}]\nrouters: [{name: r, interfaces: [{port: p}]}]\ninstances: [{name: i, ports: [p]}]',
      'instance "i": port "p" is in use already — name a port that nothing else uses',
    ],
    [
      'a bad extra route',
      'routers: [{name: r, routes: [{destination: 10.0.0.0/8, nexthop: x}]}]',
      `routes[0]: nexthop: "x" is not an IP address`,
    ],
    [
      'an extra route of two IP versions',
      'routers: [{name: r, routes: [{destination: 10.0.0.0/8, nexthop: "fe80::1"}]}]',
      'nexthop fe80::1 is of another IP version than 10.0.0.0/8',
    ],
    [
      'a bad MAC',
      'ports: [{name: p, network: net, mac_address: fa:16:3e:00:00}]',
      `mac_address: "fa:16:3e:00:00" is not the MAC address of a device — write it like fa:16:3e:12:34:56`,
    ],
    [
      'a group MAC',
      'ports: [{name: p, network: net, mac_address: "01:00:5e:00:00:01"}]',
      'is not the MAC address of a device',
    ],
    [
      'a MAC twice on a network',
      'ports: [{name: p, network: net, mac_address: "fa:16:3e:00:00:01"}, {name: q, network: net, mac_address: "FA:16:3e:00:00:01"}]',
      'port "q": fa:16:3e:00:00:01 is already the mac_address of port "p" on network "net"',
    ],
    [
      'an address outside its subnet',
      'ports: [{name: p, network: net, fixed_ips: [{subnet: s, ip_address: 10.1.0.9}]}]',
      'port "p": 10.1.0.9 is outside its subnet 10.0.0.0/24 — choose one inside',
    ],
    [
      'an address outside every subnet',
      'ports: [{name: p, network: net, fixed_ips: [{ip_address: 10.1.0.9}]}]',
      'port "p": 10.1.0.9 is outside every subnet of network "net" — choose one of 10.0.0.0/24',
    ],
    [
      'an address taken already',
      'ports: [{name: p, network: net, fixed_ips: [{ip_address: 10.0.0.9}]},\n {name: q, network: net, fixed_ips: [{ip_address: 10.0.0.9}]}]',
      't.yaml:6:51: port "q": 10.0.0.9 is already taken by port "p" (line 5) — choose another one',
    ],
    [
      'a gateway address taken already',
      'routers: [{name: r, interfaces: [s]}]\nports: [{name: p, network: net, fixed_ips: [{ip_address: 10.0.0.1}]}]',
      'port "p": 10.0.0.1 is already taken by the interface of router "r" on subnet s (line 5)',
    ],
    [
      'the broadcast address',
      'ports: [{name: p, network: net, fixed_ips: [{ip_address: 10.0.0.255}]}]',
      `10.0.0.255 is the network's or broadcast address of 10.0.0.0/24 — choose another one`,
    ],
    [
      'a subnet of another network',
      'ports: [{name: p, network: net, fixed_ips: [{subnet: s2}]}]',
      'port "p": subnet "s2" is not on network "net" — name another one',
    ],
    [
      'no address left',
      'subnets: [{name: t, network: two, cidr: 10.9.0.0/30}]\nports: [{name: p, network: two, fixed_ips: [{subnet: t}]}]',
      'port "p": no free address is left in the allocation pools of subnet 10.9.0.0/30',
    ],
    [
      'another address than SLAAC gives',
      "subnets: [{network: two, cidr: 'fd00::/64', ipv6_ra_mode: slaac}]\nports: [{name: p, network: two, mac_address: 'fa:16:3e:00:00:01', fixed_ips: [{ip_address: 'fd00::5'}]}]",
      'leave it out or write fd00::f816:3eff:fe00:1',
    ],
    [
      'a device_owner of our own',
      'ports: [{name: p, network: net, device_owner: "network:dhcp"}]',
      `device_owner: "network:dhcp" is not a device_owner a port can be given`,
    ],
    [
      'an empty fixed IP',
      'ports: [{name: p, network: net, fixed_ips: [{}]}]',
      `fixed_ips[0]: is empty — add 'subnet' or 'ip_address'`,
    ],
    [
      'a port twice',
      'ports: [{name: p, network: net}, {name: p, network: net}]',
      'the name "p" is that of another port (line 5) — rename one of them',
    ],
    ['a router twice', 'routers: [{name: p}, {name: p}]', 'the name "p" is that of another router (line 5)'],
    [
      'an instance without network',
      'instances: [{name: i}]',
      `instance "i": is connected to nothing — add 'network' or 'ports'`,
    ],
    [
      'a name unfit for a namespace',
      'instances: [{name: "a/b", network: net}]',
      `t.yaml:5:20: instance "a/b": "vm-a/b" can't be the name of a network namespace`,
    ],
    [
      "an agent's namespace",
      'instances: [{name: i, network: net, namespace: qdhcp-1}]',
      `the namespace "qdhcp-1" is named like one of the agents'`,
    ],
    [
      'a namespace twice',
      'instances: [{name: i, network: net}, {name: j, network: net, namespace: vm-i}]',
      'instance "j": the namespace "vm-i" is that of instance "i" already',
    ],
    [
      'a floating IP to a port without router',
      'ports: [{name: p, network: net}]\nfloating_ips: [{floating_network: ext, port: p}]',
      't.yaml:6:46: the floating IP of port "p": no router with a gateway on network "ext" has an interface on subnet 10.0.0.0/24 of port "p" — attach the subnet to such a router',
    ],
    [
      'a floating IP on a tenant network',
      'floating_ips: [{floating_network: net}]',
      `floating_network "net" is not external — name an external network with an IPv4 subnet`,
    ],
    [
      'an IPv6 floating IP',
      'floating_ips: [{floating_network: ext, floating_ip_address: "2001:db8::1"}]',
      'is not IPv4 — write an IPv4 address',
    ],
    [
      'a floating IP outside',
      'floating_ips: [{floating_network: ext, floating_ip_address: 198.19.0.1}]',
      '198.19.0.1 is outside every subnet of network "ext"',
    ],
    [
      'a floating IP for nothing',
      'floating_ips: [{floating_network: ext, fixed_ip_address: 10.0.0.9}]',
      `'fixed_ip_address' needs 'port' or 'instance' — add one of them`,
    ],
  ])('%s', (_title, text, expected) => {
    const problems = problemsOf(BASE + text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(expected);
    expect(problems[0]).toMatch(/^t\.yaml:\d+:\d+: .+ — .+$/);
  });

  const ROUTED = `${BASE}routers: [{name: r, external_gateway_info: {network: ext}, interfaces: [s]}]\n`;

  it('two floating IPs of one fixed address', () => {
    expect(
      problemsOf(`${ROUTED}ports: [{name: p, network: net}]
floating_ips: [{floating_network: ext, port: p}, {floating_network: ext, floating_ip_address: 198.18.0.77, port: p}]`),
    ).toEqual([
      expect.stringContaining('of port "p" has a floating IP already (line 7) — remove one of them'),
    ]);
  });

  it('a floating IP of a port with several addresses says which', () => {
    const ports =
      'ports: [{name: p, network: net, fixed_ips: [{ip_address: 10.0.0.8}, {ip_address: 10.0.0.9}]}]\n';
    expect(problemsOf(`${ROUTED}${ports}floating_ips: [{floating_network: ext, port: p}]`)).toEqual([
      expect.stringContaining(`port "p" has 2 IPv4 addresses — say which with 'fixed_ip_address'`),
    ]);
    const wrong = 'floating_ips: [{floating_network: ext, port: p, fixed_ip_address: 10.0.0.10}]';
    expect(problemsOf(`${ROUTED}${ports}${wrong}`)).toEqual([
      expect.stringContaining('10.0.0.10 is no IPv4 address of port "p" — write 10.0.0.8 or 10.0.0.9'),
    ]);
    const right = 'floating_ips: [{floating_network: ext, port: p, fixed_ip_address: 10.0.0.9}]';
    expect(problemsOf(`${ROUTED}${ports}${right}`)).toEqual([]);
  });

  it('an extra route to an unreachable nexthop is the tenant’s own business', () => {
    expect(
      problemsOf('routers: [{name: r, routes: [{destination: 10.9.0.0/24, nexthop: 192.0.2.1}]}]'),
    ).toEqual([]);
  });
});

describe('many mistakes', () => {
  it('syntax errors are told with their place, and nothing is guessed after them', () => {
    const problems = problemsOf('networks: [{name: a]\nfoo: 1');
    expect(problems.length).toBeGreaterThan(0);
    for (const line of problems) expect(line).toMatch(/^t.yaml:[12]:\d+: .* — correct the YAML syntax/);
  });

  it('are all told at once, in the order of the file', () => {
    const problems = problemsOf(`name: X!
networks:
  - {name: a, mtu: 1, subnets: [{cidr: nonsense}]}
routers:
  - {name: r, interfacs: [x], external_gateway_info: {network: b}}
ports:
  - {name: p, network: a, mac_address: x}
`);
    expect(problems.map((line) => line.split(':').slice(1, 3).join(':'))).toEqual([
      '1:7',
      '3:20',
      '3:40',
      '5:15',
      '5:64',
      '7:40',
    ]);
  });

  it('a broken object does not make its references wrong too', () => {
    expect(
      problemsOf(`networks: [{name: a, subnets: [{name: s, cidr: x}]}]
routers: [{name: r, interfaces: [s]}]
ports: [{name: p, network: a, fixed_ips: [{subnet: s}]}, {name: q, network: nil}]
instances: [{name: i, ports: [q]}]
`),
    ).toHaveLength(2);
  });

  it('a secret never shows', () => {
    const [problem] = problemsOf('metadata: {metadata_proxy_shared_secret: "hunter2\\u0001"}');
    expect(problem).toContain('metadata_proxy_shared_secret: has control characters');
    expect(problem).not.toContain('hunter2');
  });
});

describe('suggestions', () => {
  it('are near and only near words', () => {
    expect(nearest('interfacs', ['interfaces', 'routes'])).toBe('interfaces');
    expect(nearest('xyz', ['interfaces', 'routes'])).toBeUndefined();
    expect(nearest('Blue', ['blue', 'red'])).toBe('blue');
  });
});
