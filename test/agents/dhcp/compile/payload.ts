/** Hand-made network payloads for cases that no recording shows. */
import { dhcpDeviceId } from '../../../../agents/dhcp/compile/identity.ts';
import { type Network, parseNetwork } from '../../../../lib/model/network.ts';
import { HOST } from './rendered.ts';

const uuid = (kind: number, number: number): string =>
  `${kind.toString(16).padStart(4, '0')}${number.toString(16).padStart(4, '0')}-0000-4000-8000-000000000000`;

export const NETWORK = uuid(0xa, 1);
export const subnetId = (number: number): string => uuid(0xb, number);
export const portId = (number: number): string => uuid(0xc, number);
export const macOf = (number: number): string => `fa:16:3e:00:00:${number.toString(16).padStart(2, '0')}`;

export type Wish = Readonly<Record<string, unknown>>;

/** Subnet `number`: 10.0.<number>.0/24 with gateway .1 unless said otherwise. */
export const subnetPayload = (number: number, wish: Wish = {}) => ({
  id: subnetId(number),
  name: '',
  network_id: NETWORK,
  ip_version: 4,
  cidr: `10.0.${number}.0/24`,
  gateway_ip: `10.0.${number}.1`,
  enable_dhcp: true,
  dns_nameservers: [],
  host_routes: [],
  ...wish,
});

/** Port `number` with addresses on subnets: [subnet number, address]. */
export const portPayload = (
  number: number,
  ips: readonly (readonly [subnet: number, ip: string])[],
  wish: Wish = {},
) => ({
  id: portId(number),
  network_id: NETWORK,
  mac_address: macOf(number),
  admin_state_up: true,
  device_id: `vm-${number}`,
  device_owner: 'compute:nova',
  fixed_ips: ips.map(([subnet, ip_address]) => ({ subnet_id: subnetId(subnet), ip_address })),
  extra_dhcp_opts: [],
  ...wish,
});

export const dhcpPort = (
  number: number,
  ips: readonly (readonly [subnet: number, ip: string])[],
  host = HOST.name,
) => portPayload(number, ips, { device_id: dhcpDeviceId(host, NETWORK), device_owner: 'network:dhcp' });

export const networkPayload = (
  subnets: readonly unknown[],
  ports: readonly unknown[],
  wish: Wish = {},
): Record<string, unknown> => ({
  id: NETWORK,
  name: 'n',
  admin_state_up: true,
  mtu: 1450,
  subnets,
  non_local_subnets: [],
  ports,
  ...wish,
});

export const network = (...given: Parameters<typeof networkPayload>): Network =>
  parseNetwork(networkPayload(...given));
