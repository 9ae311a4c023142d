import { randomInt } from 'node:crypto';
import type { ChannelModel } from 'amqplib';
import type { Logger } from '../telemetry/log.ts';
import { KeptChannel, type Setup } from './channel.ts';
import type { ConnectionNews } from './connection-news.ts';
import { pause } from './deadline.ts';
import { dial, drop, hangUp } from './dial.ts';
import type { RpcOptions } from './options.ts';
import { type Broker, brokerName } from './transport-url.ts';

export type RpcLog = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** Facts for status and metrics. */
export interface ConnectionState {
  readonly connected: boolean;
  /** since when `connected` has this value */
  readonly since: Date;
  /** 'host:port', the last one tried */
  readonly broker: string | null;
  /** why the broker takes no messages (memory or disk alarm); null: it takes them */
  readonly blocked: string | null;
  /** why there is no connection; null: there is one, or none was tried yet */
  readonly problem: string | null;
}

export interface ConnectionSettings {
  /** '<program>:<pid>:<uuid>' */
  readonly name: string;
  /** for log lines: 'sending' */
  readonly purpose: string;
  readonly options: RpcOptions;
  readonly log: RpcLog;
  readonly news: ConnectionNews;
  readonly changed: () => void;
}

/** A connection that lived this long (ms) was no failed attempt. */
const STEADY = 10_000;

/**
 * One AMQP connection, kept for ever: hosts in turn, and again, until closed. What is declared on it lives in its
 * channels, which set themselves up again after every reconnect.
 */
