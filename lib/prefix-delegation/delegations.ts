/**
 * The prefixes that this host's routers are delegated: a DHCPv6 client for each subnet, all of one router on one socket.
 * In this process, as a program for each would do nothing but wait, and no program of Debian can hold several prefixes
 * of one device apart, give one of them back, and leave the device alone.
 */
import { Datagrams } from '../kernel/datagrams.ts';
import { UNDELEGATED } from '../model/subnet.ts';
import {
  answered,
  begin,
  type Delegation,
  isUseless,
  prefixOf,
  release,
  type Step,
  timePassed,
} from './exchange.ts';
import { Leases } from './leases.ts';
import { decodeAnswer, encodeRequest, subnetDuid } from './message.ts';
import { endPredecessor } from './predecessor.ts';

const CLIENT_PORT = 546;
const SERVER_PORT = 547;
/** All_DHCP_Relay_Agents_and_Servers (RFC 8415 §7.1). */
const ALL_SERVERS = 'ff02::1:2';
/** Messages that may get lost before anybody is told why. */
const FIRST_TRIES = 2;
/** Longest delay of a timer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** A device that goes waits so long for the server to have heard. */
const RELEASE_MS = 3_000;

/** Where a router's prefixes come from. */
export interface Uplink {
  readonly ns: string;
  /** gateway device */
  readonly device: string;
}

export interface WantedPrefix {
  readonly subnet: string;
  /** CIDR that the controller has for it; UNDELEGATED: none */
  readonly cidr: string;
}

/** What an agent needs of it. */
export interface PrefixDelegation {
  /**
   * Gives back what the router has for other subnets than these, or from elsewhere; resolves when the server has heard
   * it, or does not answer. The subnets of what is given back.
   * @param uplink undefined: the router has none any more
   */
  keepOnly(router: string, uplink: Uplink | undefined, subnets: readonly string[]): Promise<string[]>;
  /** Holds or asks for a prefix for each. */
  want(router: string, uplink: Uplink, wanted: readonly WantedPrefix[]): void;
  /** CIDR by subnet, of what is known of this router's subnets: UNDELEGATED where a prefix ran out. */
  prefixes(router: string): Readonly<Record<string, string>>;
  /** The router is another host's from now on, and so are its prefixes: nothing is given back. */
  forget(router: string): void;
  close(): void;
}

export interface DelegationSettings {
  /** of lease files (pd_confs) */
  readonly directory: string;
  /** enterprise number in the client identifiers (vendor_pen) */
  readonly vendorPen: number;
  /** `prefixes` of the router has changed */
  readonly changed: (router: string) => void;
  readonly warn: (router: string, message: string) => void;
}

interface Client {
  readonly router: string;
  readonly subnet: string;
  /** DUID */
  readonly id: string;
  state: Delegation;
  timer?: NodeJS.Timeout;
  /** it had a prefix and has none now */
  lost: boolean;
  /** told once: offers that are of no use, or nothing can be sent */
  trouble?: string;
  /** gave its prefix back */
  released?: () => void;
}

interface Line {
  readonly uplink: Uplink;
  /** undefined: it could not be opened, or is broken; it is opened when there is something to send */
  socket?: number | undefined;
}

const isSame = (a: Uplink, b: Uplink | undefined): boolean => a.ns === b?.ns && a.device === b.device;

export class Delegations implements PrefixDelegation {
  private readonly settings: DelegationSettings;
  private readonly leases: Leases;
  /** by router, then by subnet */
  private readonly clients = new Map<string, Map<string, Client>>();
  private readonly datagrams = new Datagrams();
  /** by router */
  private readonly lines = new Map<string, Line>();

  constructor(settings: DelegationSettings) {
    this.settings = settings;
    this.leases = new Leases(settings.directory);
  }

  async keepOnly(router: string, uplink: Uplink | undefined, subnets: readonly string[]): Promise<string[]> {
    const line = this.lines.get(router);
    const kept = new Set(line && !isSame(line.uplink, uplink) ? [] : subnets);
    // Of subnets that went while no agent ran there is the lease only.
    if (!line && uplink) {
      const left = this.leases.of(router).filter((subnet) => !kept.has(subnet));
      this.want(
        router,
        uplink,
        left.map((subnet) => ({ subnet, cidr: UNDELEGATED })),
      );
    }
    const going = this.of(router).filter(({ subnet }) => !kept.has(subnet));
    await Promise.all(going.map((client) => this.giveBack(client)));
    if (kept.size === 0) this.forget(router);
    return going.map(({ subnet }) => subnet);
  }

  want(router: string, uplink: Uplink, wanted: readonly WantedPrefix[]): void {
    if (wanted.length === 0) return;
    if (!this.lines.has(router)) this.lines.set(router, { uplink });
    const clients = this.clients.get(router) ?? new Map<string, Client>();
    this.clients.set(router, clients);
    for (const { subnet, cidr } of wanted) {
      if (clients.has(subnet)) continue;
      endPredecessor(this.settings.directory, router, subnet);
      const id = subnetDuid(this.settings.vendorPen, subnet);
      const state = begin(cidr, this.leases.read(router, subnet, id), environment());
      const client: Client = { router, subnet, id, state, lost: false };
      clients.set(subnet, client);
      this.wake(client);
    }
  }

