/**
 * A server that a test can let down: it answers what agents ask, message by message on a real broker, from maps of
 * routers and networks. What it answers can be lost, late, doubled, damaged.
 */
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { agentContext } from '../../../lib/rpc/context.ts';
import {
  type Request,
  replyFields,
  requestFields,
  requestOf,
  unwrap,
  wrap,
} from '../../../lib/rpc/envelope.ts';
import { hexId } from '../../../lib/rpc/identifiers.ts';
import { stranger } from '../rabbit/parties.ts';

const TOPICS = ['q-l3-plugin', 'q-plugin', 'q-reports-plugin'];
const EXCHANGE = 'neutron';

type Args = Readonly<Record<string, unknown>>;

export interface Asked {
  readonly method: string;
  readonly args: Args;
  /** ms of the epoch */
  readonly at: number;
}

/** The bodies that go back for a request, each at its own time; `undefined`: as usual. */
export type Tampering = (
  request: Request,
  answer: (result: unknown) => Buffer,
) => readonly Promise<Buffer>[] | undefined;

export class PretendServer {
  readonly routers = new Map<string, object>();
  readonly networks = new Map<string, object>();
  readonly asked: Asked[] = [];
  /** what becomes of answers */
  tamper: Tampering = () => undefined;
  readonly #port: number;
  #model: ChannelModel | undefined;
  #channel: ConfirmChannel | undefined;

  /** @param port of the broker */
  constructor(port: number) {
    this.#port = port;
  }

  async start(): Promise<void> {
    const { model, channel } = await stranger(this.#port);
    model.on('close', () => undefined);
    channel.on('error', () => undefined);
    this.#model = model;
    this.#channel = channel;
    await channel.assertExchange(EXCHANGE, 'topic', { durable: false, autoDelete: false });
    for (const topic of TOPICS) {
      await channel.assertQueue(topic, { durable: false, autoDelete: false });
      await channel.bindQueue(topic, EXCHANGE, topic);
      await channel.consume(topic, (message) => message && this.#take(message.content), { noAck: true });
    }
  }

  /** As if it was killed: what it works on is never answered; its queues stay. */
  async stop(): Promise<void> {
    await this.#model?.close().catch(() => undefined);
    this.#model = undefined;
    this.#channel = undefined;
  }

  count(method: string): number {
    return this.asked.filter((each) => each.method === method).length;
  }

  /** A cast to one host. `unlike`: keys of the inner message that are other than usual. */
  notify(topic: string, method: string, args: unknown, unlike: Args = {}): void {
    const request: Request = {
      method,
      args: args as Args,
      version: '1.0',
      namespace: null,
      uniqueId: hexId(),
      replyTo: null,
      monitor: null,
      context: agentContext(new Date(), 'req-test'),
    };
    this.send(topic, wrap({ ...requestFields(request), ...unlike }));
  }

  /** Any bytes to a queue that is bound to its topic, or to all who listen to a fanout. */
  send(topic: string, body: Buffer): void {
    const fanout = topic.endsWith('_fanout');
    this.#channel?.publish(fanout ? topic : EXCHANGE, fanout ? '' : topic, body);
  }

  #take(body: Buffer): void {
    const request = requestOf(unwrap(body));
    const { method, args, replyTo } = request;
    this.asked.push({ method, args, at: Date.now() });
    if (!replyTo) return;
    const answer = (result: unknown): Buffer =>
      wrap(replyFields({ msgId: replyTo.msgId, result, failure: null, ending: true, uniqueId: hexId() }));
    const bodies = this.tamper(request, answer) ?? [Promise.resolve(answer(this.answer(method, args)))];
    for (const each of bodies)
      void each.then((content) => this.#channel?.publish('', replyTo.queue, content)).catch(() => undefined);
  }

  /** What a good server says. */
  answer(method: string, args: Args): unknown {
    const wanted = (ids: unknown, all: ReadonlyMap<string, object>): object[] =>
      Array.isArray(ids) ? ids.flatMap((id) => all.get(String(id)) ?? []) : [...all.values()];
    switch (method) {
      case 'report_state':
        return 'alive';
      case 'get_router_ids':
        return [...this.routers.keys()];
      case 'sync_routers':
        return wanted(args.router_ids, this.routers);
      case 'get_active_networks_info':
        return [...this.networks.values()];
      case 'get_network_info':
        return this.networks.get(String(args.network_id)) ?? null;
      default:
        return null;
    }
  }
}

const never = (): Promise<Buffer> => new Promise(() => undefined);
const later = (milliseconds: number, body: Buffer): Promise<Buffer> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds, body));

/** Ways in which an answer goes wrong. */
export const mishaps = {
  lost: () => [never()],
  late: (body: Buffer, milliseconds: number) => [later(milliseconds, body)],
  doubled: (body: Buffer) => [Promise.resolve(body), Promise.resolve(body), later(50, body)],
  other: (body: Buffer) => [Promise.resolve(body)],
};
