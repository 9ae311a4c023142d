import { z } from 'zod';

const payload = z.looseObject({
  id: z.string(),
  subnets: z.array(z.looseObject({ enable_dhcp: z.boolean().nullish() })).nullish(),
  ports: z.array(z.unknown()).nullish(),
});

/** Which networks are this host's to serve: those it was told of or that a listing named; with numbers for reports. */
export class NetworkIndex {
  readonly #entries = new Map<string, { readonly subnets: number; readonly ports: number }>();

  constructor(ids: Iterable<string>) {
    for (const id of ids) this.add(id);
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  add(id: string): void {
    if (!this.#entries.has(id)) this.#entries.set(id, { subnets: 0, ports: 0 });
  }

  /** A payload nobody can read is passed over here: it is reported where it is validated. */
  note(network: unknown): void {
    const result = payload.safeParse(network);
    if (!result.success) return;
    const { id, subnets, ports } = result.data;
    const served = (subnets ?? []).filter(({ enable_dhcp }) => enable_dhcp);
    this.#entries.set(id, { subnets: served.length, ports: ports?.length ?? 0 });
  }

  forget(id: string): void {
    this.#entries.delete(id);
  }

  /** A complete listing: what is not in it is not ours. */
  list(networks: readonly unknown[]): void {
    this.#entries.clear();
    for (const network of networks) this.note(network);
  }

  /** As Neutron's DHCP agent counts in its state reports: networks without a served subnet are not in its cache. */
  counters(): Readonly<Record<'networks' | 'subnets' | 'ports', number>> {
    const all = [...this.#entries.values()].filter(({ subnets }) => subnets > 0);
    return {
      networks: all.length,
      subnets: all.reduce((sum, { subnets }) => sum + subnets, 0),
      ports: all.reduce((sum, { ports }) => sum + ports, 0),
    };
  }
}
