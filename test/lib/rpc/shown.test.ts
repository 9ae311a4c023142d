import { expect, it } from 'vitest';
import { shown } from '../../../lib/rpc/shown.ts';

it.each([
  ['a text', '"a text"'],
  [undefined, 'nothing'],
  [null, 'null'],
  [{ a: [1] }, '{"a":[1]}'],
])('%j is shown as JSON', (value, text) => {
  expect(shown(value)).toBe(text);
});

it('what is long is cut, and what is deep is not followed', () => {
  expect(shown('x'.repeat(1_000_000))).toHaveLength(80);
  expect(shown(Array(1000).fill(1))).toHaveLength(80);
  expect(shown(JSON.parse('['.repeat(1_000_000) + ']'.repeat(1_000_000)))).toMatch(/nested too deep/);
});
