import { describe, expect, test } from 'vitest';
import { parseIni } from '../../../lib/config/parser.ts';

const values = (text: string): string[] =>
  parseIni(text, 'f.conf').assignments.map(({ section, key, value }) => `${section}|${key}|${value}`);
const problems = (text: string): string[] =>
  parseIni(text, 'f.conf').problems.map(({ place, message }) => `${place} ${message}`);

// Expectations of this file were compared with oslo.config 9.0.0.
describe('values', () => {
  test.each([
    ['key = value', '[a]\nk = v', ['a|k|v']],
    ['key: value', '[a]\nk: v', ['a|k|v']],
    ['the first of = and : separates', '[a]\nu = rabbit://h\nv: x=y', ['a|u|rabbit://h', 'a|v|x=y']],
    ['an empty value', '[a]\nk =', ['a|k|']],
    ['spaces around key and value go', '[a]\nk   =   v   ', ['a|k|v']],
    ['one pair of quotes around the whole value goes', '[a]\nk = "x" y"\nl = \'z\'', ['a|k|x" y', 'a|l|z']],
    ['quotes that do not match stay', '[a]\nk = \'x"', ['a|k|\'x"']],
    ['a value that is one quote is empty', '[a]\nk = "', ['a|k|']],
    ['an indented line continues a value', '[a]\nk = 1,\n  2,\n\t3', ['a|k|1,\n2,\n3']],
    ['an indented comment belongs to the value', '[a]\nk = 1\n  # c\n b', ['a|k|1\n# c\nb']],
    ['a blank line ends a value', '[a]\nk = 1\n\nl = 2', ['a|k|1', 'a|l|2']],
    ['text after a value belongs to it', '[a]\nk = v ; not a comment', ['a|k|v ; not a comment']],
    ['comments begin with # or ; in the first column', '# c\n;k = v\n[a]\n#k = w\nk = x', ['a|k|x']],
    ['a repeated key appears as often as it is written', '[a]\nk = 1\nk = 2', ['a|k|1', 'a|k|2']],
    ['a section may come back', '[a]\nk = 1\n[b]\n[a]\nl = 2', ['a|k|1', 'a|l|2']],
    ['spaces in section names stay', '[ a ]\nk = 1', [' a |k|1']],
    ['CRLF', '[a]\r\nk = v\r\n  w\r\n', ['a|k|v\nw']],
    ['a byte order mark is skipped', '\uFEFF[a]\nk = v', ['a|k|v']],
    ['no newline at the end', '[a]\nk = v', ['a|k|v']],
    ['an empty file', '', []],
  ])('%s', (_title, text, expected) => {
    expect(values(text)).toEqual(expected);
    expect(problems(text)).toEqual([]);
  });

  test('each value knows the line of its key', () => {
    const { assignments } = parseIni('# c\n[a]\nk = 1\n  2\n\nl = 3\n', 'f.conf');
    expect(assignments.map(({ key, line }) => [key, line])).toEqual([
      ['k', 3],
      ['l', 6],
    ]);
  });
});

describe('mistakes', () => {
  test.each([
    ['an option before any section', 'k = v', 'f.conf:1 option k stands before any section'],
    ['a line without = and :', '[a]\nnonsense', 'f.conf:2 there is no = or : in this line'],
    ['no key', '[a]\n= v', 'f.conf:2 there is no option name before the = or :'],
    ['an open section', '[a\nk = v', 'f.conf:1 section "[a" must end with ]'],
    ['a comment behind a section', '[a] # c', 'f.conf:1 section "[a] # c" must end with ]'],
    ['an empty section', '[]', 'f.conf:1 the name of the section is empty'],
    ['a continuation of nothing', '[a]\n  v', 'f.conf:2 an indented line continues a value'],
    ['a continuation of a comment', '[a]\nk = 1\n# c\n b', 'f.conf:4 an indented line continues a value'],
  ])('%s', (_title, text, expected) => {
    expect(problems(text)[0]).toContain(expected);
  });

  test('are all named at once, and what is good is read', () => {
    const text = '[a]\nnonsense\n  more of it\nk = v\n[b\nl = w\n';
    expect(problems(text).map((line) => line.split(' ')[0])).toEqual(['f.conf:2', 'f.conf:5']);
    expect(values(text)).toEqual(['a|k|v', 'a|l|w']);
  });

  test('do not show a line that may be half a password', () => {
    expect(problems('[a]\nhunter2').join()).not.toContain('hunter2');
  });
});
