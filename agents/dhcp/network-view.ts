/**
 * What is known of this host's networks: each as the server was last asked for it, and what its notifications said of
 * ports since. Rules of staleness are Neutron's (`neutron/agent/dhcp/agent.py`): a port message counts unless a newer
 * revision is known or the port was deleted. Messages take effect in the order in which they come.
 */
import { PayloadError, readOnce } from '../../lib/model/payload.ts';
import { type Port, port as portReader } from '../../lib/model/port.ts';
import {
  anything,
  having,
  list,
  nullish,
  number,
  type Read,
  readIf,
  text,
  truth,
} from '../../lib/model/reader.ts';

/** Deleted ports are remembered for so long: a message about one may still be under way. */
const DELETED_MS = 24 * 3_600_000;

/** What is read stays the objects it was: by that, what was made of them is found again. */
const payload = having({
  subnets: nullish(list(having({ id: text, enable_dhcp: nullish(truth) }))),
  ports: nullish(list(anything)),
});
type Payload = Read<typeof payload>;

const known = having({
  id: text,
  revision_number: nullish(number),
  mac_address: nullish(text),
  fixed_ips: nullish(list(having({ subnet_id: nullish(text), ip_address: nullish(text) }))),
});
type KnownPort = Read<typeof known>;

const readPorts = new WeakMap<object, KnownPort>();

/** Each port object is looked at once, however many others are created beside it. */
function portIn(value: unknown): KnownPort | undefined {
  const key = typeof value === 'object' && value !== null ? value : undefined;
  const before = key && readPorts.get(key);
  if (before) return before;
  const read = readIf(known, value);
  if (key && read) readPorts.set(key, read);
  return read;
}
function understood(value: unknown): Port | undefined {
  try {
    return readOnce(portReader, value, 'port');
  } catch (error) {
    if (error instanceof PayloadError) return undefined;
    throw error;
  }
}

const addressesOf = ({ fixed_ips }: KnownPort): string[] =>
  (fixed_ips ?? []).flatMap(({ ip_address }) => ip_address ?? []);
const subnetsOf = ({ fixed_ips }: KnownPort): string =>
  [...new Set((fixed_ips ?? []).map(({ subnet_id }) => subnet_id))].sort().join();

/** What a message about a port means for its network. */
export type Verdict =
  /** something newer is known */
  | { readonly stale: string }
  /** the network has to be asked for: why */
  | { readonly ask: string }
  /** it is known now; `current` is another one */
  | { readonly known: true };

interface Change {
  readonly at: number;
  readonly port: object & { readonly id: string };
}

export class NetworkView {
  readonly #bases = new Map<string, Payload>();
  readonly #changes = new Map<string, Map<string, Change>>();
  /** by port id: until when it is remembered, milliseconds of the epoch */
  readonly #deleted = new Map<string, number>();
  readonly #deviceId: (networkId: string) => string;
  readonly #clock: () => number;

  /** @param deviceId of this host's DHCP port */
  constructor(deviceId: (networkId: string) => string, clock: () => number = Date.now) {
    this.#deviceId = deviceId;
    this.#clock = clock;
  }

  /** The answer to a request made at `at`, with what notifications said later. */
  asked(id: string, answer: unknown, at: number): unknown {
    const read = readIf(payload, answer);
    return read ? this.#overlaid(id, read, at) : answer;
  }

  /** What is served from now on, asked for at `at`; a payload nobody can read is not kept. */
  keep(id: string, answer: unknown, at: number): void {
    const read = readIf(payload, answer);
    if (!read) return;
    this.#bases.set(id, read);
    const changes = this.#changes.get(id);
    if (changes) for (const [port, change] of changes) if (change.at <= at) changes.delete(port);
  }

  /** undefined: it was not asked for, or nothing of it is served */
  current(id: string): unknown {
    const base = this.#bases.get(id);
    return base && this.#overlaid(id, base);
  }

  forget(id: string): void {
    this.#bases.delete(id);
    this.#changes.delete(id);
  }

