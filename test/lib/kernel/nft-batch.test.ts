import { describe, expect, test } from 'vitest';
import { messages } from '../../../lib/kernel/netlink.ts';
import { encodeBatch, type NftChange, type NftTablePart } from '../../../lib/kernel/nft-batch.ts';
import { refusalWords } from '../../../lib/kernel/nft-refusal.ts';

const table = (part: Partial<NftTablePart> = {}): NftTablePart => ({
  family: 'inet',
  name: 'viaduct',
  sets: [{ name: 'fips', type: 'ipv4_addr : ipv4_addr' }],
  chains: [{ name: 'c', rules: ['accept', 'tcp dport 80 drop'] }],
  ...part,
});
const element = (element: string, value?: string) => ({
  family: 'inet',
  table: 'viaduct',
  set: 'fips',
  element,
  value,
});
const comment = (rule: string): string => `#${rule.length}`;
const encoded = (...changes: NftChange[]): Buffer | undefined => encodeBatch(changes, comment);
const found = (batch: Buffer | undefined) =>
  [...messages(batch!)].map(({ type, flags }) => ({ type, flags }));

const BEGIN = { type: 16, flags: 0x1 };
const END = { type: 17, flags: 0x1 };
const DELETE_TABLE = { type: 0xa02, flags: 0x1 };
const STRUCTURE = [
  { type: 0xa00, flags: 0x1 },
  { type: 0xa03, flags: 0x401 },
  { type: 0xa09, flags: 0x401 },
  { type: 0xa06, flags: 0xc01 },
  { type: 0xa06, flags: 0xc01 },
];

test('a table that takes the place of another is one transaction: deleted, made, filled', () => {
  expect(found(encoded({ verb: 'replace table', table: table() }))).toEqual([
    BEGIN,
    DELETE_TABLE,
    ...STRUCTURE,
    END,
  ]);
  expect(found(encoded({ verb: 'add table', table: table() }))).toEqual([BEGIN, ...STRUCTURE, END]);
  expect(found(encoded({ verb: 'delete table', table: table() }))).toEqual([BEGIN, DELETE_TABLE, END]);
});

test('elements go in one message for each set and thousand', () => {
  const many = Array.from({ length: 1001 }, (_, i) => element(`10.0.${i >> 8}.${i & 255}`, '10.1.0.1'));
  const other = { ...element('::1'), set: 'other' };
  const add = { type: 0xa0c, flags: 0x401 };
  expect(found(encoded({ verb: 'add elements', elements: [...many, other] }))).toEqual([
    BEGIN,
    add,
    add,
    add,
    END,
  ]);
  expect(found(encoded({ verb: 'delete elements', elements: [other] }))).toEqual([
    BEGIN,
    { type: 0xa0e, flags: 0x1 },
    END,
  ]);
});

test('a batch stays what it is when the next one is made', () => {
  const change: NftChange = { verb: 'add elements', elements: [element('10.0.0.1', '10.0.0.2')] };
  const batch = encoded(change)!;
  const before = Buffer.from(batch);
  encoded({ verb: 'replace table', table: table() });
  expect(batch).toEqual(before);
});

describe('is left to libnftables:', () => {
  test.each<[string, Partial<NftTablePart>]>([
    ['a table of another family', { family: 'ip' }],
    ['a name that is none', { name: 'a b' }],
    ['a chain name that is none', { chains: [{ name: 'c {', rules: [] }] }],
    ['a set name that is none', { sets: [{ name: '', type: 'ipv4_addr' }] }],
    ['a set of something else', { sets: [{ name: 's', type: 'inet_service' }] }],
    ['a map to something else', { sets: [{ name: 's', type: 'ipv4_addr : verdict' }] }],
    ['a map to nothing', { sets: [{ name: 's', type: 'ipv4_addr : ' }] }],
    ['a map of three', { sets: [{ name: 's', type: 'ipv4_addr : ipv4_addr : ipv4_addr' }] }],
    ['a set of intervals', { sets: [{ name: 's', type: 'ipv4_addr', flags: ['interval'] }] }],
    ['a rule not understood', { chains: [{ name: 'c', rules: ['accept', 'accept; drop'] }] }],
  ])('%s', (_, part) => {
    expect(encoded({ verb: 'add table', table: table(part) })).toBeUndefined();
  });

  test.each(['10.0.0.0/24', '10.0.0.1, 10.0.0.2', '', 'fd00::g', '10.0.0.1-10.0.0.9'])(
    'an element that is no single address: %j',
    (text) => {
      expect(encoded({ verb: 'add elements', elements: [element(text)] })).toBeUndefined();
      expect(encoded({ verb: 'add elements', elements: [element('10.0.0.1', text)] })).toBeUndefined();
    },
  );

  test('an element of a table of another family, or of a name that is none', () => {
    for (const part of [{ family: 'ip' }, { table: 'a;b' }, { set: 'a b' }])
      expect(
        encoded({ verb: 'add elements', elements: [{ ...element('10.0.0.1'), ...part }] }),
      ).toBeUndefined();
  });
});

describe('a refusal', () => {
  const batch = encoded({ verb: 'replace table', table: table() })!;
  const sequences = [...messages(batch)].map(({ sequence }) => sequence);

  test.each([
    [1, 'table inet viaduct: EINVAL'],
    [3, 'table inet viaduct, chain c: EINVAL'],
    [4, 'table inet viaduct, set fips: EINVAL'],
    [6, 'table inet viaduct, chain c, rule "tcp dport 80 drop": EINVAL'],
    [7, 'transaction: EINVAL'],
  ])('of message %i names what it was about', (index, words) => {
    const rules = new Map([['#17', 'tcp dport 80 drop']]);
    const refusal = { sequence: sequences[index]!, errno: 22 };
    expect(refusalWords(batch, refusal, (mark) => rules.get(mark))).toBe(words);
  });

  test('of a rule whose text is not known shows its mark', () => {
    const refusal = { sequence: sequences[5]!, errno: 2, words: 'No such set' };
    expect(refusalWords(batch, refusal)).toBe('table inet viaduct, chain c, rule "#6": No such set (ENOENT)');
  });
});

test('a rule is the same bytes whether it was encoded before or not', () => {
  const rules = (batch: Buffer | undefined): string[] =>
    [...messages(batch!)].filter(({ type }) => type === 0xa06).map(({ payload }) => payload.toString('hex'));
  const lists = [
    ['ip saddr 10.9.9.9 drop', 'tcp dport 99 accept'],
    ['ip saddr 10.9.9.9 drop', 'tcp dport 99 accept'],
    ['tcp dport 99 accept', 'ip saddr 10.9.9.9 drop', 'tcp dport 99 accept'],
    ['ip saddr 10.9.9.8 drop', 'tcp dport 99 accept'],
  ];
  const [first, second, third, fourth] = lists.map((list) =>
    rules(encoded({ verb: 'add table', table: table({ chains: [{ name: 'again', rules: list }] }) })),
  ) as [string[], string[], string[], string[]];
  expect(second).toEqual(first);
  expect(third).toEqual([first[1], first[0], first[1]]);
  expect(fourth[0]).not.toBe(first[0]);
  expect(fourth[1]).toBe(first[1]);
});
