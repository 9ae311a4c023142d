import { describe, expect, test } from 'vitest';
import { agentContext } from '../../../lib/rpc/context.ts';
import { replyOf, requestOf, unwrap, wrap } from '../../../lib/rpc/envelope.ts';
import { type Outgoing, PROPERTIES, toCaller, toEveryone, toTopic } from '../../../lib/rpc/message.ts';
import { rpcOptions } from '../../../lib/rpc/options.ts';
import { innerOf, type RecordedMessage, recordedMessages } from './recording.ts';

const options = rpcOptions();
const isRequest = (message: RecordedMessage) => 'method' in innerOf(message);
const requests = recordedMessages.filter(isRequest);
const replies = recordedMessages.filter((message) => !isRequest(message));
const context = agentContext(
  new Date('2026-11-21T04:45:55.042Z'),
  'req-d5f2375e-2f3f-446b-9bf1-1b7617c87ba9',
);

/** Properties as the firehose names them. */
const asRecorded = ({ expiration }: Outgoing) => ({
  content_type: PROPERTIES.contentType,
  content_encoding: PROPERTIES.contentEncoding,
  delivery_mode: PROPERTIES.deliveryMode,
  priority: PROPERTIES.priority,
  headers: {},
  ...(expiration !== null && { expiration: String(expiration) }),
});

function withoutContext(inner: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(inner).filter(([key]) => !key.startsWith('_context_')));
}

test('the recording has calls, casts, fanouts, answers and a failure', () => {
  expect(requests.length).toBeGreaterThan(40);
  expect(replies.length).toBeGreaterThan(25);
});

describe('every recorded request', () => {
  test.each(requests.map((message) => [String(innerOf(message).method), message] as const))(
    '%s is published again as it was',
    (_, message) => {
      const inner = unwrap(Buffer.from(message.payload));
      const request = requestOf(inner);
      const key = message.routing_keys[0]!;
      const seconds =
        message.properties.expiration === undefined ? null : Number(message.properties.expiration) / 1000;
      const again = message.exchange.endsWith('_fanout')
        ? toEveryone(options, message.exchange.slice(0, -'_fanout'.length), request)
        : toTopic(options, target(key), request, seconds);
      expect(again.exchange?.name).toBe(message.exchange);
      expect(again.routingKey).toBe(key);
      expect(asRecorded(again)).toEqual(message.properties);
      expect(unwrap(wrap(again.inner))).toEqual(innerOf(message));
    },
  );

  test.each(requests.map((message) => [String(innerOf(message).method), message] as const))(
    '%s: ours has the same keys, and every context key of the recorded one',
    (_, message) => {
      const recorded = innerOf(message);
      const request = requestOf(recorded);
      const ours = toTopic(options, { topic: 'q-plugin' }, { ...request, context }, null).inner;
      expect(Object.keys(withoutContext(ours)).sort()).toEqual(Object.keys(withoutContext(recorded)).sort());
      expect(Object.keys(ours)).toEqual(expect.arrayContaining(Object.keys(recorded)));
    },
  );
});

describe('every recorded answer', () => {
  test.each(replies.map((message, index) => [index, message] as const))(
    '%i is published again as it was',
    (_, message) => {
      const reply = replyOf(unwrap(Buffer.from(message.payload)));
      const again = toCaller(message.routing_keys[0]!, reply);
      expect(message.exchange).toBe('');
      expect(again.exchange).toBeNull();
      expect(again.mandatory).toBe(true);
      expect(asRecorded(again)).toEqual(message.properties);
      expect(unwrap(wrap(again.inner))).toEqual(innerOf(message));
    },
  );
});

test('the context of an agent is that of the recorded ones but for ids, times and the roles', () => {
  const recorded = innerOf(requests.find((message) => innerOf(message).method === 'report_state')!);
  const differing = Object.entries(context).filter(
    ([key, value]) =>
      `_context_${key}` in recorded && JSON.stringify(recorded[`_context_${key}`]) !== JSON.stringify(value),
  );
  expect(differing.map(([key]) => key)).toEqual(['roles', 'timestamp']);
  expect(String(context.timestamp)).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/);
});

test('a call comes back when nobody listens; a cast does not, as oslo has it', () => {
  const request = requestOf({ method: 'm' });
  expect(toTopic(options, { topic: 't' }, request, 60).mandatory).toBe(true);
  expect(toTopic(options, { topic: 't' }, request, null).mandatory).toBe(false);
  expect(toEveryone(options, 't', request).mandatory).toBe(false);
});

test('a call expires in the broker when its caller stops to wait', () => {
  const request = requestOf({ method: 'm', _msg_id: 'a', _reply_q: 'q' });
  expect(toTopic(options, { topic: 't', server: 'h' }, request, 1.5)).toMatchObject({
    routingKey: 't.h',
    expiration: 1500,
  });
});

/** Topics have no dots but those of versions. */
function target(key: string): { topic: string; server?: string } {
  const match = /^(.*?)\.([a-z]+-\d+)$/.exec(key);
  return match ? { topic: match[1]!, server: match[2]! } : { topic: key };
}
