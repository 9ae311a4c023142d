/**
 * Gratuitous ARP and neighbour advertisements for addresses that were just added: three rounds, two seconds
 * apart, in the background (contract l3.md §6). Failures are nobody's trouble: the address works anyway.
 */
import { readAddresses } from '../kernel/address.ts';
import { announce } from '../kernel/announce.ts';
import { readLink } from '../kernel/link.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../kernel/netlink.ts';
import type { Outcome } from './apply.ts';
import type { AddressRow, NamespaceName } from './rows.ts';

const ROUNDS = 3;
const APART_MS = 2_000;

export class Announcer {
  private readonly timers = new Set<NodeJS.Timeout>();
  private readonly waiting = new Map<NamespaceName, AddressRow[]>();
  private first: NodeJS.Immediate | undefined;

  /** Announce what these outcomes added; returns at once. */
  take(outcomes: readonly Outcome[]): void {
    for (const { step, error } of outcomes) {
      if (error || step.action !== 'create' || step.row.kind !== 'address' || !step.row.announce) continue;
      const list = this.waiting.get(step.row.ns);
      if (list) list.push(step.row);
      else this.waiting.set(step.row.ns, [step.row]);
    }
    if (this.waiting.size > 0) this.first ??= setImmediate(() => this.start());
  }

  /** Resolves when the first round of all that was taken is out. */
  async sent(): Promise<void> {
    while (this.first) await new Promise((resolve) => setImmediate(resolve));
  }

  close(): void {
    clearImmediate(this.first);
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }

  private start(): void {
    this.first = undefined;
    const batch = [...this.waiting];
    this.waiting.clear();
    for (const [ns, rows] of batch) this.round(ns, rows, 1);
  }

  private round(ns: NamespaceName, rows: readonly AddressRow[], number: number): void {
    try {
      announce(ns, located(ns, rows));
    } catch {
      // The namespace or device went away: nothing left to announce.
      return;
    }
    if (number === ROUNDS) return;
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.round(ns, rows, number + 1);
    }, APART_MS);
    timer.unref();
    this.timers.add(timer);
  }
}

/**
 * Addresses with the index and MAC of their devices as they are now. One that went meanwhile may be elsewhere
 * already: to announce it here would draw its traffic back.
 */
function located(ns: NamespaceName, rows: readonly AddressRow[]) {
  using socket = new NetlinkSocket(NETLINK_ROUTE, ns);
  const present = new Set(readAddresses(socket).map(({ index, ip }) => `${index} ${ip}`));
  const devices = new Map(
    [...new Set(rows.map((row) => row.dev))].map((dev) => [dev, readLink(socket, { name: dev })]),
  );
  return rows.flatMap((row) => {
    const device = devices.get(row.dev);
    return device?.mac && present.has(`${device.index} ${row.ip}`)
      ? [{ index: device.index, mac: device.mac, ip: row.ip }]
      : [];
  });
}
