/** Which port a metadata request came from (Neutron: agent/metadata/agent.py, common/metadata.py). */
import { linkLocal, parseIp } from '../model/ip.ts';
import { ROUTER_INTERFACE_OWNERS } from '../model/port.ts';
import type { MetadataIdentity, MetadataPort } from '../model/source.ts';
import type { Topology, TopologyPort } from './topology.ts';

/** '::ffff:10.0.0.5' is 10.0.0.5 and 'fe80::1%tap0' is fe80::1. @throws TypeError if it is no address */
function plainAddress(peer: string): string {
  const ip = parseIp(peer.replace(/%.*$/, ''));
  return ip.text.startsWith('::ffff:') && ip.text.includes('.') ? ip.text.slice('::ffff:'.length) : ip.text;
}

export class PortIndex {
  /** by 'network|address', link-local addresses by what the kernel makes of the MAC */
  readonly #ports = new Map<string, TopologyPort[]>();
  /** networks that a router has interfaces on */
  readonly #networks = new Map<string, Set<string>>();

  constructor({ ports }: Topology) {
    for (const port of ports) {
      const addresses = port.fixed_ips.map(({ ip_address }) => ip_address);
      for (const address of [...addresses, linkLocal(port.mac_address)]) {
        const key = `${port.network_id}|${address}`;
        const list = this.#ports.get(key);
        if (list) list.push(port);
        else this.#ports.set(key, [port]);
      }
      if (!ROUTER_INTERFACE_OWNERS.has(port.device_owner)) continue;
      const networks = this.#networks.get(port.device_id) ?? new Set();
      this.#networks.set(port.device_id, networks.add(port.network_id));
    }
  }

  /** Every port with that address on the network, or on the router's networks. @throws TypeError */
  find(identity: MetadataIdentity, peer: string): MetadataPort[] {
    const address = plainAddress(peer);
    const networks = 'network' in identity ? [identity.network] : (this.#networks.get(identity.router) ?? []);
    return [...networks].flatMap((network) =>
      (this.#ports.get(`${network}|${address}`) ?? []).map(({ device_id, project_id }) => ({
        device_id,
        project_id,
      })),
    );
  }
}
