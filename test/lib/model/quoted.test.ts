import { describe, expect, it } from 'vitest';
import { quoted } from '../../../lib/model/quoted.ts';

describe('a value in a message', () => {
  it.each([
    ['a\nb"', '"a\\nb\\""'],
    ['\x1b[2J\x9b2J\x7f', '"\\u001b[2J\\u009b2J\\u007f"'],
    ['\u2028\u2029', '"\\u2028\\u2029"'],
    ['übung', '"übung"'],
    [undefined, 'undefined'],
    [[1, null], '[1,null]'],
  ])('%j is one line that no terminal obeys', (value, shown) => {
    expect(quoted(value)).toBe(shown);
  });
});
