import { ipFamily } from '../../../lib/model/ip.ts';
import type { RouterPort } from '../../../lib/model/router-port.ts';
import { type RowGroup, sysctl } from '../../../lib/namespace/rows.ts';
import { deviceName } from '../../../lib/wiring/bridge.ts';
import { plugPort } from '../../../lib/wiring/wiring.ts';
import type { L3Options } from '../options.ts';
import { byObject } from './memo.ts';
import { portAddresses, portMtu } from './ports.ts';

export const gatewayDevice = (port: RouterPort): string => deviceName('qg-', port.id);

/** The address SNAT uses: the gateway port's first IPv4 address; undefined on an IPv6-only external network. */
export const gatewayIpv4 = (port: RouterPort): string | undefined =>
  port.fixed_ips.find(({ ip_address }) => ipFamily(ip_address) === 4)?.ip_address;

/**
 * Next hop of the default route: the last subnet of that family with a gateway wins, as it does where
 * they are set one after the other. Without one, IPv6 falls back to option `ipv6_gateway`.
 */
export function defaultGateway(port: RouterPort, family: 4 | 6, options: L3Options): string | undefined {
  const ofSubnets = port.subnets
    .map(({ gateway_ip }) => gateway_ip)
    .filter((ip): ip is string => ip != null && ipFamily(ip) === family);
  return ofSubnets.at(-1) ?? (family === 6 && options.ipv6_gateway ? options.ipv6_gateway : undefined);
}

const gatewayPort = byObject(
  (port: RouterPort, { ns, options }: { readonly ns: string; readonly options: L3Options }): RowGroup => {
    const device = gatewayDevice(port);
    // With no next hop of our own the default route comes from router advertisements, which
    // a forwarding interface only accepts with the value 2.
    const acceptRa = defaultGateway(port, 6, options) === undefined ? '2' : '0';
    return [
      ...plugPort({ ns, device, port, mtu: portMtu(port) }, options.wiring),
      sysctl({ ns, name: `net/ipv6/conf/${device}/accept_ra`, value: acceptRa, optional: true }),
      sysctl({ ns, name: `net/ipv6/conf/${device}/forwarding`, value: '1', optional: true }),
      ...portAddresses(port, { ns, dev: device, flushConntrack: true }),
    ];
  },
);

/** The external gateway: its device, IPv6 behaviour and addresses (`router_info.py`, contract §7 and §17). */
export const gateway = (port: RouterPort, ns: string, options: L3Options): RowGroup =>
  gatewayPort(port, { ns, options }, `${ns}|${options.ipv6_gateway}|${options.wiring}`);
