import { anything, fields, listOf, number, orNull, readIf, text } from '../../lib/model/reader.ts';
import { idOf } from '../../lib/process/owner-queue.ts';

const port = fields({ network_id: text, mtu: orNull(number) });
const payload = fields({
  id: text,
  gw_port: orNull(port),
  _interfaces: listOf(port),
  _floatingips: listOf(anything),
});

interface Entry {
  /** MTU of each network the router has a port on; null: the payload does not say */
  readonly mtus: ReadonlyMap<string, number | null>;
  readonly gateway: boolean;
  readonly interfaces: number;
  readonly floatingIps: number;
}

/** The little that must be known of this host's routers beside their rows: for state reports and for network updates. */
export class RouterIndex {
  readonly #entries = new Map<string, Entry>();

  /** Of a payload nobody can read the last good one counts on: it is reported where it is validated. */
  note(router: unknown): void {
    const read = readIf(payload, router);
    if (!read) return;
    const { id, gw_port, _interfaces, _floatingips } = read;
    const all = gw_port ? [..._interfaces, gw_port] : _interfaces;
    this.#entries.set(id, {
      mtus: new Map(all.map(({ network_id, mtu }) => [network_id, mtu])),
      gateway: gw_port !== null,
      interfaces: _interfaces.length,
      floatingIps: _floatingips.length,
    });
  }

  /** `routers` were the answer to a question for `asked`: who is not in it is not this host's. */
  answered(asked: Iterable<string>, routers: readonly unknown[]): void {
    const there = new Set(routers.map(idOf));
    for (const id of asked) if (!there.has(id)) this.#entries.delete(id);
    for (const router of routers) this.note(router);
  }

  forget(ids: Iterable<string>): void {
    for (const id of ids) this.#entries.delete(id);
  }

  get ids(): Iterable<string> {
    return this.#entries.keys();
  }

  /** Routers with a port on this network whose MTU was another one. */
  routersOf(networkId: string, mtu: number | null): string[] {
    return [...this.#entries].flatMap(([id, { mtus }]) => {
      const known = mtus.get(networkId);
      return known === undefined || known === mtu ? [] : [id];
    });
  }

  /** As Neutron's L3 agent counts in its state reports. */
  counters(): Readonly<Record<'routers' | 'ex_gw_ports' | 'interfaces' | 'floating_ips', number>> {
    const all = [...this.#entries.values()];
    const sum = (count: (entry: Entry) => number): number =>
      all.reduce((total, entry) => total + count(entry), 0);
    return {
      routers: all.length,
      ex_gw_ports: sum(({ gateway }) => Number(gateway)),
      interfaces: sum(({ interfaces }) => interfaces),
      floating_ips: sum(({ floatingIps }) => floatingIps),
    };
  }
}
