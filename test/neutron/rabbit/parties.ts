import { type ConsumeMessage, connect } from 'amqplib';
import { type Request, requestOf, unwrap } from '../../../lib/rpc/envelope.ts';
import { openRpc, type Rpc, rpcOptions } from '../../../lib/rpc/rpc.ts';
import { createLog } from '../../../lib/telemetry/log.ts';

export interface Party {
  readonly rpc: Rpc;
  /** its log, one text per line */
  readonly lines: string[];
}

/** Someone who speaks RPC, with what it logs. */
export function party(url: string, options: Readonly<Record<string, unknown>> = {}): Party {
  const lines: string[] = [];
  const log = createLog({
    program: 'test',
    level: 'debug',
    format: 'json',
    write: (line) => lines.push(line),
  });
  const rpc = openRpc({
    options: rpcOptions({ transport_url: url, ...options }),
    log,
    program: 'viaduct-test',
  });
  return { rpc, lines };
}

/** Something else than our own code on the same broker: publishes and reads as it is told. */
export async function stranger(port: number) {
  const model = await connect(`amqp://guest:guest@127.0.0.1:${port}`);
  model.on('error', () => undefined);
  return { model, channel: await model.createConfirmChannel() };
}

/** What is told to all who listen to a fanout exchange, heard beside them until stopped. */
export async function overhear(port: number, exchange: string) {
  const { model, channel } = await stranger(port);
  const messages: Request[] = [];
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, exchange, '');
  const take = (message: ConsumeMessage | null): void => {
    if (message) messages.push(requestOf(unwrap(message.content)));
  };
  await channel.consume(queue, take, { noAck: true });
  return { messages: messages as readonly Request[], stop: () => model.close() };
}

/** Waits until it is so; throws after the time with what it was at last. */
export async function until<T>(
  what: string,
  seconds: number,
  look: () => T | false | Promise<T | false>,
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
