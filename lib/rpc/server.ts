import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import type { KeptChannel } from './channel.ts';
import type { BrokerConnection, RpcLog } from './connection.ts';
import { before, pause } from './deadline.ts';
import type { Declarations } from './declare.ts';
import { type Endpoint, handlerFor } from './dispatch.ts';
import { EnvelopeError, type Request, requestOf } from './envelope.ts';
import { ArgumentError, DispatchError, failureText } from './failures.ts';
import { hexId } from './identifiers.ts';
import { consumerTag, listen } from './incoming.ts';
import type { RpcOptions } from './options.ts';
import type { Replier } from './replier.ts';
import { type Consumer, fanoutConsumer, topicConsumer } from './topology.ts';
import { SeenIds } from './unique.ts';

export interface ServeTarget {
  readonly topic: string;
  /** this host, as it is in queue names and reports */
  readonly server: string;
  readonly endpoints: readonly Endpoint[];
}

export interface ServerSettings extends ServeTarget {
  readonly options: RpcOptions;
  readonly log: RpcLog;
  readonly declarations: Declarations;
  readonly connection: BrokerConnection;
  readonly replier: Replier;
}

/**
 * Listens on `<topic>`, `<topic>.<server>` and the topic's fanout, on a channel of its own, and does what is asked:
 * in the order of arrival, without waiting for one request before the next is begun.
 */
export class RpcServer {
  readonly #settings: ServerSettings;
  readonly #channel: KeptChannel;
  readonly #seen = new SeenIds();
  readonly #suffix = hexId();
  /** offset of the next message of a stream (rabbit_stream_fanout) */
  #offset: number | 'last' = 'last';

  constructor(settings: ServerSettings) {
    this.#settings = settings;
    this.#channel = settings.connection.channel(`consumer of ${settings.topic}`, (channel) =>
      this.#listen(channel),
    );
  }

  /** Resolves when the queues are there and consumed, after which no message is missed. */
  async ready(signal?: AbortSignal): Promise<void> {
    const ready = this.#channel.ready();
    await (signal ? before(signal, ready) : ready);
  }

  /** A clean stop: the fanout queue goes, the shared ones stay and keep what comes. Never throws. */
  async stop(): Promise<void> {
    const channel = this.#channel.current;
    const patience = new AbortController();
    if (channel) await Promise.race([this.#leave(channel).catch(() => undefined), pause(2, patience.signal)]);
    patience.abort();
    this.#channel.abandon();
  }

  /** Unsubscribed first: of a queue that is deleted under its consumer the broker would say so. */
  async #leave(channel: ConfirmChannel): Promise<void> {
    const consumers = this.#consumers();
    await Promise.all([
      ...consumers.map((_, index) => channel.cancel(consumerTag(index))),
      ...consumers.filter(({ own }) => own).map(({ queue }) => channel.deleteQueue(queue.name)),
    ]);
  }

  #consumers(): Consumer[] {
    const { options, topic, server } = this.#settings;
    return [
      topicConsumer(options, topic),
      topicConsumer(options, topic, server),
      fanoutConsumer(options, topic, this.#suffix, this.#offset),
    ];
  }

  #listen(channel: ConfirmChannel): Promise<void> {
    const { declarations, log, options } = this.#settings;
    const prefetch = options.rabbit.rabbit_qos_prefetch_count;
    return listen(channel, this.#consumers(), { declarations, log, prefetch }, (inner, message) => {
      this.#followStream(message);
      this.#receive(inner);
    });
  }

  #followStream({ properties }: ConsumeMessage): void {
    const offset: unknown = properties.headers?.['x-stream-offset'];
    if (typeof offset === 'number') this.#offset = offset + 1;
  }

  #receive(inner: Readonly<Record<string, unknown>>): void {
    let request: Request;
    try {
      request = requestOf(inner);
    } catch (error) {
      this.#refuse(inner, error);
      throw error;
    }
    if (this.#seen.add(request.uniqueId)) void this.#serve(request);
    else this.#settings.log.info(`${request.method}: delivered twice, the second one was dropped`);
  }

  /** A malformed call is answered if it says where, so that its caller need not wait for its time-out. */
  #refuse({ _msg_id, _reply_q }: Readonly<Record<string, unknown>>, error: unknown): void {
    if (typeof _msg_id !== 'string' || typeof _reply_q !== 'string' || _reply_q === '') return;
    void this.#settings.replier.send(_reply_q, {
      ...{ msgId: _msg_id, result: null, ending: true },
      failure: failureText(error),
    });
  }

  async #serve(request: Request): Promise<void> {
    const { replyTo, method, args, context } = request;
    const { replier, endpoints } = this.#settings;
    const heartbeat = this.#showLife(request);
    let result: unknown = null;
    let failure: string | null = null;
    try {
      result = await handlerFor(endpoints, request)(args, context);
    } catch (error) {
      this.#log(method, error);
      failure = failureText(error);
    } finally {
      clearInterval(heartbeat);
    }
    if (replyTo) await replier.send(replyTo.queue, { msgId: replyTo.msgId, result, failure, ending: true });
  }

  /** A caller that monitors is told twice in its time that we are at work; one that does not would break on it. */
  #showLife({ replyTo, monitor }: Request): NodeJS.Timeout | undefined {
    const seconds = Math.trunc(monitor ?? 0);
    if (!replyTo || seconds < 2) return undefined;
    const alive = { msgId: replyTo.msgId, result: null, failure: null, ending: false };
    return setInterval(() => void this.#settings.replier.send(replyTo.queue, alive), seconds * 500);
  }

  #log(method: string, error: unknown): void {
    const { log, topic } = this.#settings;
    const plain = error instanceof DispatchError || error instanceof EnvelopeError;
    if (plain) log.warn(`${topic}: ${error.message}`);
    else if (error instanceof ArgumentError) log.warn(`${topic}: ${method}: ${error.message}`);
    else log.error({ err: error }, `${topic}: ${method} failed`);
  }
}
