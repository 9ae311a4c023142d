import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { decompressed } from './compression.ts';
import type { RpcLog } from './connection.ts';
import type { Declarations } from './declare.ts';
import { EnvelopeError, unwrap } from './envelope.ts';
import type { Consumer } from './topology.ts';

/** What an inner message is given to; throws EnvelopeError if it is malformed. */
export type Receive = (inner: Readonly<Record<string, unknown>>, message: ConsumeMessage) => void;

export interface Listening {
  readonly declarations: Declarations;
  readonly log: RpcLog;
  readonly prefetch: number;
}

/** Of the n-th queue that a channel consumes, as oslo.messaging has it: "1", "2" … */
export const consumerTag = (index: number): string => String(index + 1);

/**
 * Declares and consumes the queues in that order. A message is acknowledged before it is looked at: one that cannot
 * be handled must not come back for ever. One whose acknowledgement fails is left alone: the broker delivers it again.
 */
export async function listen(
  channel: ConfirmChannel,
  consumers: readonly Consumer[],
  { declarations, log, prefetch }: Listening,
  receive: Receive,
): Promise<void> {
  if (prefetch > 0) await channel.prefetch(prefetch, false);
  const subscribe = async (consumer: Consumer, tag: string): Promise<void> => {
    await declarations.consumer(channel, consumer);
    const { name } = consumer.queue;
    const deliver = (message: ConsumeMessage | null): void => {
      if (message) {
        take(channel, message, name, log, receive);
        return;
      }
      log.warn(
        `queue ${name}: the broker cancelled the subscription (queue deleted or its node lost); taking it again`,
      );
      subscribe(consumer, tag).catch(() => {
        // A new channel tries again, with pauses.
        channel.close().catch(() => undefined);
      });
    };
    await channel.consume(name, deliver, {
      consumerTag: tag,
      noAck: false,
      arguments: { ...consumer.arguments },
    });
  };
  for (const [index, consumer] of consumers.entries()) await subscribe(consumer, consumerTag(index));
}

function take(
  channel: ConfirmChannel,
  message: ConsumeMessage,
  queue: string,
  log: RpcLog,
  receive: Receive,
): void {
  try {
    channel.ack(message);
  } catch {
    return;
  }
  try {
    const headers: unknown = message.properties.headers;
    receive(unwrap(decompressed(message.content, headersOf(headers))), message);
  } catch (error) {
    const size = `${message.content.length} bytes`;
    if (error instanceof EnvelopeError)
      log.warn(`queue ${queue}: a message (${size}) was dropped: ${error.message}`);
    else log.error({ err: error }, `queue ${queue}: a message (${size}) could not be handled`);
  }
}

const headersOf = (headers: unknown): Readonly<Record<string, unknown>> =>
  typeof headers === 'object' && headers !== null ? (headers as Readonly<Record<string, unknown>>) : {};
