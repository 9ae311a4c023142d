/** Routers of every kind that the L3 agent builds in centralized mode, made over REST, and machines around them. */
import type { Machine } from '../../e2e/packets.ts';
import { output, until } from '../../e2e/shell.ts';
import { type Cloud, OUTSIDE } from '../cloud/cloud.ts';
import type { Resource } from '../cloud/server.ts';

/** More of the outside world: a second IPv4 subnet and an IPv6 one on the external network. */
export const OUTSIDE_ALSO = {
  v4: { address: '198.51.100.1', cidr: '198.51.100.0/24' },
  v6: { address: '2001:db8:ff::1', cidr: '2001:db8:ff::/64' },
};
export const INSIDE_V6 = '2001:db8:3::/64';
/** Behind machines d2 and a2, by extra routes. */
export const BEHIND = { d2: '192.0.2.1', a2: '192.0.2.129' };

export type MachineName = 'a1' | 'a2' | 'b1' | 'c1' | 'd1' | 'd2';

export interface Site {
  readonly routers: Readonly<Record<'snat' | 'routed' | 'dual' | 'alone', Resource>>;
  readonly machines: Readonly<Record<MachineName, Machine>>;
  readonly addresses: Readonly<Record<MachineName, string>>;
  /** of a1 and c1, of a port without a machine, and one that belongs to no port */
  readonly floating: Readonly<Record<'a1' | 'c1' | 'absent' | 'free', string>>;
  /** of the routers in the external network */
  readonly gateways: Readonly<Record<'snat' | 'routed' | 'dual' | 'dual6', string>>;
  /** first device of each router in its tenant's network */
  readonly inside: Readonly<Record<MachineName, string>>;
}

interface FixedIp {
  readonly subnet_id: string;
  readonly ip_address: string;
}

const fixedIps = (port: Resource): readonly FixedIp[] => port.fixed_ips as FixedIp[];
const gatewayIps = (router: Resource): readonly FixedIp[] =>
  (router.external_gateway_info as { external_fixed_ips: FixedIp[] }).external_fixed_ips;

export class SiteMaker {
  readonly #cloud: Cloud;

  constructor(cloud: Cloud) {
    this.#cloud = cloud;
  }

