/** What goes through the broker, by its own tracing: every message as it is published, with the moment we got the copy. */
import { type ChannelModel, connect } from 'amqplib';
import type { TestBroker } from '../../neutron/rabbit/broker.ts';

/** RabbitMQ's own exchange; a publication has the key 'publish.<exchange>'. */
const TRACE = 'amq.rabbitmq.trace';

/** A call, a notification, or the answer to a call. */
export interface Published {
  /** performance.now() */
  readonly at: number;
  /** undefined: an answer */
  readonly method: string | undefined;
  /** of a call and its answers */
  readonly messageId: string | undefined;
}

/**
 * Time in which an answer was waited for, of calls made within a span: the server's work (and the broker's). A call whose
 * answer was not needed for what ended the span has none by then, and is not counted.
 */
export function answeringTime(published: readonly Published[], from: number, to: number): number {
  let total = 0;
  let counted = from;
  for (const call of published) {
    if (call.method === undefined || call.messageId === undefined || call.at < from || call.at > to) continue;
    const answer = published.find((p) => p.method === undefined && p.messageId === call.messageId);
    if (!answer) continue;
    const begin = Math.max(call.at, counted);
    counted = Math.max(counted, Math.min(answer.at, to));
    total += Math.max(0, counted - begin);
  }
  return total;
}

export class Traffic {
  readonly published: Published[] = [];
  readonly #broker: TestBroker;
  readonly #connection: ChannelModel;

  static async watch(broker: TestBroker): Promise<Traffic> {
    await broker.ctl('trace_on');
    const connection = await connect(`amqp://guest:guest@127.0.0.1:${broker.port}/`);
    const traffic = new Traffic(broker, connection);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, TRACE, 'publish.#');
    await channel.consume(queue, (message) => message && traffic.#note(message.content), { noAck: true });
    return traffic;
  }

  private constructor(broker: TestBroker, connection: ChannelModel) {
    this.#broker = broker;
    this.#connection = connection;
  }

  async stop(): Promise<void> {
    await this.#connection.close();
    await this.#broker.ctl('trace_off');
  }

  #note(content: Buffer): void {
    const at = performance.now();
    const envelope = parsed(content.toString('utf8'));
    const message = parsed(envelope?.['oslo.message']) ?? envelope;
    if (!message) return;
    const method = typeof message.method === 'string' ? message.method : undefined;
    const messageId = typeof message._msg_id === 'string' ? message._msg_id : undefined;
    this.published.push({ at, method, messageId });
  }
}

function parsed(text: unknown): Record<string, unknown> | undefined {
  try {
    const value: unknown = typeof text === 'string' ? JSON.parse(text) : undefined;
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
