import { describe, expect, it } from 'vitest';
import { networkListeners, routerListeners } from '../../../../agents/metadata/compile/listeners.ts';
import { parseNetwork } from '../../../../lib/model/network.ts';
import { parseRouter } from '../../../../lib/model/router.ts';

const ROUTER = '11111111-1111-4111-8111-111111111111';
const NETWORK = '22222222-2222-4222-8222-222222222222';
const V4 = '33333333-3333-4333-8333-333333333333';
const V6 = '44444444-4444-4444-8444-444444444444';
const DHCP_PORT = '55555555-5555-4555-8555-555555555555';
const ROUTER_PORT = '66666666-6666-4666-8666-666666666666';
const HOST_ID = '77777777-7777-5777-8777-777777777777';

const options = {
  enable_metadata_proxy: true,
  metadata_port: 9697,
  enable_isolated_metadata: true,
  force_metadata: false,
  enable_metadata_network: false,
  ipv6: true,
};

const port = (id: string, device_owner: string, device_id: string, ip?: string) => ({
  id,
  network_id: NETWORK,
  mac_address: 'fa:16:3e:00:00:01',
  device_owner,
  device_id,
  fixed_ips: ip ? [{ subnet_id: V4, ip_address: ip }] : [],
});
const dhcpPort = port(DHCP_PORT, 'network:dhcp', `dhcp${HOST_ID}-${NETWORK}`, '10.0.0.2');
const routerPort = port(ROUTER_PORT, 'network:router_interface', ROUTER, '10.0.0.1');
const subnet = (value: object = {}) => ({
  id: V4,
  network_id: NETWORK,
  ip_version: 4,
  cidr: '10.0.0.0/24',
  gateway_ip: '10.0.0.1',
  enable_dhcp: true,
  ...value,
});
const v6 = subnet({ id: V6, ip_version: 6, cidr: 'fd00::/64', gateway_ip: 'fd00::1' });
const network = (subnets: object[], ports: object[], value: object = {}) =>
  parseNetwork({ id: NETWORK, admin_state_up: true, subnets, ports, ...value });

describe('listeners of a router', () => {
  it('take both families on the metadata port', () => {
    expect(routerListeners(parseRouter({ id: ROUTER }), options)).toEqual([
      {
        key: `qrouter-${ROUTER}|::|9697|`,
        ns: `qrouter-${ROUTER}`,
        address: '::',
        port: 9697,
        identity: { router: ROUTER },
      },
    ]);
  });
  it('take IPv4 on a host without IPv6', () => {
    const [listener] = routerListeners(parseRouter({ id: ROUTER }), { ...options, ipv6: false });
    expect(listener).toMatchObject({ address: '0.0.0.0' });
  });
  it('are none with the proxy disabled, or for a router that is down', () => {
    expect(
      routerListeners(parseRouter({ id: ROUTER }), { ...options, enable_metadata_proxy: false }),
    ).toEqual([]);
    expect(routerListeners(parseRouter({ id: ROUTER, admin_state_up: false }), options)).toEqual([]);
  });
});

describe('listeners of a DHCP namespace', () => {
  const addresses = (...args: Parameters<typeof networkListeners>) =>
    networkListeners(...args).map(({ address, device, identity }) => ({ address, device, identity }));
  const v4Listener = { address: '169.254.169.254', device: undefined, identity: { network: NETWORK } };

  it('are there on an isolated network', () => {
    expect(networkListeners(network([subnet()], [dhcpPort]), options)).toEqual([
      {
        key: `qdhcp-${NETWORK}|169.254.169.254|80|`,
        ns: `qdhcp-${NETWORK}`,
        address: '169.254.169.254',
        port: 80,
        identity: { network: NETWORK },
      },
    ]);
  });
  it('are none when a router has the gateway address', () => {
    expect(addresses(network([subnet()], [dhcpPort, routerPort]), options)).toEqual([]);
  });
  it('are there although there is a router, if it is not the gateway or if forced', () => {
    const other = { ...routerPort, fixed_ips: [{ subnet_id: V4, ip_address: '10.0.0.9' }] };
    expect(addresses(network([subnet()], [other]), options)).toEqual([v4Listener]);
    const forced = { ...options, enable_isolated_metadata: false, force_metadata: true };
    expect(addresses(network([subnet()], [routerPort]), forced)).toEqual([v4Listener]);
  });
  it('are none without the options, without DHCP, on a network that is down, and beside OVN', () => {
    const off = { ...options, enable_isolated_metadata: false };
    expect(addresses(network([subnet()], [dhcpPort]), off)).toEqual([]);
    expect(addresses(network([subnet({ enable_dhcp: false })], [dhcpPort]), options)).toEqual([]);
    expect(addresses(network([subnet()], [dhcpPort], { admin_state_up: false }), options)).toEqual([]);
    const ovn = port(ROUTER_PORT, 'network:distributed', `ovnmeta-${NETWORK}`);
    expect(addresses(network([subnet()], [ovn]), { ...options, force_metadata: true })).toEqual([]);
  });
  it('take IPv6 on the device of the only DHCP port of this host', () => {
    const v6Listener = {
      address: 'fe80::a9fe:a9fe',
      device: 'ns-55555555-55',
      identity: { network: NETWORK },
    };
    const dual = network([subnet(), v6], [dhcpPort]);
    expect(addresses(dual, options)).toEqual([v4Listener, v6Listener]);
    expect(addresses(dual, { ...options, dhcpDevicePrefix: 'tap' })[1]).toMatchObject({
      device: 'tap55555555-55',
    });
    expect(addresses(dual, { ...options, ipv6: false })).toEqual([v4Listener]);
    const two = network(
      [subnet(), v6],
      [dhcpPort, port(ROUTER_PORT, 'network:dhcp', 'dhcp-of-another-host')],
    );
    expect(addresses(two, options)).toEqual([v4Listener]);
    expect(addresses(two, { ...options, dhcpHostId: HOST_ID })).toEqual([v4Listener, v6Listener]);
  });
  it('of a metadata network speak for the router on it', () => {
    const meta = subnet({ cidr: '169.254.10.0/24', gateway_ip: '169.254.10.1' });
    const gateway = port(ROUTER_PORT, 'network:router_interface', ROUTER, '169.254.10.1');
    const on = { ...options, enable_metadata_network: true };
    expect(addresses(network([meta], [dhcpPort, gateway]), on)).toEqual([
      { ...v4Listener, identity: { router: ROUTER } },
    ]);
    expect(addresses(network([meta], [dhcpPort, gateway]), options)).toEqual([]);
    expect(addresses(network([meta], [dhcpPort]), on)).toEqual([v4Listener]);
  });
});
