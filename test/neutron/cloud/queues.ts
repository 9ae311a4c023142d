import type { TestBroker } from '../rabbit/broker.ts';

/** What a queue is for: two sides must agree on how queues of one kind are declared. */
type Kind = 'topic' | 'fanout' | 'reply';

export interface DeclaredQueue {
  readonly name: string;
  readonly kind: Kind;
  /** durable, auto_delete, arguments, type: as text */
  readonly declared: string;
}

const kindOf = (name: string): Kind =>
  /^reply_/.test(name) ? 'reply' : /_fanout_/.test(name) ? 'fanout' : 'topic';

/** `rabbitmqctl list_queues`. */
export async function declaredQueues(broker: TestBroker): Promise<DeclaredQueue[]> {
  const queues = await broker.list('queues', 'name', 'durable', 'auto_delete', 'arguments', 'type');
  return queues.map(({ name, ...declared }) => {
    const fields = Object.entries(declared).sort(([a], [b]) => a.localeCompare(b));
    return { name: String(name), kind: kindOf(String(name)), declared: JSON.stringify(fields) };
  });
}

/** Each way in which queues of a kind are declared, once. */
export const declarations = (queues: readonly DeclaredQueue[], kind: Kind): string[] =>
  [...new Set(queues.filter((queue) => queue.kind === kind).map(({ declared }) => declared))].sort();