export class BrokerConnection {
  readonly #settings: ConnectionSettings;
  readonly #closing = new AbortController();
  readonly #channels = new Set<KeptChannel>();
  #brokers: Broker[];
  #position = 0;
  readonly #done: Promise<void>;
  #model: ChannelModel | null = null;
  #state: ConnectionState = {
    connected: false,
    since: new Date(),
    broker: null,
    blocked: null,
    problem: null,
  };
  #unblocked: (() => void)[] = [];

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
    this.#brokers = shuffled(settings.options.brokers);
    this.#done = this.#keep();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** A channel that is opened again whenever it or the connection was lost; `setup` runs each time. */
  channel(name: string, setup: Setup): KeptChannel {
    const { log } = this.#settings;
    const channel = new KeptChannel({ name, setup, log, closed: (kept) => this.#channels.delete(kept) });
    this.#channels.add(channel);
    if (this.#model) channel.attach(this.#model);
    return channel;
  }

  /** Returns at once unless the broker has an alarm; then when that is over. */
  async unblocked(): Promise<void> {
    while (this.#state.blocked !== null) await new Promise<void>((resolve) => this.#unblocked.push(resolve));
  }

  /** Never throws; at most `milliseconds` for the good-bye. */
  async close(milliseconds = 2000): Promise<void> {
    this.#closing.abort(new Error('closed'));
    for (const channel of [...this.#channels]) channel.abandon();
    if (this.#model) await hangUp(this.#model, milliseconds);
    await this.#done;
  }

  async #keep(): Promise<void> {
    const { rabbit } = this.#settings.options;
    let failures = 0;
    while (!this.#closing.signal.aborted) {
      const broker = this.#brokers[this.#position % this.#brokers.length]!;
      try {
        const model = await this.#connect(broker);
        const since = Date.now();
        await this.#live(model, broker);
        failures = Date.now() - since > STEADY ? 0 : failures + 1;
        const splay = Math.random() * rabbit.kombu_reconnect_splay;
        await this.#wait(
          Math.max(rabbit.kombu_reconnect_delay + splay, failures > 1 ? this.#interval(failures) : 0),
        );
      } catch (error) {
        failures += 1;
        this.#nextBroker();
        await this.#failed(broker, error, failures);
      }
    }
  }

  /** Hosts in turn; with the strategy 'shuffle' in a new order each round. */
  #nextBroker(): void {
    this.#position = (this.#position + 1) % this.#brokers.length;
    if (this.#position === 0 && this.#settings.options.rabbit.kombu_failover_strategy === 'shuffle') {
      this.#brokers = shuffled(this.#brokers);
    }
  }

  /** Seconds to wait after so many failures in a row: none until every host had its turn, then more each round. */
  #interval(failures: number): number {
    const { rabbit_retry_interval, rabbit_retry_backoff, rabbit_interval_max } =
      this.#settings.options.rabbit;
    const rounds = failures / this.#brokers.length;
    if (!Number.isInteger(rounds)) return 0;
    return Math.min(rabbit_retry_interval + rabbit_retry_backoff * (rounds - 1), rabbit_interval_max);
  }

  async #connect(broker: Broker): Promise<ChannelModel> {
    const { options, name } = this.#settings;
    const model = await dial(broker, options.virtualHost, options.rabbit, name);
    if (!this.#closing.signal.aborted) return model;
    await hangUp(model, 1000);
    throw new Error('closed');
  }

  /** Resolves when the connection is lost. */
  async #live(model: ChannelModel, broker: Broker): Promise<void> {
    const { log, news, purpose } = this.#settings;
    let problem = 'the broker closed the connection';
    const lost = new Promise<void>((resolve) => {
      model.on('close', (error) => {
        if (error) problem = error.message;
        resolve();
      });
    });
    model.on('error', (error) => {
      problem = error.message;
    });
    // A fault in a handler of ours, which must not pass for one of the broker's.
    model.on('handler-error', (error) => log.error({ err: error }, 'AMQP event handler failed'));
    model.on('blocked', (reason) => {
      news.warn('blocked', `the message broker ${brokerName(broker)} takes no messages for now: ${reason}`);
      this.#become({ blocked: reason });
    });
    model.on('unblocked', () => this.#become({ blocked: null }));
    this.#model = model;
    this.#become({ connected: true, broker: brokerName(broker), problem: null, blocked: null });
    log.debug(`connected to the message broker ${brokerName(broker)} (${purpose})`);
    for (const channel of [...this.#channels]) channel.attach(model);
    await lost;
    this.#model = null;
    drop(model);
    for (const channel of [...this.#channels]) channel.detach();
    this.#become({ connected: false, problem, blocked: null });
    if (!this.#closing.signal.aborted) {
      news.warn(
        `lost ${brokerName(broker)}`,
        `lost the message broker ${brokerName(broker)} (${purpose}): ${problem}; connecting again`,
      );
    }
  }

  /** After all hosts failed in a round: a pause that grows with the rounds. */
  async #failed(broker: Broker, error: unknown, failures: number): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const seconds = this.#interval(failures);
    const problem = describe(error, broker, this.#settings.options.virtualHost);
    const then = seconds > 0 ? `trying again in ${seconds} s` : 'trying the next host';
    const text = `cannot reach the message broker ${brokerName(broker)}: ${problem}`;
    this.#settings.news.warn(text, `${text}; ${then}`);
    this.#become({ broker: brokerName(broker), problem });
    await this.#wait(seconds);
  }

  #wait(seconds: number): Promise<void> {
    return pause(seconds, this.#closing.signal);
  }

  #become(change: Partial<ConnectionState>): void {
    const turned = change.connected !== undefined && change.connected !== this.#state.connected;
    this.#state = { ...this.#state, ...change, ...(turned && { since: new Date() }) };
    if (this.#state.blocked === null) {
      const waiting = this.#unblocked;
      this.#unblocked = [];
      for (const resume of waiting) resume();
    }
    this.#settings.changed();
  }
}

function describe(error: unknown, broker: Broker, virtualHost: string): string {
  const all = error instanceof AggregateError ? error.errors : [error];
  const text = all.map((one) => (one instanceof Error ? one.message || one.name : String(one))).join(', ');
  if (/ACCESS_REFUSED|\b403 \(/.test(text)) {
    return `it refuses user '${broker.username}' (403): check user, password and virtual host '${virtualHost}' in transport_url`;
  }
  // What the broker says when it refuses the virtual host, the client library keeps to itself.
  if (/NOT_ALLOWED|\b530 \(|Expected ConnectionOpenOk/.test(text)) {
    return (
      `it refuses virtual host '${virtualHost}' to user '${broker.username}': not there, not permitted, or its ` +
      "connection limit is reached; the broker's log says which"
    );
  }
  return text.slice(0, 300);
}

function shuffled<T>(items: readonly T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const other = randomInt(i + 1);
    [result[i], result[other]] = [result[other]!, result[i]!];
  }
  return result;
}
