import type { ConfirmChannel, Message } from 'amqplib';
import type { KeptChannel } from './channel.ts';
import type { BrokerConnection, RpcLog } from './connection.ts';
import { before, pause } from './deadline.ts';
import { type Declarations, isOtherDurability, isRefusal } from './declare.ts';
import { wrap } from './envelope.ts';
import { type Outgoing, PROPERTIES } from './message.ts';

/** Messages handed to the broker and not yet confirmed; more wait. */
const IN_FLIGHT = 64;
/** Messages that wait for a broker; more are refused, so that an outage costs bounded memory. */
const WAITING = 10_000;

export interface PublisherSettings {
  /** for log lines */
  readonly name: string;
  readonly connection: BrokerConnection;
  readonly declarations: Declarations;
  readonly log: RpcLog;
}

/** What the broker did with a message: `returned` means that no queue takes it (only with `mandatory`). */
export type Outcome = 'taken' | 'returned';

interface Pending {
  readonly routingKey: string;
  readonly body: Buffer;
  returned: boolean;
}

/**
 * Publishes on a channel of its own and waits for the broker's confirmation. A message whose connection was lost
 * before that is sent again after the reconnect: the receiver drops the second one by its `_unique_id`.
 */
export class Publisher {
  readonly #settings: PublisherSettings;
  readonly #channel: KeptChannel;
  readonly #pending = new Set<Pending>();
  readonly #queue: (() => void)[] = [];
  /** exchanges declared on the channel in use */
  #declared = new WeakMap<ConfirmChannel, Map<string, Promise<void>>>();
  #slots = IN_FLIGHT;

  constructor(settings: PublisherSettings) {
    this.#settings = settings;
    this.#channel = settings.connection.channel(settings.name, async (channel) => {
      channel.on('return', (message) => this.#returned(message));
    });
  }

  /**
   * Resolves when the broker has the message. While there is no broker, or it takes nothing, this waits until `signal`.
   * Throws the signal's reason, or the broker's error if it will not take such a message ever.
   */
  async publish(message: Outgoing, signal: AbortSignal): Promise<Outcome> {
    const body = wrap(message.inner);
    const until = message.expiration === null ? null : Date.now() + message.expiration;
    const publishing = { message, body, until };
    await this.#slot(signal);
    try {
      for (let failures = 0; ; failures += 1) {
        signal.throwIfAborted();
        const channel = await before(signal, this.#channel.ready());
        try {
          return await this.#attempt(channel, publishing, signal);
        } catch (error) {
          signal.throwIfAborted();
          if (isRefusal(error) && !(isOtherDurability(error) && failures === 0)) throw error;
          this.#settings.log.debug({ err: error }, `${this.#settings.name}: publishing again`);
          // The channel's own end may be a tick away.
          await pause(Math.min(0.01 * 2 ** failures, 1), signal);
        }
      }
    } finally {
      this.#release();
    }
  }

  async #attempt(channel: ConfirmChannel, publishing: Publishing, signal: AbortSignal): Promise<Outcome> {
    if (publishing.message.exchange) await before(signal, this.#declare(channel, publishing.message));
    await before(signal, this.#settings.connection.unblocked());
    if (channel !== this.#channel.current) throw new Error('the channel was closed');
    return before(signal, this.#confirmed(channel, publishing));
  }

  #declare(channel: ConfirmChannel, { exchange }: Outgoing): Promise<void> {
    if (!exchange) return Promise.resolve();
    const done = this.#declared.get(channel) ?? new Map<string, Promise<void>>();
    this.#declared.set(channel, done);
    const known = done.get(exchange.name);
    if (known) return known;
    const declaring = this.#settings.declarations.exchange(channel, exchange);
    done.set(exchange.name, declaring);
    return declaring;
  }

  #confirmed(channel: ConfirmChannel, { message, body, until }: Publishing): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const pending: Pending = { routingKey: message.routingKey, body, returned: false };
      const options = {
        ...PROPERTIES,
        headers: {},
        mandatory: message.mandatory,
        // What is left of the caller's time, in whole seconds: after a long wait less than at first.
        ...(until !== null && { expiration: String(remaining(until, message.expiration ?? 0)) }),
      };
      channel.publish(message.exchange?.name ?? '', message.routingKey, body, options, (error: unknown) => {
        this.#pending.delete(pending);
        if (error) reject(error);
        else resolve(pending.returned ? 'returned' : 'taken');
      });
      if (message.mandatory) this.#pending.add(pending);
    });
  }

  /** Comes before the confirmation of the same message. */
  #returned({ fields, content }: Message): void {
    for (const pending of this.#pending) {
      if (pending.routingKey !== fields.routingKey || !pending.body.equals(content)) continue;
      pending.returned = true;
      return;
    }
  }

  async #slot(signal: AbortSignal): Promise<void> {
    if (this.#slots > 0) {
      this.#slots -= 1;
      return;
    }
    if (this.#queue.length >= WAITING) {
      throw new Error(
        `${this.#settings.name}: ${WAITING} messages wait for the broker already; this one is refused`,
      );
    }
    let granted = (): void => undefined;
    const turn = new Promise<void>((resolve) => {
      granted = resolve;
    });
    this.#queue.push(granted);
    try {
      await before(signal, turn);
    } catch (error) {
      const place = this.#queue.indexOf(granted);
      if (place >= 0) this.#queue.splice(place, 1);
      else this.#release();
      throw error;
    }
  }

  #release(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#slots += 1;
  }
}

interface Publishing {
  readonly message: Outgoing;
  readonly body: Buffer;
  /** ms of the epoch; null: it never expires */
  readonly until: number | null;
}

/** Milliseconds; the full time if hardly any has passed. */
function remaining(until: number, full: number): number {
  const left = until - Date.now();
  return full - left < 1000 ? full : Math.max(Math.trunc(left), 1);
}
