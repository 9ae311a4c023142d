import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../house/package-root.ts';

const folder = join(packageRoot(), 'test/fixtures/amqp');

/** A published message of a real Zed deployment: RabbitMQ's firehose, verbatim. */
export interface RecordedMessage {
  readonly exchange: string;
  readonly routing_keys: readonly string[];
  readonly properties: Readonly<Record<string, unknown>>;
  readonly payload: string;
}

/** One of each kind: method, version, call or cast, shape of the answer, which follows its request. */
export const recordedMessages: readonly RecordedMessage[] = readFileSync(
  join(folder, 'messages.jsonl'),
  'utf8',
)
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line));

type Argument = readonly [string, string, string | number | boolean];

export interface RecordedBroker {
  readonly exchanges: readonly {
    readonly name: string;
    readonly type: string;
    readonly durable: boolean;
    readonly auto_delete: boolean;
    readonly internal: boolean;
    readonly arguments: readonly Argument[];
  }[];
  readonly queues: readonly {
    readonly name: string;
    readonly durable: boolean;
    readonly auto_delete: boolean;
    readonly exclusive: boolean;
    readonly arguments: readonly Argument[];
  }[];
  readonly bindings: readonly {
    readonly source_name: string;
    readonly destination_name: string;
    readonly routing_key: string;
  }[];
  readonly consumers: readonly {
    readonly queue_name: string;
    readonly ack_required: boolean;
    readonly prefetch_count: number;
    readonly arguments: readonly Argument[];
  }[];
}

/** What an L3 agent and a DHCP agent of Zed on host net-1 had declared, and one reply queue. */
export const recordedBroker: RecordedBroker = JSON.parse(readFileSync(join(folder, 'broker.json'), 'utf8'));

/** The inner message of a recorded one, read without the code under test. */
export const innerOf = ({ payload }: Pick<RecordedMessage, 'payload'>): Record<string, unknown> =>
  JSON.parse(JSON.parse(payload)['oslo.message']);
