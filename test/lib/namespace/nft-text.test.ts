import { describe, expect, test } from 'vitest';
import { deleteTableText, elementsText, ruleMark, tableText } from '../../../lib/namespace/nft-text.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-1';
const table = (part: Partial<rows.NftTableRow> = {}) =>
  rows.nftTable({ ns, family: 'inet', name: 'viaduct', chains: [], sets: [], ...part });
const element = (part: Partial<rows.NftElementRow>) =>
  rows.nftElement({ ns, family: 'inet', table: 'viaduct', set: 'm', element: '10.0.0.1', ...part });

describe('a table', () => {
  const whole = table({
    sets: [
      { name: 'fips', type: 'ipv4_addr : ipv4_addr' },
      { name: 'nets', type: 'ipv4_addr', flags: ['interval', 'constant'] },
    ],
    chains: [
      {
        name: 'post',
        hook: { type: 'nat', hook: 'postrouting', priority: 100 },
        rules: ['oifname "qg-1" accept', 'drop'],
      },
      { name: 'plain', rules: [] },
    ],
  });

  test('becomes sets, chains and rules, each rule with its mark', () => {
    expect(tableText(whole, true)).toBe(
      [
        'table inet viaduct {',
        '\tmap fips { type ipv4_addr : ipv4_addr; }',
        '\tset nets { type ipv4_addr; flags interval,constant; }',
        '\tchain post {',
        '\t\ttype nat hook postrouting priority 100; policy accept;',
        `\t\toifname "qg-1" accept comment "${ruleMark('oifname "qg-1" accept')}"`,
        `\t\tdrop comment "${ruleMark('drop')}"`,
        '\t}',
        '\tchain plain {',
        '\t}',
        '}',
      ].join('\n'),
    );
  });

  test('that is there already is deleted in the same transaction', () => {
    expect(tableText(whole, false)).toBe(`delete table inet viaduct\n${tableText(whole, true)}`);
    expect(deleteTableText(whole)).toBe('delete table inet viaduct');
  });
});

describe('a mark', () => {
  test('depends on the text of the rule and nothing else', () => {
    expect(ruleMark('accept')).toBe(ruleMark('accept'));
    expect(ruleMark('accept')).not.toBe(ruleMark('drop'));
    expect(ruleMark('accept')).toMatch(/^#[0-9a-f]{8}$/);
  });

  test('differs for rules that differ in one place', () => {
    const rules = Array.from(
      { length: 20_000 },
      (_, i) => `snat ip to 10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
    );
    expect(new Set(rules.map(ruleMark)).size).toBe(rules.length);
    expect(ruleMark('tcp dport 80 drop')).not.toBe(ruleMark('udp dport 80 drop'));
    expect(ruleMark('')).toMatch(/^#[0-9a-f]{8}$/);
  });

  test('never changes: a later version must know the rules of an earlier one', () => {
    expect(['accept', 'dnat ip to ip daddr map @fip_dnat'].map(ruleMark)).toMatchInlineSnapshot(`
      [
        "#3885cba4",
        "#6ecb1692",
      ]
    `);
  });

  test('stays the same when very many were asked for', () => {
    const before = ruleMark('accept');
    for (let i = 0; i < 60_000; i++) ruleMark(`tcp dport ${i} accept`);
    expect(ruleMark('accept')).toBe(before);
  });
});

describe('elements', () => {
  test('go in with one command for each set', () => {
    const list = [
      element({ value: '10.1.0.1' }),
      element({ element: '10.0.0.2', value: '10.1.0.2' }),
      element({ set: 'n', element: '2001:db8::1' }),
      element({ set: 'n', element: '10.0.0.0/24' }),
    ];
    expect(elementsText('add', list)).toBe(
      'add element inet viaduct m { 10.0.0.1 : 10.1.0.1, 10.0.0.2 : 10.1.0.2 }\n' +
        'add element inet viaduct n { 2001:db8::1, 10.0.0.0/24 }',
    );
    expect(elementsText('delete', list.slice(0, 1))).toBe(
      'delete element inet viaduct m { 10.0.0.1 : 10.1.0.1 }',
    );
  });
});

describe('a ruleset can not be smuggled in', () => {
  const chain = (rule: string) => table({ chains: [{ name: 'c', rules: [rule] }] });

  test.each(['accept; drop', 'accept\n\t}\n}\ntable ip evil {', 'accept }', '{ drop'])(
    'as a rule: %j',
    (rule) => {
      expect(() => tableText(chain(rule), true)).toThrow(/more than one rule/);
    },
  );

  test.each([
    'accept comment "mine"',
    'accept # the rest is a comment',
    'oifname "a\\" accept',
    'oifname "open accept',
  ])('as a rule that swallows its mark: %j', (rule) => {
    expect(() => tableText(chain(rule), true)).toThrow(/rule/);
  });

  test.each(['viaduct { }', 'a b', '', '1st', 'x;'])('as a name: %j', (name) => {
    expect(() => tableText(table({ name }), true)).toThrow(/not a valid nftables table name/);
    expect(() => deleteTableText(table({ name }))).toThrow(/not a valid nftables table name/);
    expect(() => tableText(table({ chains: [{ name, rules: [] }] }), true)).toThrow(/chain name/);
    expect(() => tableText(table({ sets: [{ name, type: 'ipv4_addr' }] }), true)).toThrow(/set name/);
    expect(() => elementsText('add', [element({ set: name })])).toThrow(/set name/);
    expect(() => elementsText('add', [element({ table: name })])).toThrow(/table name/);
  });

  test.each(['ipv4_addr; } chain x { drop', 'ipv4_addr\n', ''])('as a type of a set: %j', (type) => {
    expect(() => tableText(table({ sets: [{ name: 's', type }] }), true)).toThrow(/set type/);
  });

  test.each(['10.0.0.1 }; drop', '10.0.0.1, 10.0.0.2', 'a"b', '', '0.0.0.0/0 : 1'])(
    'as an element: %j',
    (text) => {
      expect(() => elementsText('add', [element({ element: text })])).toThrow(/element/);
      expect(() => elementsText('add', [element({ value: text })])).toThrow(/element/);
    },
  );
});
