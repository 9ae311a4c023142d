import { remoteError } from '../../../../lib/rpc/failures.ts';
import type { CallRequest, CastRequest, RpcCaller } from '../../../../lib/rpc/rpc.ts';
import { innerOf, recordedMessages } from '../recording.ts';

export interface Exchange {
  readonly topic: string;
  readonly args: Readonly<Record<string, unknown>>;
  readonly version: string;
  readonly result: unknown;
}

/** The recorded casts of a method, and its calls of which the answer was recorded too. */
export function recordedExchanges(method: string): Exchange[] {
  const answers = new Map(
    recordedMessages
      .map((message) => innerOf(message))
      .map((inner) => ['result' in inner ? inner._msg_id : null, inner]),
  );
  return recordedMessages.flatMap((message) => {
    const inner = innerOf(message);
    const unanswered = inner._msg_id !== undefined && !answers.has(inner._msg_id);
    if (inner.method !== method || unanswered) return [];
    return {
      topic: message.routing_keys[0]!,
      args: inner.args as Readonly<Record<string, unknown>>,
      version: String(inner.version),
      result: answers.get(inner._msg_id)?.result,
    };
  });
}

/** A server that answers as it is told, and remembers what it was asked. */
export class FakeServer implements RpcCaller {
  readonly asked: (CallRequest | CastRequest)[] = [];
  answer: (request: CallRequest) => unknown = () => null;

  async call(request: CallRequest): Promise<unknown> {
    this.asked.push(request);
    return this.answer(request);
  }

  async cast(request: CastRequest): Promise<void> {
    this.asked.push(request);
  }
}

export const failing = (className: string) => () => {
  throw remoteError(JSON.stringify({ class: className, message: className }));
};
