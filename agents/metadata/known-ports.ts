/**
 * Who is behind an address, from what this host's agents have on record, else from the server. A record serves
 * only while the DHCP agent that keeps it follows the server: an instance gets its address from that agent, so
 * that whoever has the address is on record by then.
 */
import { fields, list, listOf, nullish, readIf, text } from '../../lib/model/reader.ts';
import type { MetadataIdentity, MetadataPlugin, MetadataPort } from '../../lib/model/source.ts';
import { parsePeer } from './peer.ts';

export interface PortKnowledge {
  /** payload of a router or network on record; undefined: there is none */
  payload(kind: 'router' | 'network', id: string): unknown | undefined;
  /** the networks on record are as the server has them now */
  isCurrent(): boolean;
}

const network = fields({
  ports: list(
    fields({
      device_id: nullish(text),
      project_id: nullish(text),
      tenant_id: nullish(text),
      mac_address: text,
      fixed_ips: listOf(fields({ ip_address: text })),
    }),
  ),
});
const router = fields({ _interfaces: listOf(fields({ network_id: text })) });

/** An answer of the server serves the requests that come with the first: an instance asks some twenty times as it boots. */
const REMEMBERED_MS = 2_000;
const MOST_REMEMBERED = 4_096;

export class KnownPorts implements MetadataPlugin {
  readonly #known: PortKnowledge;
  readonly #server: MetadataPlugin;
  readonly #now: () => number;
  readonly #answers = new Map<string, { readonly at: number; readonly ports: Promise<MetadataPort[]> }>();
  #parsed = new WeakMap<object, ReadonlyMap<string, MetadataPort[]>>();

  constructor(known: PortKnowledge, server: MetadataPlugin, now: () => number = Date.now) {
    this.#known = known;
    this.#server = server;
    this.#now = now;
  }

  async portOf(identity: MetadataIdentity, peerAddress: string): Promise<MetadataPort[]> {
    const found = this.#onRecord(identity, peerAddress);
    // Nobody, or somebody without an instance, may only be not on record yet.
    if (found?.length === 1 && found[0]!.device_id !== '') return found;
    return this.#asked(identity, peerAddress);
  }

  /** What the server said is not repeated any more: something changed on this host. */
  forget(): void {
    this.#answers.clear();
  }

  #onRecord(identity: MetadataIdentity, address: string): MetadataPort[] | undefined {
    if (!this.#known.isCurrent()) return undefined;
    const networks = 'network' in identity ? [identity.network] : this.#networksOf(identity.router);
    const found: MetadataPort[] = [];
    for (const id of networks ?? []) {
      const ports = this.#portsOf(id);
      // Of one network nothing is known: the address may be there, too.
      if (!ports) return undefined;
      const { mac } = parsePeer(address);
      found.push(...(ports.get(mac ?? address) ?? []));
    }
    return networks ? found : undefined;
  }

  #networksOf(id: string): string[] | undefined {
    const read = readIf(router, this.#known.payload('router', id));
    return read && [...new Set(read._interfaces.map(({ network_id }) => network_id))];
  }

  /** By address and by MAC. */
  #portsOf(networkId: string): ReadonlyMap<string, MetadataPort[]> | undefined {
    const payload = this.#known.payload('network', networkId);
    if (typeof payload !== 'object' || payload === null) return undefined;
    const before = this.#parsed.get(payload);
    if (before) return before;
    const read = readIf(network, payload);
    if (!read) return undefined;
    const ports = new Map<string, MetadataPort[]>();
    for (const port of read.ports) {
      const entry = {
        device_id: port.device_id ?? '',
        project_id: port.project_id ?? port.tenant_id ?? '',
      };
      const keys = [port.mac_address.toLowerCase(), ...port.fixed_ips.map((ip) => ip.ip_address)];
      for (const key of new Set(keys)) ports.set(key, [...(ports.get(key) ?? []), entry]);
    }
    this.#parsed.set(payload, ports);
    return ports;
  }

  #asked(identity: MetadataIdentity, address: string): Promise<MetadataPort[]> {
    const key = JSON.stringify([identity, address]);
    const before = this.#answers.get(key);
    if (before && this.#now() - before.at < REMEMBERED_MS) return before.ports;
    const ports = this.#server.portOf(identity, address);
    const drop = (): void => {
      if (this.#answers.get(key)?.ports === ports) this.#answers.delete(key);
    };
    // A failure is not remembered, and neither is that there is nobody: the port may just be coming.
    ports.then((found) => {
      if (found.length !== 1) drop();
    }, drop);
    if (this.#answers.size >= MOST_REMEMBERED) this.#answers.clear();
    this.#answers.set(key, { at: this.#now(), ports });
    return ports;
  }
}
