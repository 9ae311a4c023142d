/**
 * Many DHCP clients in one process, run inside a namespace by dhcp-load.ts, which tells it over IPC what to do.
 * They have one device and one socket; each has a MAC in its packets, as clients behind one bridge port have.
 */
import dgram from 'node:dgram';
import { setTimeout as pause } from 'node:timers/promises';
import { type Answer, answerOf, MESSAGE, question } from './dhcp-packets.ts';

export interface Lease {
  readonly mac: string;
  readonly ip: string;
}

/** To the clients. */
export type Order =
  /** has an address, or gets one, and renews it until the end */
  | { readonly do: 'stay'; readonly lease: Lease }
  /** asks for its address until it is offered */
  | { readonly do: 'ask'; readonly lease: Lease }
  | { readonly do: 'end' };

/** What the clients saw; times in milliseconds. */
export interface Seen {
  /** from the first question after a port was added to the offer */
  readonly offers: readonly number[];
  /** from a renewal to its acknowledgement */
  readonly renewals: readonly number[];
  readonly naks: number;
  /** sentences */
  readonly wrong: readonly string[];
  readonly unanswered: readonly string[];
  /** questions that had to be asked again */
  readonly repeated: number;
}

const SERVER_PORT = 67;
const CLIENT_PORT = 68;
/** Pauses before a question is asked again: doubled each time, up to the longest. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const PATIENCE_MS = 60_000;
const RENEWAL_PAUSE_MS = 200;

class Clients {
  private readonly socket = dgram.createSocket({ type: 'udp4', reuseAddr: true });
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private readonly working: Promise<void>[] = [];
  private ended = false;
  private xid = 1;
  private readonly offers: number[] = [];
  private readonly renewals: number[] = [];
  private readonly wrong: string[] = [];
  private readonly unanswered: string[] = [];
  private naks = 0;
  private repeated = 0;

  async open(): Promise<void> {
    this.socket.on('message', (packet) => {
      const answer = answerOf(packet);
      if (answer) this.waiting.get(answer.xid)?.(answer);
    });
    await new Promise<void>((resolve) => this.socket.bind(CLIENT_PORT, resolve));
    this.socket.setBroadcast(true);
  }

  obey(order: Order): void {
    if (order.do === 'end') this.ended = true;
    else this.working.push(order.do === 'ask' ? this.ask(order.lease) : this.stay(order.lease));
  }

  async seen(): Promise<Seen> {
    await Promise.all(this.working);
    this.socket.close();
    const { offers, renewals, naks, wrong, unanswered, repeated } = this;
    return { offers, renewals, naks, wrong, unanswered, repeated };
  }

  /** Asks until there is an answer. Whoever is refused, or given another's address, notes it. */
  private async exchange(
    lease: Lease,
    to: string,
    asked: Omit<Parameters<typeof question>[0], 'xid' | 'mac'>,
    times?: number[],
  ): Promise<Answer | undefined> {
    const xid = this.xid++;
    const packet = question({ ...asked, xid, mac: lease.mac });
    const started = performance.now();
    let heard: Answer | undefined;
    const answered = new Promise<void>((resolve) => {
      this.waiting.set(xid, (answer) => {
        if (!heard) times?.push(performance.now() - started);
        heard ??= answer;
        resolve();
      });
    });
    this.socket.send(packet, SERVER_PORT, to);
    for (let wait = FIRST_PAUSE_MS; performance.now() - started < PATIENCE_MS; wait *= 2) {
      await Promise.race([answered, pause(Math.min(wait, LONGEST_PAUSE_MS))]);
      if (heard) break;
      this.repeated += 1;
      this.socket.send(packet, SERVER_PORT, to);
    }
    this.waiting.delete(xid);
    if (!heard) this.unanswered.push(`${lease.mac} ${lease.ip}: no answer to message ${asked.type}`);
    else if (heard.type === MESSAGE.nak) this.naks += 1;
    else if (heard.address !== lease.ip)
      this.wrong.push(`${lease.mac} got ${heard.address}, not ${lease.ip}`);
    return heard;
  }

  private async ask(lease: Lease): Promise<void> {
    await this.exchange(lease, '255.255.255.255', { type: MESSAGE.discover }, this.offers);
  }

  private async stay(lease: Lease): Promise<void> {
    const offer = await this.exchange(lease, '255.255.255.255', { type: MESSAGE.discover });
    if (!offer) return;
    const { server } = offer;
    await this.exchange(lease, '255.255.255.255', { type: MESSAGE.request, requested: lease.ip, server });
    while (!this.ended) {
      await this.exchange(lease, server, { type: MESSAGE.request, ciaddr: lease.ip }, this.renewals);
      await pause(RENEWAL_PAUSE_MS);
    }
  }
}

const clients = new Clients();
await clients.open();
process.on('message', (order: Order) => {
  clients.obey(order);
  if (order.do !== 'end') return;
  void clients.seen().then((seen) => process.send?.(seen, () => process.disconnect()));
});
process.send?.('ready');
