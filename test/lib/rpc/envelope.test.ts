import { deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decompressed } from '../../../lib/rpc/compression.ts';
import { EnvelopeError, replyOf, requestOf, unwrap, wrap } from '../../../lib/rpc/envelope.ts';

const body = (value: unknown) => Buffer.from(JSON.stringify(value));

describe('unwrap', () => {
  test('gives back what wrap was given', () => {
    expect(unwrap(wrap({ method: 'é', args: { a: [1, null] } }))).toEqual({
      method: 'é',
      args: { a: [1, null] },
    });
  });

  test('takes a body without envelope as the inner message', () => {
    expect(unwrap(body({ method: 'm' }))).toEqual({ method: 'm' });
  });

  test.each([
    [Buffer.from('{"oslo.ver'), 'the body is not JSON'],
    [Buffer.from(''), 'the body is not JSON'],
    [body([1]), 'the body is not a JSON object'],
    [body({ 'oslo.version': '2.0', 'oslo.message': '{' }), 'oslo.message is not JSON'],
    [body({ 'oslo.version': '2.0', 'oslo.message': 5 }), 'envelope: oslo.message'],
    [
      body({ 'oslo.version': '3.0', 'oslo.message': '{}' }),
      'oslo.version "3.0" is not understood: expected 2.0',
    ],
    [body({ 'oslo.version': '2.1', 'oslo.message': '{}' }), 'oslo.version "2.1" is not understood'],
  ])('refuses %s', (bytes, message) => {
    expect(() => unwrap(bytes)).toThrow(EnvelopeError);
    expect(() => unwrap(bytes)).toThrow(message);
  });
});

describe('requestOf', () => {
  test('a message without version and namespace is version 1.0 in no namespace, and a cast', () => {
    expect(requestOf({ method: 'm', namespace: null })).toEqual({
      ...{
        method: 'm',
        args: {},
        version: '1.0',
        namespace: null,
        uniqueId: null,
        replyTo: null,
        monitor: null,
      },
      context: {},
    });
  });

  test('keys of the context lose their prefix; unknown keys are ignored', () => {
    expect(requestOf({ method: 'm', _context_is_admin: true, more: 1 }).context).toEqual({ is_admin: true });
  });

  test.each([
    [{ args: {} }, 'method'],
    [{ method: 7 }, 'method'],
    [{ method: 'm', args: [] }, 'args'],
    [{ method: 'm', version: 'new' }, 'version: "new" is not a version such as 1.0'],
    [{ method: 'm', _msg_id: 'a' }, '_msg_id without _reply_q'],
  ])('refuses %j', (inner, message) => {
    expect(() => requestOf(inner)).toThrow(EnvelopeError);
    expect(() => requestOf(inner)).toThrow(message);
  });
});

test('an answer without result is null; one that does not say that it ends, goes on', () => {
  expect(replyOf({ _msg_id: 'a' })).toEqual({
    msgId: 'a',
    result: null,
    failure: null,
    ending: false,
    uniqueId: null,
  });
  expect(() => replyOf({ result: 1 })).toThrow('_msg_id');
});

describe('decompressed', () => {
  test.each([
    ['zlib, which kombu calls gzip', deflateSync(Buffer.from('text'))],
    ['gzip', gzipSync(Buffer.from('text'))],
  ])('reads %s', (_, bytes) => {
    expect(decompressed(bytes, { compression: 'application/x-gzip' }).toString()).toBe('text');
  });

  test('leaves a plain body alone', () => {
    expect(decompressed(Buffer.from('x'), {}).toString()).toBe('x');
    expect(decompressed(Buffer.from('x'), undefined).toString()).toBe('x');
  });

  test('says what to do about a compression it does not know, and about damage', () => {
    expect(() => decompressed(Buffer.from('x'), { compression: 'application/x-bz2' })).toThrow(
      'set kombu_compression',
    );
    expect(() => decompressed(Buffer.from('x'), { compression: 'application/x-gzip' })).toThrow('is damaged');
  });
});