  async #subnet(network: Resource, cidr: string, more: Record<string, unknown> = {}): Promise<Resource> {
    return this.#cloud.server.create('subnets', {
      network_id: network.id,
      ip_version: cidr.includes(':') ? 6 : 4,
      cidr,
      enable_dhcp: false,
      ...more,
    });
  }

  async #plug(router: Resource, subnet: Resource): Promise<void> {
    await this.#cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, {
      subnet_id: subnet.id,
    });
  }

  async #machine(name: MachineName, network: Resource, via: string): Promise<[Machine, Resource]> {
    const port = await this.#cloud.server.create('ports', {
      network_id: network.id,
      'binding:host_id': 'net-1',
      port_security_enabled: false,
    });
    const machine = await this.#cloud.boot(name, port);
    const v4 = fixedIps(port).find(({ ip_address }) => !ip_address.includes(':'))!;
    await machine.sh(`ip addr add ${v4.ip_address}/24 dev eth0 && ip route add default via ${via}`);
    return [machine, port];
  }

  /** The routers are scheduled to the L3 agent of the node, which must have reported before. */
  async make(): Promise<Site> {
    const { server, outside } = this.#cloud;
    const external = await server.create('networks', {
      name: 'public',
      'router:external': true,
      'provider:network_type': 'flat',
      'provider:physical_network': 'ext',
    });
    const first = await this.#subnet(external, OUTSIDE.cidr, { gateway_ip: OUTSIDE.address });
    const second = await this.#subnet(external, OUTSIDE_ALSO.v4.cidr, {
      gateway_ip: OUTSIDE_ALSO.v4.address,
    });
    const six = await this.#subnet(external, OUTSIDE_ALSO.v6.cidr, { gateway_ip: OUTSIDE_ALSO.v6.address });
    await outside.sh(`ip addr add ${OUTSIDE_ALSO.v4.address}/24 dev eth0`);
    await outside.sh(`ip addr add ${OUTSIDE_ALSO.v6.address}/64 dev eth0 nodad`);
    const gateway = (subnets: readonly Resource[], more: Record<string, unknown> = {}) => ({
      network_id: external.id,
      external_fixed_ips: subnets.map(({ id }) => ({ subnet_id: id })),
      ...more,
    });

    const networks = await server.createAll(
      'networks',
      ['a', 'b', 'c', 'd', 'e', 'off'].map((name) => ({ name })),
    );
    const [a, b, c, d, e, off] = networks as [Resource, Resource, Resource, Resource, Resource, Resource];
    const slaac = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac', enable_dhcp: true };
    const inA = await this.#subnet(a, '10.1.0.0/24');
    const inB = await this.#subnet(b, '10.2.0.0/24');
    const inC = await this.#subnet(c, '10.3.0.0/24');
    const inC6 = await this.#subnet(c, INSIDE_V6, slaac);
    const inD = await this.#subnet(d, '10.4.0.0/24');
    const inE = await this.#subnet(e, '10.5.0.0/24');
    const inOff = await this.#subnet(off, '10.6.0.0/24');

    let snat = await server.create('routers', { name: 'snat', external_gateway_info: gateway([first]) });
    let routed = await server.create('routers', {
      name: 'routed',
      external_gateway_info: gateway([first], { enable_snat: false }),
    });
    let dual = await server.create('routers', {
      name: 'dual',
      external_gateway_info: gateway([first, second, six]),
    });
    let alone = await server.create('routers', { name: 'alone' });
    await this.#plug(snat, inA);
    await this.#plug(routed, inB);
    await this.#plug(dual, inC);
    await this.#plug(dual, inC6);
    await this.#plug(alone, inD);
    await this.#plug(alone, inE);
    await this.#plug(alone, inOff);
    const [down] = await server.list('ports', `?network_id=${off.id}`);
    await server.update('ports', down!.id, { admin_state_up: false });

    const [a1, portA1] = await this.#machine('a1', a, '10.1.0.1');
    const [a2, portA2] = await this.#machine('a2', a, '10.1.0.1');
    const [b1, portB1] = await this.#machine('b1', b, '10.2.0.1');
    const [c1, portC1] = await this.#machine('c1', c, '10.3.0.1');
    const [d1, portD1] = await this.#machine('d1', d, '10.4.0.1');
    const [d2, portD2] = await this.#machine('d2', e, '10.5.0.1');
    const addressOf = (port: Resource): string =>
      fixedIps(port).find(({ ip_address }) => !ip_address.includes(':'))!.ip_address;
    await d2.sh(`ip addr add ${BEHIND.d2}/32 dev lo`);
    await a2.sh(`ip addr add ${BEHIND.a2}/32 dev lo`);

    alone = await server.update('routers', alone.id, {
      routes: [
        { destination: '192.0.2.0/25', nexthop: addressOf(portD2) },
        { destination: '192.0.2.128/25', nexthop: '10.4.0.200' },
      ],
    });
    snat = await server.update('routers', snat.id, {
      routes: [{ destination: '192.0.2.128/25', nexthop: addressOf(portA2) }],
    });
    const float = async (port?: Resource): Promise<string> => {
      const made = await server.create('floatingips', {
        floating_network_id: external.id,
        subnet_id: first.id,
        ...(port ? { port_id: port.id, fixed_ip_address: addressOf(port) } : {}),
      });
      return String(made.floating_ip_address);
    };
    const absent = await server.create('ports', { network_id: a.id });
    const floating = {
      a1: await float(portA1),
      c1: await float(portC1),
      absent: await float(absent),
      free: await float(),
    };
    [routed, dual] = (await Promise.all([routed, dual].map(({ id }) => server.show('routers', id)))) as [
      Resource,
      Resource,
    ];
    const gateways = {
      snat: gatewayIps(snat)[0]!.ip_address,
      routed: gatewayIps(routed)[0]!.ip_address,
      dual: gatewayIps(dual).find(({ subnet_id }) => subnet_id === first.id)!.ip_address,
      dual6: gatewayIps(dual).find(({ subnet_id }) => subnet_id === six.id)!.ip_address,
    };
    // As a provider routes to its customers. That of the router with SNAT is wrong on purpose.
    await outside.sh(`ip route add 10.2.0.0/24 via ${gateways.routed}`);
    await outside.sh(`ip route add 10.1.0.0/24 via ${gateways.snat}`);
    await outside.sh(`ip -6 route add ${INSIDE_V6} via ${gateways.dual6}`);
    return {
      routers: { snat, routed, dual, alone },
      machines: { a1, a2, b1, c1, d1, d2 },
      addresses: {
        a1: addressOf(portA1),
        a2: addressOf(portA2),
        b1: addressOf(portB1),
        c1: addressOf(portC1),
        d1: addressOf(portD1),
        d2: addressOf(portD2),
      },
      floating,
      gateways,
      inside: {
        a1: '10.1.0.1',
        a2: '10.1.0.1',
        b1: '10.2.0.1',
        c1: '10.3.0.1',
        d1: '10.4.0.1',
        d2: '10.5.0.1',
      },
    };
  }
}

/** The IPv6 address that a machine made for itself of the router's advertisement. */
export const slaacAddress = (machine: Machine): Promise<string> =>
  until(
    `${machine.ns} has an address of ${INSIDE_V6}`,
    async () =>
      /inet6 (2001:db8:3:[0-9a-f:]+)\/64 scope global/.exec(
        await output('ip', '-n', machine.ns, '-6', 'addr', 'show', 'dev', 'eth0', '-tentative'),
      )?.[1],
    60_000,
  );
