import { expect, test } from 'vitest';
import { besides, removalText, type XtTable } from '../../../lib/kernel/xtables.ts';

const ownership = {
  isOwn: (name: string) => name.startsWith('own-'),
  isShared: (name: string) => name === 'shared',
};
const chain = (name: string, more: Partial<XtTable['chains'][number]> = {}) => ({
  family: 'ip' as const,
  table: 'nat',
  name,
  base: name === name.toUpperCase(),
  accepts: true,
  ...more,
});
const rule = (where: string, handle: number, target?: string) => ({
  table: 'nat',
  chain: where,
  handle: BigInt(handle),
  ...(target === undefined ? {} : { target }),
});
const table = (more: Partial<XtTable>): XtTable => ({
  family: 'ip',
  name: 'nat',
  chains: [chain('POSTROUTING'), chain('own-a'), chain('shared')],
  rules: [
    rule('POSTROUTING', 4, 'own-a'),
    rule('POSTROUTING', 5, 'shared'),
    rule('shared', 6, 'own-a'),
    rule('own-a', 7),
  ],
  hasSets: false,
  ...more,
});
const own = ['flush chain ip nat own-a', 'delete chain ip nat own-a'];

test('a table of which nothing else is left goes whole', () => {
  expect(removalText(table({}), ownership)).toEqual(['delete table ip nat']);
});

test('a table without own chains is left alone', () => {
  const foreign = table({ chains: [chain('POSTROUTING'), chain('shared')], rules: [] });
  expect(removalText(foreign, ownership)).toEqual([]);
});

test('beside a rule of somebody else only jumps and own chains go, with a shared chain that is empty then', () => {
  const { rules } = table({});
  expect(removalText(table({ rules: [...rules, rule('POSTROUTING', 9)] }), ownership)).toEqual([
    'delete rule ip nat POSTROUTING handle 4',
    'delete rule ip nat POSTROUTING handle 5',
    'flush chain ip nat own-a',
    'flush chain ip nat shared',
    'delete chain ip nat own-a',
    'delete chain ip nat shared',
  ]);
});

test('a shared chain that leads to somebody else stays, and is led to', () => {
  const { rules, chains } = table({});
  const metering = table({
    chains: [...chains, chain('metering')],
    rules: [...rules, rule('shared', 8, 'metering')],
  });
  expect(removalText(metering, ownership)).toEqual([
    'delete rule ip nat POSTROUTING handle 4',
    'delete rule ip nat shared handle 6',
    ...own,
  ]);
});

test.each([
  ['a chain of its own', table({ chains: [...table({}).chains, chain('theirs')] })],
  [
    'a policy',
    table({ chains: [chain('POSTROUTING', { accepts: false }), chain('own-a'), chain('shared')] }),
  ],
  ['a set', table({ hasSets: true })],
])('%s that somebody else put there keeps the table', (_what, kept) => {
  expect(removalText(kept, ownership)).not.toContain('delete table ip nat');
  expect(removalText(kept, ownership)).toEqual(expect.arrayContaining(own));
});

test('rules are added beside a shared chain of others: it is neither emptied nor led to twice', () => {
  const rules = [
    '*filter',
    ':shared - [0:0]',
    ':own-a - [0:0]',
    '-A FORWARD -j shared',
    '-A FORWARD -j own-a',
    '-A shared -j own-a',
    'COMMIT',
    '*nat',
    ':shared - [0:0]',
    '-A OUTPUT -j shared',
    'COMMIT',
    '',
  ].join('\n');
  expect(besides(rules, () => false)).toBe(rules);
  expect(besides(rules, (table, name) => table === 'filter' && name === 'shared').split('\n')).toEqual([
    '*filter',
    ':own-a - [0:0]',
    '-A FORWARD -j own-a',
    '-A shared -j own-a',
    'COMMIT',
    '*nat',
    ':shared - [0:0]',
    '-A OUTPUT -j shared',
    'COMMIT',
    '',
  ]);
});
