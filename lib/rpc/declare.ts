/** Makes the broker hold what topology.ts says. */
import type { Channel } from 'amqplib';
import type { RpcLog } from './connection.ts';
import type { Consumer, Exchange, Queue } from './topology.ts';

/**
 * Declares exchanges and queues. An exchange that the broker already has with the other durability is taken as it is
 * from then on, as oslo.messaging does since 2023: the operator changed `amqp_durable_queues` or
 * `rabbit_quorum_queue` on one side, and exchanges outlive both.
 */
export class Declarations {
  readonly #log: RpcLog;
  /** exchange name → durability that the broker insists on */
  readonly #found = new Map<string, boolean>();

  constructor(log: RpcLog) {
    this.#log = log;
  }

  /** Throws the broker's error; the broker then has closed the channel. After `isOtherDurability`, try again. */
  async exchange(channel: Channel, { name, type, durable, autoDelete }: Exchange): Promise<void> {
    const wanted = this.#found.get(name) ?? durable;
    try {
      await channel.assertExchange(name, type, { durable: wanted, autoDelete });
    } catch (error) {
      if (isOtherDurability(error) && !this.#found.has(name)) {
        this.#found.set(name, !durable);
        this.#log.warn(
          `exchange ${name}: the broker has it ${durable ? 'not ' : ''}durable; taking it so. Give amqp_durable_queues ` +
            'and rabbit_quorum_queue the same values here and on the server',
        );
      }
      throw error;
    }
  }

  /** Exchange, queue and binding of something to listen to. */
  async consumer(channel: Channel, { binding, queue }: Consumer): Promise<void> {
    if (binding) await this.exchange(channel, binding.exchange);
    await channel.assertQueue(queue.name, {
      durable: queue.durable,
      autoDelete: queue.autoDelete,
      exclusive: false,
      arguments: asPythonEncodes(queue.arguments),
    });
    if (binding) await channel.bindQueue(queue.name, binding.exchange.name, binding.key);
  }
}

const LARGEST_INT32 = 2 ** 31 - 1;

/** Whole numbers have 32 bits, or 64 if they must: by itself amqplib takes the shortest type there is. */
const asPythonEncodes = (given: Queue['arguments']): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      typeof value === 'number' ? { '!': value > LARGEST_INT32 ? 'int64' : 'int32', value } : value,
    ]),
  );

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;

/** 406: an exchange is there, with the other `durable`. */
export const isOtherDurability = (error: unknown): boolean =>
  codeOf(error) === 406 && error instanceof Error && /'durable' for exchange/.test(error.message);

/** The broker refuses, and will refuse again: 403 not allowed, 404 not there, 406 other flags. */
export const isRefusal = (error: unknown): boolean => [403, 404, 406].includes(Number(codeOf(error)));
