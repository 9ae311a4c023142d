import { cidrContains, parseIp } from '../../../lib/model/ip.ts';
import type { Router } from '../../../lib/model/router.ts';
import type { RouterPort } from '../../../lib/model/router-port.ts';
import { UNDELEGATED } from '../../../lib/model/subnet.ts';
import { type AddressRow, address, type RowGroup } from '../../../lib/namespace/rows.ts';
import { deviceName } from '../../../lib/wiring/bridge.ts';
import { plugPort, type Wiring } from '../../../lib/wiring/wiring.ts';
import type { L3Options } from '../options.ts';
import { byObject } from './memo.ts';

/** The kernel's own default; used for a port whose payload has no MTU. */
const DEFAULT_MTU = 1500;

export const portMtu = (port: RouterPort): number => port.mtu ?? DEFAULT_MTU;

/** Ports of the router whose payload lacks the network's MTU: worth a warning, as 1500 is a guess. */
export const portsWithoutMtu = (router: Router): RouterPort[] =>
  [...router._interfaces, ...(router.gw_port ? [router.gw_port] : [])].filter((port) => port.mtu == null);

/** An address for the time until a prefix is delegated, which is none. */
const isProvisional = (ip: string): boolean => cidrContains(UNDELEGATED, ip);

/**
 * The fixed addresses of a port on its device, announced once added. One without a length is for the host alone, as
 * with Neutron's agent: the first address of its subnet brings the route of the link.
 */
export const portAddresses = (
  port: RouterPort,
  where: { readonly ns: string; readonly dev: string; readonly flushConntrack?: boolean },
): AddressRow[] =>
  port.fixed_ips
    .filter(({ ip_address }) => !isProvisional(ip_address))
    .map(({ ip_address, prefixlen }) => {
      const { family, text: ip } = parseIp(ip_address);
      const prefix = prefixlen ?? (family === 4 ? 32 : 128);
      return address({ ...where, ip, prefix, family, broadcast: family === 4, announce: true });
    });

interface Place {
  readonly ns: string;
  readonly wiring: Wiring;
}

const internalPort = byObject((port: RouterPort, { ns, wiring }: Place): RowGroup => {
  const device = deviceName('qr-', port.id);
  return [
    ...plugPort({ ns, device, port, mtu: portMtu(port) }, wiring),
    ...portAddresses(port, { ns, dev: device }),
  ];
});

/** One group per internal port that is administratively up; a port that is not has no device at all. */
export const internalPorts = (router: Router, ns: string, { wiring }: L3Options): RowGroup[] =>
  router._interfaces
    .filter((port) => port.admin_state_up)
    .map((port) => internalPort(port, { ns, wiring }, `${ns}|${wiring}`));
