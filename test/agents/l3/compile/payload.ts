/** Hand-made payloads for cases that no recording shows. */

let made = 0;

/** A valid and distinct UUID whose first 11 characters differ from all others. */
export function newId(): string {
  made += 1;
  return `${made.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
}

interface SubnetWish {
  readonly cidr: string;
  readonly gateway_ip?: string | null;
}

export const subnetPayload = ({ cidr, gateway_ip = null }: SubnetWish) => ({
  id: newId(),
  cidr,
  gateway_ip,
  ipv6_ra_mode: null,
  dns_nameservers: [],
});

export const portPayload = (wish: {
  readonly ips: readonly string[];
  readonly subnets: readonly SubnetWish[];
  readonly extra_subnets?: readonly SubnetWish[];
  readonly mtu?: number | null;
  readonly admin_state_up?: boolean;
}) => ({
  id: newId(),
  network_id: newId(),
  mac_address: 'fa:16:3e:00:00:01',
  mtu: wish.mtu === undefined ? 1450 : wish.mtu,
  admin_state_up: wish.admin_state_up ?? true,
  device_owner: 'network:router_interface',
  fixed_ips: wish.ips.map((ip) => {
    const [ip_address, prefixlen] = ip.split('/');
    return { subnet_id: newId(), ip_address, ...(prefixlen ? { prefixlen: Number(prefixlen) } : {}) };
  }),
  subnets: wish.subnets.map(subnetPayload),
  extra_subnets: (wish.extra_subnets ?? []).map(subnetPayload),
});

export const gatewayPayload = () =>
  portPayload({
    ips: ['203.0.113.2/24'],
    subnets: [{ cidr: '203.0.113.0/24', gateway_ip: '203.0.113.1' }],
    mtu: 1500,
  });

export const internalPayload = () =>
  portPayload({ ips: ['10.0.0.1/24'], subnets: [{ cidr: '10.0.0.0/24', gateway_ip: '10.0.0.1' }] });

export const floatingIpPayload = (floating_ip_address: string, fixed_ip_address: string | null) => ({
  id: newId(),
  floating_ip_address,
  fixed_ip_address,
  floating_network_id: newId(),
  port_id: newId(),
  status: 'DOWN',
});

export const routerPayload = (wish: Readonly<Record<string, unknown>> = {}) => ({
  id: newId(),
  name: 'r',
  admin_state_up: true,
  gw_port: gatewayPayload(),
  _interfaces: [internalPayload()],
  _floatingips: [],
  routes: [],
  ...wish,
});