  /** A complete listing: of other networks nothing has to be kept. */
  listed(ids: ReadonlySet<string>): void {
    for (const id of this.#changes.keys()) if (!ids.has(id)) this.#changes.delete(id);
  }

  /** A port was created or changed; `message` is the port in full. */
  portSaid(networkId: string, message: unknown, created: boolean, at: number): Verdict {
    const read = understood(message);
    const port = portIn(message);
    if (!read || !port) return { ask: 'a port of it is not understood' };
    if (this.#isDeleted(port.id)) return { stale: `port ${port.id} was deleted` };
    const before = this.#port(networkId, port.id);
    const [revision, knownRevision] = [port.revision_number ?? 0, before?.revision_number ?? 0];
    if (knownRevision > revision)
      return { stale: `revision ${revision} of port ${port.id}, ${knownRevision} is known` };
    const twin = created ? this.#twin(networkId, port) : undefined;
    const own = read.device_id === this.#deviceId(networkId);
    this.#change(networkId, { at, port: { ...(message as object), id: port.id } });
    if (twin) return { ask: `port ${port.id} has an address of port ${twin.id}` };
    if (own && (!before || subnetsOf(before) !== subnetsOf(port)))
      return { ask: "this agent's own port has other subnets" };
    return { known: true };
  }

  portDeleted(networkId: string, portId: string): Verdict {
    const now = this.#clock();
    for (const [id, until] of this.#deleted) {
      if (until > now) break;
      this.#deleted.delete(id);
    }
    this.#deleted.set(portId, now + DELETED_MS);
    const own = understood(this.#port(networkId, portId))?.device_id;
    this.#changes.get(networkId)?.delete(portId);
    if (own === this.#deviceId(networkId)) return { ask: "this agent's own port was deleted" };
    return { known: true };
  }

  /** Of a message that does not say it. */
  networkWith(what: 'ports' | 'subnets', id: string): string | undefined {
    for (const networkId of this.#bases.keys()) {
      if (what === 'ports' && this.#port(networkId, id)) return networkId;
      if (what === 'subnets' && this.#bases.get(networkId)?.subnets?.some((subnet) => subnet.id === id))
        return networkId;
    }
    return undefined;
  }

  /** As Neutron's DHCP agent counts in its state reports. */
  counters(): Readonly<Record<'networks' | 'subnets' | 'ports', number>> {
    const all = [...this.#bases].map(([id, base]) => this.#overlaid(id, base));
    const sum = (count: (network: Payload) => number): number =>
      all.reduce((total, network) => total + count(network), 0);
    return {
      networks: all.length,
      subnets: sum(({ subnets }) => (subnets ?? []).filter(({ enable_dhcp }) => enable_dhcp).length),
      ports: sum(({ ports }) => ports?.length ?? 0),
    };
  }

  #isDeleted(portId: string): boolean {
    return (this.#deleted.get(portId) ?? 0) > this.#clock();
  }

  #change(networkId: string, change: Change): void {
    const changes = this.#changes.get(networkId) ?? new Map<string, Change>();
    changes.set(change.port.id, change);
    this.#changes.set(networkId, changes);
  }

  #port(networkId: string, portId: string): KnownPort | undefined {
    const changed = this.#changes.get(networkId)?.get(portId)?.port;
    const found = changed ?? this.#bases.get(networkId)?.ports?.find((port) => portIn(port)?.id === portId);
    return portIn(found);
  }

  /** Another port with one of its addresses, or the same with another MAC. */
  #twin(networkId: string, port: KnownPort): KnownPort | undefined {
    const addresses = new Set(addressesOf(port));
    const base = this.#bases.get(networkId);
    const ports = base ? (this.#overlaid(networkId, base).ports ?? []) : [];
    return ports
      .flatMap((other) => portIn(other) ?? [])
      .find(
        (other) =>
          (other.id !== port.id || other.mac_address !== port.mac_address) &&
          addressesOf(other).some((address) => addresses.has(address)),
      );
  }

  /** With what was said later than `since`; the same object if nothing is to be changed. */
  #overlaid(networkId: string, base: Payload, since = 0): Payload {
    const changes = [...(this.#changes.get(networkId) ?? [])];
    if (changes.length + this.#deleted.size === 0) return base;
    const ports = base.ports ?? [];
    const left = new Map(changes.filter(([, { at }]) => at > since));
    let same = left.size === 0;
    const overlaid = ports.flatMap((port) => {
      const own = portIn(port);
      if (own && this.#isDeleted(own.id)) {
        same = false;
        return [];
      }
      const change = own && left.get(own.id)?.port;
      if (!change) return [port];
      left.delete(own.id);
      return [(portIn(change)?.revision_number ?? 0) >= (own.revision_number ?? 0) ? change : port];
    });
    return same ? base : { ...base, ports: [...overlaid, ...[...left.values()].map(({ port }) => port)] };
  }
}
