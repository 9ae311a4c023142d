import type { ChannelModel, ConfirmChannel } from 'amqplib';
import type { KeptChannel } from './channel.ts';
import type { BrokerConnection, RpcLog } from './connection.ts';
import { agentContext } from './context.ts';
import { before, pause } from './deadline.ts';
import { type Declarations, isRefusal } from './declare.ts';
import { type Request, replyOf } from './envelope.ts';
import { MessagingTimeout, ReplyLost } from './failures.ts';
import { hexId, requestId } from './identifiers.ts';
import { listen } from './incoming.ts';
import { type Outgoing, toEveryone, toTopic } from './message.ts';
import type { RpcOptions } from './options.ts';
import type { Publisher } from './publisher.ts';
import { GrowingTimeouts } from './timeouts.ts';
import { type Consumer, replyConsumer } from './topology.ts';
import { type Waiter, Waiters } from './waiters.ts';

export interface CastRequest {
  readonly topic: string;
  /** one host's queue; absent: whoever listens on the topic takes it */
  readonly server?: string;
  readonly method: string;
  /** default {} */
  readonly args?: Readonly<Record<string, unknown>>;
  /** 'X.Y' */
  readonly version: string;
  readonly namespace?: string;
  /** 'req-<uuid>' of the operation that this belongs to; default: one per process */
  readonly requestId?: string;
  /** goes by a channel that bulk work never fills: state reports */
  readonly urgent?: boolean;
  /** ends the waiting; the reason is thrown */
  readonly signal?: AbortSignal;
}

export interface CallRequest extends CastRequest {
  /** seconds; default: rpc_response_timeout, growing per method at time-outs */
  readonly timeout?: number;
  /** seconds within which the server must show that it is at work; Neutron's never do */
  readonly monitor?: number;
}

export interface ClientSettings {
  readonly options: RpcOptions;
  readonly log: RpcLog;
  readonly declarations: Declarations;
  /** where answers arrive: never one that publishes, which a resource alarm would block */
  readonly consuming: BrokerConnection;
  readonly work: Publisher;
  readonly urgent: Publisher;
  readonly closing: AbortSignal;
}

