import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseNetwork } from '../../../lib/model/network.ts';
import { Controller } from '../../../lib/standalone/controller.ts';
import { parseTopology, type TopologyError } from '../../../lib/standalone/topology.ts';

const SUBNET = (more = '') =>
  `{ name: v6, subnetpool_id: prefix_delegation, ipv6_ra_mode: slaac, ipv6_address_mode: slaac ${more}}`;
const yaml = (subnet = SUBNET()): string => `
name: lab
networks:
  - { name: ext, external: true, subnets: [{ cidr: "2001:db8:e::/64" }] }
  - { name: a, subnets: [{ name: v4, cidr: 10.0.0.0/24 }, ${subnet}] }
routers:
  - { name: r, external_gateway_info: { network: ext }, interfaces: [v4, v6] }
ports: [{ name: p, network: a, mac_address: "fa:16:3e:00:00:01" }]
`;
const PREFIX = '2001:db8:f000:1::/64';

const parse = (text: string, delegated?: ReadonlyMap<string, string>) =>
  parseTopology(text, { file: 'lab.yaml', host: 'h', ...(delegated ? { delegated } : {}) });
const subnetOf = (topology: ReturnType<typeof parse>) =>
  topology.networks[1]!.subnets.find(({ name }) => name === 'v6')!;

describe('a subnet whose prefix is delegated', () => {
  it('has a placeholder until then: only its router is on it, by a port of its own', () => {
    const topology = parse(yaml());
    const { id, cidr, subnetpool_id } = subnetOf(topology);
    expect([cidr, subnetpool_id]).toEqual(['::/64', 'prefix_delegation']);
    const on = topology.ports.filter(({ fixed_ips }) => fixed_ips.some(({ subnet_id }) => subnet_id === id));
    expect(on.map(({ device_owner, fixed_ips }) => [device_owner, fixed_ips.length])).toEqual([
      ['network:router_interface', 1],
    ]);
  });

  it('gets gateway, pools and addresses with the prefix, and keeps its id', () => {
    const { id } = subnetOf(parse(yaml()));
    const topology = parse(yaml(), new Map([[id, PREFIX]]));
    expect(subnetOf(topology)).toMatchObject({ id, cidr: PREFIX, gateway_ip: '2001:db8:f000:1::1' });
    const addresses = topology.ports.find(({ name }) => name === 'p')!.fixed_ips.map((ip) => ip.ip_address);
    expect(addresses).toContain('2001:db8:f000:1:f816:3eff:fe00:1');
  });

  it.each([
    [SUBNET(', cidr: "2001:db8::/64"'), 'has subnetpool_id and cidr, which comes with the prefix'],
    [SUBNET(', gateway_ip: "2001:db8::1"'), 'has subnetpool_id and gateway_ip'],
    [SUBNET(', ip_version: 4'), 'only IPv6 prefixes are delegated'],
    ['{ name: v6, subnetpool_id: prefix_delegation }', 'hosts that do not make their own addresses'],
    [SUBNET().replaceAll('slaac', 'dhcpv6-stateful'), 'hosts that do not make their own addresses'],
    ['{ name: v6, subnetpool_id: other }', '"other" is not prefix_delegation'],
    ['{ name: v6 }', "'cidr' is missing"],
    [SUBNET().replace('name: v6,', ''), 'no name to know it by'],
  ])('is refused: %s', (subnet, message) => {
    let problems = '';
    try {
      parse(yaml(subnet));
    } catch (error) {
      problems = (error as TopologyError).problems.map((one) => one.message).join('\n');
    }
    expect(problems).toContain(message);
  });

  it('does not exist to the DHCP agent before, nor do addresses on it', () => {
    const { id } = subnetOf(parse(yaml()));
    const uuid = (n: number) => `00000000-0000-4000-8000-00000000000${n}`;
    const network = parseNetwork({
      id: uuid(1),
      subnets: [
        { id, network_id: uuid(1), ip_version: 6, cidr: '::/64', gateway_ip: '::' },
        { id: uuid(2), network_id: uuid(1), ip_version: 4, cidr: '10.0.0.0/24' },
      ],
      ports: [
        {
          id: uuid(3),
          network_id: uuid(1),
          mac_address: 'fa:16:3e:00:00:01',
          fixed_ips: [
            { subnet_id: id, ip_address: '::f816:3eff:fe00:1' },
            { subnet_id: uuid(2), ip_address: '10.0.0.5' },
          ],
        },
      ],
    });
    expect(network.subnets.map(({ cidr }) => cidr)).toEqual(['10.0.0.0/24']);
    expect(network.ports[0]!.fixed_ips.map(({ ip_address }) => ip_address)).toEqual(['10.0.0.5']);
    expect(network.problems).toEqual([]);
  });
});

describe('the controller', () => {
  let directory: string;
  const controllers: Controller[] = [];
  const open = async (): Promise<Controller> => {
    const controller = new Controller({
      file: join(directory, 'lab.yaml'),
      host: 'h',
      debounce: 10,
      directory: (name) => join(directory, name),
    });
    controllers.push(controller);
    await controller.open();
    return controller;
  };
  const cidrOf = (controller: Controller) => subnetOf(controller.topology).cidr;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'viaduct-delegated-'));
    writeFileSync(join(directory, 'lab.yaml'), yaml());
  });
  afterEach(() => {
    for (const controller of controllers.splice(0)) controller.close();
    rmSync(directory, { recursive: true });
  });

  it('gives the subnet the prefix it is told of, says what changed, and remembers it', async () => {
    const controller = await open();
    const updated: string[] = [];
    controller.on('routersUpdated', (ids) => updated.push(...ids));
    controller.on('networksUpdated', (ids) => updated.push(...ids));
    const { id } = subnetOf(controller.topology);
    await controller.updatePrefixes({ [id]: PREFIX });
    expect(cidrOf(controller)).toBe(PREFIX);
    expect(updated.sort()).toEqual(
      [controller.topology.routers[0]!.id, controller.topology.networks[1]!.id].sort(),
    );
    expect(cidrOf(await open())).toBe(PREFIX);

    updated.length = 0;
    await controller.updatePrefixes({ [id]: PREFIX });
    expect(updated).toEqual([]);
  });

  it('forgets a prefix that is none any more', async () => {
    const controller = await open();
    const { id } = subnetOf(controller.topology);
    await controller.updatePrefixes({ [id]: PREFIX });
    await controller.updatePrefixes({ [id]: '::/64' });
    expect(cidrOf(controller)).toBe('::/64');
    expect(existsSync(join(directory, 'lab/delegated.json'))).toBe(false);
  });

  it('follows what another process of the deployment is delegated', async () => {
    const [l3, dhcp] = [await open(), await open()];
    const { id } = subnetOf(l3.topology);
    await l3.updatePrefixes({ [id]: PREFIX });
    dhcp.watch();
    await l3.updatePrefixes({ [id]: '2001:db8:f000:2::/64' });
    await expect.poll(() => cidrOf(dhcp)).toBe('2001:db8:f000:2::/64');
  });

  it('a damaged file of prefixes counts as none', async () => {
    const controller = await open();
    await controller.updatePrefixes({ [subnetOf(controller.topology).id]: PREFIX });
    const path = join(directory, 'lab/delegated.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('2001', 'x'));
    expect(cidrOf(await open())).toBe('::/64');
  });
});
