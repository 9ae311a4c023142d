import { describe, expect, it } from 'vitest';
import { stableText } from '../../../../agents/dhcp/compile/memo.ts';

const joined = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('');

describe('the text of lines that was made before', () => {
  const three = ['a', 'bb', 'ccc'];
  const cases: Readonly<Record<string, readonly string[]>> = {
    'the same': ['a', 'bb', 'ccc'],
    'one more at the end': ['a', 'bb', 'ccc', 'd'],
    'one more at the beginning': ['d', 'a', 'bb', 'ccc'],
    'one more in the middle': ['a', 'd', 'bb', 'ccc'],
    'another one in the middle': ['a', 'xx', 'ccc'],
    'the last one gone': ['a', 'bb'],
    'the first one gone': ['bb', 'ccc'],
    'none left': [],
    'one that begins like the former': ['a', 'bbb', 'ccc'],
  };
  for (const [title, lines] of Object.entries(cases))
    it(`is right after a change: ${title}`, () => {
      expect(stableText(title, three)).toBe(joined(three));
      expect(stableText(title, lines)).toBe(joined(lines));
      expect(stableText(title, three)).toBe(joined(three));
    });

  it('of one subject is not that of another', () => {
    expect(stableText('one', three)).toBe(joined(three));
    expect(stableText('two', ['z'])).toBe('z\n');
  });
});