/** Calls, casts and fanouts. */
export class RpcClient {
  readonly #settings: ClientSettings;
  readonly #waiters = new Waiters();
  readonly #timeouts: GrowingTimeouts;
  readonly #consumer: Consumer;
  readonly #processRequestId = requestId();
  #replies: KeptChannel | null = null;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    const { rpc_response_timeout: initial, rpc_response_max_timeout: maximum } = settings.options;
    this.#consumer = replyConsumer(settings.options, hexId());
    this.#timeouts = new GrowingTimeouts({ initial, maximum });
    settings.closing.addEventListener('abort', () =>
      this.#waiters.failAll((method) => new ReplyLost(`${method}: this process is closing`)),
    );
  }

  /**
   * The result of a method of a server. Throws RemoteError (the server raised), MessagingTimeout, ReplyLost (the
   * broker was restarted meanwhile, or we are closing), or the broker's refusal.
   */
  async call(request: CallRequest): Promise<unknown> {
    const { method, timeout, monitor = null, signal } = request;
    const { closing } = this.#settings;
    closing.throwIfAborted();
    signal?.throwIfAborted();
    const seconds = timeout ?? this.#timeouts.of(method);
    const msgId = hexId();
    const waiter = this.#waiters.open({ method, msgId, seconds, monitor });
    const abort = (): void => waiter.fail(asError(signal?.reason));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await before(waiter.signal, this.#replyChannel().ready());
      const inner = this.#request(request, { replyTo: { msgId, queue: this.#consumer.queue.name }, monitor });
      const message = toTopic(this.#settings.options, request, inner, seconds);
      await this.#deliver(this.#publisher(request), message, waiter);
      waiter.sent = true;
      return await waiter.answer;
    } catch (error) {
      waiter.fail(asError(error));
      if (error instanceof MessagingTimeout && timeout === undefined) {
        await pause(this.#timeouts.grow(method), signal ? AbortSignal.any([closing, signal]) : closing);
      }
      throw error;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Until somebody's queue takes it: the server may be starting, or declaring its queues after an outage. */
  async #deliver(publisher: Publisher, message: Outgoing, waiter: Waiter): Promise<void> {
    const end = Date.now() + (message.expiration ?? 0);
    let outcome = await publisher.publish(message, waiter.signal);
    while (outcome === 'returned') {
      waiter.hint = `nobody listens on ${message.routingKey}: is neutron-server running?`;
      await pause(UNROUTABLE_RETRY, waiter.signal);
      const expiration = Math.max(end - Date.now(), 1);
      outcome = await publisher.publish({ ...message, expiration }, waiter.signal);
    }
    waiter.hint = null;
  }

  /** Resolves when the broker has it; waits for the broker as long as that takes. */
  async cast(request: CastRequest): Promise<void> {
    const message = toTopic(this.#settings.options, request, this.#request(request), null);
    await this.#publisher(request).publish(message, this.#castSignal(request));
  }

  /** A cast to all that listen on the topic, wherever they are. */
  async fanout(request: Omit<CastRequest, 'server'>): Promise<void> {
    const message = toEveryone(this.#settings.options, request.topic, this.#request(request));
    await this.#publisher(request).publish(message, this.#castSignal(request));
  }

  #request(given: CastRequest, answer: Pick<Request, 'replyTo' | 'monitor'> = NO_ANSWER): Request {
    return {
      method: given.method,
      args: given.args ?? {},
      version: given.version,
      namespace: given.namespace ?? null,
      uniqueId: hexId(),
      ...answer,
      context: agentContext(new Date(), given.requestId ?? this.#processRequestId),
    };
  }

  #publisher({ urgent }: Pick<CastRequest, 'urgent'>): Publisher {
    return urgent ? this.#settings.urgent : this.#settings.work;
  }

  #castSignal({ signal }: Pick<CastRequest, 'signal'>): AbortSignal {
    const { closing } = this.#settings;
    return signal ? AbortSignal.any([closing, signal]) : closing;
  }

  /** The one queue for all answers to this process, from its first call on. */
  #replyChannel(): KeptChannel {
    this.#replies ??= this.#settings.consuming.channel('answers', (channel, model) =>
      this.#listen(channel, model),
    );
    return this.#replies;
  }

  async #listen(channel: ConfirmChannel, model: ChannelModel): Promise<void> {
    const { declarations, options, log } = this.#settings;
    if (this.#waiters.size > 0 && !(await exists(model, this.#consumer.queue.name))) {
      const lost = this.#waiters.failSent(
        (method) => new ReplyLost(`${method}: the broker was restarted and lost the queue of the answers`),
      );
      if (lost > 0)
        log.warn(`the broker lost the queue of the answers: ${lost} calls fail now rather than time out`);
    }
    const prefetch = options.rabbit.rabbit_qos_prefetch_count;
    await listen(channel, [this.#consumer], { declarations, log, prefetch }, (inner) => {
      try {
        const dropped = this.#waiters.settle(replyOf(inner));
        if (dropped) log.info(dropped);
      } catch (error) {
        this.#waiters.spoil(inner._msg_id, asError(error).message);
        throw error;
      }
    });
  }
}

/** seconds */
const UNROUTABLE_RETRY = 0.5;

const NO_ANSWER = { replyTo: null, monitor: null };

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));

/** Asked on a channel of its own, because "no" closes it. */
async function exists(model: ChannelModel, queue: string): Promise<boolean> {
  const probe = await model.createChannel();
  probe.on('error', () => undefined);
  try {
    await probe.checkQueue(queue);
    await probe.close();
    return true;
  } catch (error) {
    if (isRefusal(error)) return false;
    throw error;
  }
}
