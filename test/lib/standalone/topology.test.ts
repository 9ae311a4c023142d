import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eui64 } from '../../../lib/model/ip.ts';
import { dhcpDeviceId, uuid5 } from '../../../lib/standalone/identity.ts';
import { parseTopology, type Topology } from '../../../lib/standalone/topology.ts';

const file = join(import.meta.dirname, 'demo.yaml');
const text = readFileSync(file, 'utf8');
const parse = (yaml: string, name = 'demo.yaml'): Topology =>
  parseTopology(yaml, { file: name, host: 'net-1' });
const port = (topology: Topology, name: string) => topology.ports.find((one) => one.name === name)!;
const addresses = (topology: Topology, name: string) =>
  port(topology, name).fixed_ips.map((ip) => ip.ip_address);
const owned = (topology: Topology, owner: string) =>
  topology.ports.filter((one) => one.device_owner === `network:${owner}`);

describe('a whole topology', () => {
  const topology = parse(text);

  it('gives the same network every time it is read', async () => {
    expect(parse(text)).toEqual(topology);
    await expect(JSON.stringify(topology, null, 1)).toMatchFileSnapshot('golden/demo.topology.json');
  });

  it('has ids and addresses of its own under another deployment name', () => {
    const other = parse(text.replace('name: demo', 'name: demo2'));
    const ids = new Set(topology.ports.map(({ id }) => id));
    expect(other.ports.filter(({ id }) => ids.has(id))).toEqual([]);
    expect(addresses(other, 'db1')).toEqual(addresses(topology, 'db1'));
  });

  it('keeps every object as it is when objects are added at the end', () => {
    const more = parse(
      `${text}
  - {floating_network: public, instance: late}
`.replace(
        'floating_ips:',
        `  - {name: late, network: blue}
floating_ips:`,
      ),
    );
    for (const one of topology.ports) expect(more.ports).toContainEqual(one);
    for (const one of topology.routers) expect(more.routers).toContainEqual(one);
    for (const one of topology.floating_ips) expect(more.floating_ips).toContainEqual(one);
    expect(more.ports).toHaveLength(topology.ports.length + 2);
  });

  it('makes the DHCP port of each network with DHCP as the agent on this host names it', () => {
    const blue = topology.networks.find(({ name }) => name === 'blue')!;
    const dhcp = owned(topology, 'dhcp').find(({ network_id }) => network_id === blue.id)!;
    expect(dhcp.device_id).toBe(dhcpDeviceId('net-1', blue.id));
    expect(dhcp.device_id).toBe(`dhcpe28cb0fe-26cc-5fd5-ac9e-33bfb4284fe1-${blue.id}`);
    expect(dhcpDeviceId('net-1.example.org', blue.id)).toBe(dhcp.device_id);
    expect(dhcp.fixed_ips[0]!.ip_address).toBe('10.0.0.2');
    expect(owned(topology, 'dhcp')).toHaveLength(2);
  });

  it('gives router interfaces the gateway address, and gateways the first free ones', () => {
    const v4 = (owner: string) =>
      owned(topology, owner).map(({ fixed_ips }) => fixed_ips.map((ip) => ip.ip_address));
    expect(v4('router_interface')).toEqual([['10.0.0.1'], ['fd00:0:0:1::1'], ['10.0.0.1']]);
    expect(v4('router_gateway')).toEqual([['198.18.0.10', '2001:db8:e::2'], ['198.18.0.20']]);
    expect(v4('floatingip')).toEqual([['198.18.0.11', '2001:db8:e::3'], ['198.18.0.99']]);
  });

  it('gives SLAAC addresses by EUI-64', () => {
    const web = port(topology, 'web');
    expect(addresses(topology, 'web')).toEqual(['10.0.0.50', eui64('fd00:0:0:1::/64', web.mac_address)]);
  });

  it('routes a floating IP by the router that has both sides', () => {
    const [blue, red] = topology.routers;
    expect(topology.floating_ips.map(({ router_id }) => router_id)).toEqual([blue!.id, red!.id]);
    expect(topology.floating_ips.map(({ fixed_ip_address }) => fixed_ip_address)).toEqual([
      '10.0.0.50',
      '10.0.0.3',
    ]);
  });

  it('lets an instance on the external network hold the gateway address', () => {
    expect(addresses(topology, 'internet')).toEqual(['198.18.0.1', '2001:db8:e::1']);
  });

  it('every MAC is there once', () => {
    const macs = topology.ports.map(({ mac_address }) => mac_address);
    expect(new Set(macs).size).toBe(macs.length);
    for (const mac of macs) expect(mac).toMatch(/^fa:16:3e(:[0-9a-f]{2}){3}$/);
  });
});

