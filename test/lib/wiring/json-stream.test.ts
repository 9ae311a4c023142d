import { describe, expect, it } from 'vitest';
import { JsonStream } from '../../../lib/wiring/json-stream.ts';

const values = [
  { method: 'echo', params: [], id: 'echo' },
  [1, [2, { three: '}]{["\\' }]],
  { text: 'quote \\" and "bracket } in ü and \u{1f600}', empty: {} },
];
const bytes = Buffer.from(` ${values.map((value) => JSON.stringify(value)).join('')}\n`);

describe('JSON texts in a stream', () => {
  it.each([1, 2, 3, 7, 64, 4096])('come out whole from pieces of %i bytes', (size) => {
    const stream = new JsonStream();
    const found: unknown[] = [];
    for (let i = 0; i < bytes.length; i += size) found.push(...stream.push(bytes.subarray(i, i + size)));
    expect(found).toEqual(values);
  });

  it('may be long and come in many pieces', () => {
    const long = { rows: Array.from({ length: 20_000 }, (_, i) => ({ name: `tap${i}` })) };
    const text = Buffer.from(JSON.stringify(long));
    const stream = new JsonStream();
    const found: unknown[] = [];
    for (let i = 0; i < text.length; i += 100) found.push(...stream.push(text.subarray(i, i + 100)));
    expect(found).toEqual([long]);
  });

  it.each(['HTTP/1.1 400 Bad Request\r\n', '"text"', '42', ']', '{"a":}', '{"a":1]'])(
    'do not begin as %j',
    (text) => {
      expect(() => new JsonStream().push(Buffer.from(text))).toThrow(SyntaxError);
    },
  );
});
