/** Router payloads in the server's shape, of any size, for tests and benchmarks. Ids are pretend UUIDs. */

const hex = (value: number, digits: number): string =>
  value.toString(16).padStart(digits, '0').slice(-digits);

/** The first 11 characters, from which device names are made, differ for any kind, n < 65536 and k < 65536. */
export const testId = (kind: number, n: number, k = 0): string =>
  `${hex(kind, 2)}${hex(n, 4)}${hex(k, 2)}-${hex(k >> 8, 2)}00-4000-8000-${hex(n, 6)}${hex(k, 6)}`;

export interface RouterShape {
  readonly floatingIps?: number;
  readonly subnets?: number;
  readonly routes?: { destination: string; nexthop: string }[];
  readonly enableSnat?: boolean;
}

const mac = (n: number, k: number): string =>
  `fa:16:3e:${[(n >> 8) & 255, n & 255, k].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;

const port = (
  n: number,
  k: number,
  owner: string,
  ip: string,
  cidr: string,
  gateway: string,
  network: string,
) => ({
  id: testId(0xd0 + k, n, k),
  network_id: network,
  mac_address: mac(n, k),
  admin_state_up: true,
  device_owner: owner,
  status: 'ACTIVE',
  mtu: 1500,
  fixed_ips: [{ subnet_id: testId(0x50 + k, n), ip_address: ip, prefixlen: Number(cidr.split('/')[1]) }],
  subnets: [
    {
      id: testId(0x50 + k, n),
      cidr,
      gateway_ip: gateway,
      dns_nameservers: [],
      ipv6_ra_mode: null,
      subnetpool_id: null,
    },
  ],
  extra_subnets: [],
  address_scopes: { '4': null, '6': null },
});

export const floatingIp = (n: number, i: number) => ({
  id: testId(0xf1, n, i & 0xfffff),
  floating_ip_address: `203.0.${113 + (i >> 8)}.${i & 255}`,
  fixed_ip_address: `10.${i % 2}.${10 + (i >> 8)}.${i & 255}`,
  floating_network_id: testId(0xe0, 0),
  router_id: testId(0x40, n),
  port_id: testId(0xc0, n, i & 0xfffff),
  status: 'DOWN',
  tenant_id: testId(0x70, n),
  fixed_ip_address_scope: null,
});

export function routerPayload(n: number, shape: RouterShape = {}) {
  const id = testId(0x40, n);
  const external = testId(0xe0, 0);
  const interfaces = Array.from({ length: shape.subnets ?? 2 }, (_, k) =>
    port(
      n,
      k,
      'network:router_interface',
      `10.${k}.0.1`,
      `10.${k}.0.0/16`,
      `10.${k}.0.1`,
      testId(0xa0 + k, n),
    ),
  );
  const gateway = port(
    n,
    9,
    'network:router_gateway',
    `203.0.113.${2 + (n % 200)}`,
    '203.0.112.0/20',
    '203.0.113.1',
    external,
  );
  const floatingIps = Array.from({ length: shape.floatingIps ?? 0 }, (_, i) => floatingIp(n, 256 + i));
  return {
    id,
    name: `router-${n}`,
    tenant_id: testId(0x70, n),
    admin_state_up: true,
    status: 'ACTIVE',
    gw_port_id: gateway.id,
    gw_port: gateway,
    external_gateway_info: {
      network_id: external,
      enable_snat: shape.enableSnat ?? true,
      external_fixed_ips: [],
    },
    enable_snat: shape.enableSnat ?? true,
    distributed: false,
    ha: false,
    routes: shape.routes ?? [],
    _interfaces: interfaces,
    _floatingips: floatingIps,
  };
}