describe('defaults', () => {
  it('the deployment is named after the file', () => {
    expect(parse('networks: []', '/etc/viaduct/My Lab_1.yaml').name).toBe('my-lab-1');
    expect(parse('{name: x, host: h}')).toMatchObject({ name: 'x', host: 'h' });
    expect(parse('networks: []').host).toBe('net-1');
  });

  it('networks and subnets', () => {
    const { networks } = parse(`
networks:
  - name: n
    subnets: [{cidr: 10.1.0.0/30}, {cidr: 10.2.0.0/24, gateway_ip: 10.2.0.100}, {cidr: 10.3.0.0/24, gateway_ip: null}]
  - {name: e, external: true, subnets: [{cidr: 2001:db8::/64}]}
subnets:
  - {network: n, cidr: 10.4.0.0/31, enable_dhcp: false}
`);
    expect(networks[0]).toMatchObject({
      mtu: 1500,
      external: false,
      admin_state_up: true,
      project_id: 'demo',
    });
    expect(networks[0]!.subnets.map((s) => [s.gateway_ip, s.enable_dhcp, s.allocation_pools])).toEqual([
      ['10.1.0.1', true, [{ start: '10.1.0.2', end: '10.1.0.2' }]],
      [
        '10.2.0.100',
        true,
        [
          { start: '10.2.0.1', end: '10.2.0.99' },
          { start: '10.2.0.101', end: '10.2.0.254' },
        ],
      ],
      [null, true, [{ start: '10.3.0.1', end: '10.3.0.254' }]],
      ['10.4.0.0', false, [{ start: '10.4.0.1', end: '10.4.0.1' }]],
    ]);
    expect(networks[1]!.subnets[0]).toMatchObject({
      ip_version: 6,
      enable_dhcp: false,
      gateway_ip: '2001:db8::1',
      allocation_pools: [{ start: '2001:db8::2', end: '2001:db8::ffff:ffff:ffff:ffff' }],
    });
  });

  it('options of the agents are named and preset as in Neutron', () => {
    expect(parse('{}')).toMatchObject({
      dhcp: { dhcp_lease_duration: 86_400, dns_domain: 'openstacklocal', enable_isolated_metadata: true },
      metadata: { nova_metadata_host: undefined, nova_metadata_port: 8775, nova_metadata_protocol: 'http' },
    });
  });
});

describe('addresses', () => {
  const net = (rest: string) =>
    parse(`networks:
  - {name: n, subnets: [{name: s, cidr: 10.0.0.0/29}]}
  - {name: six, subnets: [{name: st, cidr: 'fd00:1::/64', ipv6_ra_mode: dhcpv6-stateful, ipv6_address_mode: dhcpv6-stateful}]}
${rest}`);

  it('explicit ones are reserved before the first free one is looked for', () => {
    const topology = net(
      'ports: [{name: a, network: n}, {name: b, network: n, fixed_ips: [{ip_address: 10.0.0.3}]}]',
    );
    expect(addresses(topology, 'a')).toEqual(['10.0.0.4']);
    expect(addresses(topology, 'b')).toEqual(['10.0.0.3']);
  });

  it('a port without addresses is possible, and one with several', () => {
    const topology = net(
      'ports: [{name: a, network: n, fixed_ips: []}, {name: b, network: n, fixed_ips: [{subnet: s}, {subnet: s}]}]',
    );
    expect(addresses(topology, 'a')).toEqual([]);
    expect(addresses(topology, 'b')).toEqual(['10.0.0.3', '10.0.0.4']);
  });

  it('DHCPv6 stateful ones come from the pools', () => {
    const topology = net('ports: [{name: a, network: six}]');
    expect(addresses(topology, 'a')).toEqual(['fd00:1::3']);
  });

  it('IPv6 subnets of one network share a router port', () => {
    const topology = parse(`
networks: [{name: n, subnets: [{name: a, cidr: 'fd00:1::/64'}, {name: b, cidr: 'fd00:2::/64'}, {name: c, cidr: 10.0.0.0/24}]}]
routers: [{name: r, interfaces: [a, c, b]}]
`);
    expect(
      owned(topology, 'router_interface').map(({ fixed_ips }) => fixed_ips.map((f) => f.ip_address)),
    ).toEqual([['fd00:1::1', 'fd00:2::1'], ['10.0.0.1']]);
  });

  it('a port can become a router interface', () => {
    const topology = net('ports: [{name: a, network: n}]\nrouters: [{name: r, interfaces: [{port: a}]}]');
    expect(port(topology, 'a')).toMatchObject({
      device_owner: 'network:router_interface',
      device_id: topology.routers[0]!.id,
    });
  });
});

describe('names and ids', () => {
  it('ids may be given, and stand for names everywhere', () => {
    const id = '11111111-2222-4333-8444-555555555555';
    const topology = parse(`
networks: [{name: n, id: ${id}, subnets: [{name: s, cidr: 10.0.0.0/24}]}]
instances: [{name: vm, network: ${id}}]
`);
    expect(topology.ports.every(({ network_id }) => network_id === id)).toBe(true);
  });

  it('subnets of one name on two networks are told apart by the network', () => {
    const topology = parse(`
networks: [{name: a, subnets: [{name: s, cidr: 10.0.0.0/24}]}, {name: b, subnets: [{name: s, cidr: 10.9.0.0/24}]}]
ports: [{name: p, network: b, fixed_ips: [{subnet: s}]}]
`);
    expect(addresses(topology, 'p')).toEqual(['10.9.0.3']);
  });

  it('an instance takes named ports, gives them its id, project and host name', () => {
    const topology = parse(`
networks: [{name: n, subnets: [{cidr: 10.0.0.0/24}]}]
ports: [{name: p, network: n}, {name: q, network: n, project: own, dns_name: other}]
instances: [{name: VM1, project: tenant, ports: [p, q], configure: none, metadata: {k: 1, t: true}}]
`);
    const [vm] = topology.instances;
    expect(vm).toMatchObject({ namespace: 'vm-VM1', configure: 'none', metadata: { k: '1', t: 'true' } });
    expect(port(topology, 'p')).toMatchObject({ device_id: vm!.id, project_id: 'tenant', dns_name: 'vm1' });
    expect(port(topology, 'q')).toMatchObject({ project_id: 'own', dns_name: 'other' });
  });

  it('anchors and aliases are followed', () => {
    const topology = parse(`
networks:
  - {name: a, subnets: [&s {name: x, cidr: 10.0.0.0/24}]}
  - {name: b, subnets: [*s]}
`);
    expect(topology.networks[1]!.subnets[0]!.cidr).toBe('10.0.0.0/24');
  });

  it('UUID version 5 is that of RFC 9562', () => {
    expect(uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe(
      '2ed6657d-e927-568b-95e1-2665a8aea6a2',
    );
  });
});
