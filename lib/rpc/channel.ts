import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { RpcLog } from './connection.ts';
import { pause } from './deadline.ts';

/** Declares and subscribes; runs on every new channel before it is handed out. */
export type Setup = (channel: ConfirmChannel, model: ChannelModel) => Promise<void>;

export interface KeptChannelSettings {
  /** for log lines: 'consumer l3_agent' */
  readonly name: string;
  readonly setup: Setup;
  readonly log: RpcLog;
  readonly closed: (channel: KeptChannel) => void;
}

/** Seconds before the n-th attempt in a row to open a channel that the broker keeps closing. */
const delayOf = (failures: number): number => (failures === 0 ? 0 : Math.min(2 * failures - 1, 30));
/** A channel that lived this long (ms) was no failed attempt. */
const STEADY = 10_000;

/**
 * A channel (in confirm mode) that comes back by itself. The broker closes a channel for one wrong declaration; the
 * others of the connection go on.
 */
export class KeptChannel {
  readonly #settings: KeptChannelSettings;
  #model: ChannelModel | null = null;
  #channel: ConfirmChannel | null = null;
  #waiting: { resolve: (channel: ConfirmChannel) => void; reject: (error: Error) => void }[] = [];
  #failures = 0;
  /** ends the loop of the model attached before */
  #attached = new AbortController();
  #over = false;

  constructor(settings: KeptChannelSettings) {
    this.#settings = settings;
  }

  /** The channel in use, for work that makes no sense on another one. */
  get current(): ConfirmChannel | null {
    return this.#channel;
  }

  /** The channel, as soon as there is one that is set up. Throws once abandoned. */
  ready(): Promise<ConfirmChannel> {
    if (this.#over) return Promise.reject(new Error('closed'));
    if (this.#channel) return Promise.resolve(this.#channel);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  attach(model: ChannelModel): void {
    this.detach();
    if (this.#over) return;
    this.#model = model;
    this.#failures = 0;
    this.#attached = new AbortController();
    void this.#keep(model, this.#attached.signal);
  }

  /** The connection is gone. */
  detach(): void {
    this.#attached.abort();
    this.#model = null;
    this.#channel = null;
  }

  /** For ever: who waits is told. */
  abandon(): void {
    this.#over = true;
    const channel = this.#channel;
    this.detach();
    channel?.close().catch(() => undefined);
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('closed'));
    this.#settings.closed(this);
  }

  async #keep(model: ChannelModel, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#model === model) {
      await pause(delayOf(this.#failures), signal);
      if (signal.aborted) return;
      const since = Date.now();
      const problem = await this.#live(model, signal);
      if (signal.aborted) return;
      this.#failures = Date.now() - since > STEADY ? 0 : this.#failures + 1;
      if (problem) this.#settings.log.warn(`${this.#settings.name}: ${problem}; opening the channel again`);
    }
  }

  /** Opens a channel and resolves, with what was wrong, when it is closed. */
  async #live(model: ChannelModel, signal: AbortSignal): Promise<string | null> {
    const { setup, log, name } = this.#settings;
    let problem: string | null = null;
    let channel: ConfirmChannel | undefined;
    try {
      channel = await model.createConfirmChannel();
      const opened = channel;
      const closed = new Promise<void>((resolve) => opened.on('close', resolve));
      channel.on('error', (error) => {
        problem = error.message;
      });
      channel.on('handler-error', (error) => log.error({ err: error }, `${name}: event handler failed`));
      const outcome = await Promise.race([setup(channel, model).then(() => 'ready' as const), closed]);
      if (outcome === 'ready' && !signal.aborted) {
        this.#channel = channel;
        for (const { resolve } of this.#waiting.splice(0)) resolve(channel);
      }
      await closed;
      if (this.#channel === channel) this.#channel = null;
      return problem;
    } catch (error) {
      channel?.close().catch(() => undefined);
      return problem ?? (error instanceof Error ? error.message : String(error));
    }
  }
}