  prefixes(router: string): Record<string, string> {
    return Object.fromEntries(
      this.of(router).flatMap(({ subnet, state, lost }) => {
        const prefix = prefixOf(state) ?? (lost ? UNDELEGATED : undefined);
        return prefix === undefined ? [] : [[subnet, prefix]];
      }),
    );
  }

  forget(router: string): void {
    for (const client of this.of(router)) this.end(client);
    for (const subnet of this.leases.of(router)) this.leases.remove(router, subnet);
    this.disconnect(router);
  }

  close(): void {
    for (const router of [...this.clients.keys()]) {
      for (const client of this.of(router)) this.end(client);
      this.disconnect(router);
    }
    this.datagrams.end();
  }

  private disconnect(router: string): void {
    this.clients.delete(router);
    this.hangUp(this.lines.get(router));
    this.lines.delete(router);
  }

  private of(router: string): Client[] {
    return [...(this.clients.get(router)?.values() ?? [])];
  }

  // --- the line ------------------------------------------------------------------------------------------------

  /** The device may be gone, or be another one of that name: then this is broken, and opened again for the next message. */
  private send(client: Client, message: Buffer): void {
    const { router } = client;
    const line = this.lines.get(router);
    if (!line) return;
    const where = { ...line.uplink, port: CLIENT_PORT };
    try {
      line.socket ??= this.datagrams.open(where, (datagram) => this.heard(router, datagram));
      this.datagrams.send(line.socket, ALL_SERVERS, SERVER_PORT, message);
    } catch (error) {
      this.hangUp(line);
      const { exchange } = client.state;
      // It is sent again in its time. At first the device may have no address yet to send from.
      if (exchange && exchange.sent > FIRST_TRIES)
        this.complain(client, `nothing can be sent on ${where.device}: ${(error as Error).message}`);
    }
  }

  private hangUp(line: Line | undefined): void {
    if (line?.socket === undefined) return;
    this.datagrams.close(line.socket);
    line.socket = undefined;
  }

  private heard(router: string, datagram: Buffer): void {
    const answer = decodeAnswer(datagram);
    const client = answer && this.of(router).find(({ id }) => id === answer.client);
    if (!client) return;
    if (isUseless(answer))
      this.complain(client, 'the server delegates no prefix that hosts could use: none of at most 64 bits');
    this.take(client, answered(client.state, answer, environment()));
  }

  // --- a client ------------------------------------------------------------------------------------------------

  private take(client: Client, { next, send }: Step): void {
    const before = client.state;
    client.state = next;
    if (send) {
      const { type, transaction, startedAt, server, prefix } = send;
      const elapsed = Date.now() - startedAt;
      const message = encodeRequest({ type, transaction, client: client.id, server, elapsed, prefix });
      this.send(client, message);
    }
    this.wake(client);
    this.note(client, before);
  }

  private wake(client: Client): void {
    clearTimeout(client.timer);
    const { wakeAt } = client.state;
    if (wakeAt === null) return;
    const delay = Math.min(Math.max(wakeAt - Date.now(), 0), LONGEST_TIMER_MS);
    client.timer = setTimeout(() => {
      if (Date.now() < wakeAt) this.wake(client);
      else this.take(client, timePassed(client.state, environment()));
    }, delay).unref();
  }

  /** What has changed goes to disk before anybody is told of it. */
  private note(client: Client, before: Delegation): void {
    const { router, subnet, state } = client;
    if (state.lease === before.lease) return;
    if (state.lease) {
      this.leases.write(router, subnet, client.id, state.lease);
      delete client.trouble;
    } else this.leases.remove(router, subnet);
    client.lost = !state.lease;
    if (client.released) client.released();
    else if (prefixOf(state) !== prefixOf(before)) this.settings.changed(router);
  }

  private async giveBack(client: Client): Promise<void> {
    const { router, subnet } = client;
    if (client.state.lease) {
      const heard = new Promise<void>((resolve) => {
        client.released = resolve;
      });
      const enough = setTimeout(() => client.released?.(), RELEASE_MS);
      this.take(client, release(client.state, environment()));
      await heard;
      clearTimeout(enough);
    }
    this.end(client);
    this.leases.remove(router, subnet);
    this.clients.get(router)?.delete(subnet);
  }

  private end(client: Client): void {
    clearTimeout(client.timer);
  }

  private complain(client: Client, trouble: string): void {
    if (client.trouble === trouble) return;
    client.trouble = trouble;
    this.settings.warn(client.router, `subnet ${client.subnet}: ${trouble}`);
  }
}

const environment = () => ({ now: Date.now(), random: Math.random });
