import type { RpcLog } from './connection.ts';
import { pause } from './deadline.ts';
import type { Reply } from './envelope.ts';
import { hexId } from './identifiers.ts';
import { toCaller } from './message.ts';
import type { RpcOptions } from './options.ts';
import type { Publisher } from './publisher.ts';

/** Seconds between attempts to reach a caller whose queue is not there. */
const RETRY = 0.25;
/** Queues known to be gone, and for how long (ms) they are. */
const GONE = { names: 200, milliseconds: 60_000 };

/**
 * Sends answers. A caller's queue may be missing for a moment (it reconnects): the answer is tried again for
 * `kombu_missing_consumer_retry_timeout`, then the caller counts as gone
 * (`oslo_messaging/_drivers/amqpdriver.py`, ReplyWaiters and ObsoleteReplyQueuesCache).
 */
export class Replier {
  readonly #options: RpcOptions;
  readonly #publisher: Publisher;
  readonly #log: RpcLog;
  readonly #closing: AbortSignal;
  readonly #gone = new Map<string, number>();

  constructor(options: RpcOptions, publisher: Publisher, log: RpcLog, closing: AbortSignal) {
    this.#options = options;
    this.#publisher = publisher;
    this.#log = log;
    this.#closing = closing;
  }

  /** Never throws. */
  async send(queue: string, answer: Omit<Reply, 'uniqueId'>): Promise<void> {
    const goneSince = this.#gone.get(queue);
    if (goneSince !== undefined && Date.now() - goneSince < GONE.milliseconds) return;
    const message = toCaller(queue, { ...answer, uniqueId: hexId() });
    const until = Date.now() + this.#options.rabbit.kombu_missing_consumer_retry_timeout * 1000;
    try {
      while ((await this.#publisher.publish(message, this.#closing)) === 'returned') {
        if (Date.now() >= until) {
          this.#remember(queue);
          this.#log.warn(`the caller behind ${queue} is gone: the answer to its call was dropped`);
          return;
        }
        await pause(RETRY, this.#closing);
      }
    } catch (error) {
      if (!this.#closing.aborted) this.#log.warn({ err: error }, `an answer to ${queue} was not sent`);
    }
  }

  #remember(queue: string): void {
    this.#gone.delete(queue);
    this.#gone.set(queue, Date.now());
    if (this.#gone.size <= GONE.names) return;
    for (const oldest of this.#gone.keys()) {
      this.#gone.delete(oldest);
      break;
    }
  }
}
