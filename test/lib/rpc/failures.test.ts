import { describe, expect, test } from 'vitest';
import { type Endpoint, handlerFor } from '../../../lib/rpc/dispatch.ts';
import {
  DispatchError,
  failureText,
  isRemote,
  isTransient,
  MessagingTimeout,
  RemoteError,
  remoteError,
} from '../../../lib/rpc/failures.ts';
import { innerOf, recordedMessages } from './recording.ts';

const recorded = recordedMessages
  .map((message) => innerOf(message).failure)
  .find((text) => typeof text === 'string');
const nothing = () => null;

describe('remoteError', () => {
  test('reads the recorded failure: class, message and traceback', () => {
    const error = remoteError(String(recorded), 'get_external_network_id');
    expect(error).toBeInstanceOf(RemoteError);
    expect(error.className).toBe('NoSuchMethod');
    expect(error.message).toBe(
      'get_external_network_id: NoSuchMethod: Endpoint does not support RPC method get_external_network_id',
    );
    expect(error.traceback.length).toBeGreaterThan(0);
    expect(isRemote(error, 'UnsupportedVersion', 'NoSuchMethod')).toBe(true);
    expect(isRemote(error, 'NetworkNotFound')).toBe(false);
  });

  test('keeps a text that is no failure as the message', () => {
    expect(remoteError('gone wrong')).toMatchObject({ className: 'Exception', remoteMessage: 'gone wrong' });
    expect(remoteError('{"class": 5, "tb": "x"}').className).toBe('Exception');
  });
});

describe('failureText', () => {
  test('of a method nobody serves equals the server’s but for the traceback', () => {
    const own = failureText(new DispatchError('NoSuchMethod', remoteError(String(recorded)).remoteMessage));
    expect(JSON.parse(own)).toEqual({ ...JSON.parse(String(recorded)), tb: [] });
  });

  test('of anything else is an exception that every Python knows', () => {
    expect(JSON.parse(failureText(new TypeError('no')))).toEqual({
      ...{ class: 'Exception', module: 'builtins', message: 'no', tb: [], args: ['no'], kwargs: {} },
    });
    expect(remoteError(failureText('text')).remoteMessage).toBe('text');
  });
});

test('time-outs and database trouble are worth another attempt; a missing network is not', () => {
  expect(isTransient(new MessagingTimeout('x'))).toBe(true);
  expect(isTransient(remoteError('{"class": "DBDeadlock"}'))).toBe(true);
  expect(isTransient(remoteError('{"class": "NetworkNotFound"}'))).toBe(false);
});

describe('handlerFor', () => {
  const one: Endpoint = { version: '1.4', methods: { a: nothing, both: () => 1 } };
  const two: Endpoint = { version: '1.1', methods: { b: nothing, both: () => 2 } };
  const named: Endpoint = { version: '1.0', namespace: 'n', methods: { c: nothing } };
  const endpoints = [one, two, named];
  const find = (method: string, version: string, namespace: string | null = null) =>
    handlerFor(endpoints, { method, version, namespace });

  test('the first endpoint with version and method serves', () => {
    expect(find('both', '1.0')).toBe(one.methods.both);
    expect(find('b', '1.1')).toBe(two.methods.b);
    expect(find('a', '1.4')).toBe(one.methods.a);
  });

  test('namespaces are kept apart', () => {
    expect(find('c', '1.0', 'n')).toBe(named.methods.c);
    expect(() => find('a', '1.0', 'n')).toThrow('RPC method a');
    expect(() => find('a', '1.0', 'other')).toThrow(
      'Endpoint does not support RPC version 1.0. Attempted method: a',
    );
  });

  test.each([
    ['a', '1.5', 'UnsupportedVersion'],
    ['a', '2.0', 'UnsupportedVersion'],
    ['b', '1.2', 'NoSuchMethod'],
    ['missing', '1.0', 'NoSuchMethod'],
    ['_private', '1.0', 'NoSuchMethod'],
    ['constructor', '1.0', 'NoSuchMethod'],
    ['toString', '1.0', 'NoSuchMethod'],
  ])('%s in version %s is %s', (method, version, className) => {
    expect(() => find(method, version)).toThrow(expect.objectContaining({ className }));
  });
});
