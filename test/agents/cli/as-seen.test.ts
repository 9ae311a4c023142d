import { expect, test } from 'vitest';
import { asSeen } from '../../../agents/cli/as-seen.ts';
import type { ActualNftTable } from '../../../lib/namespace/actual.ts';
import { describeChange } from '../../../lib/namespace/describe-change.ts';
import { ruleMark } from '../../../lib/namespace/nft-text.ts';
import * as rows from '../../../lib/namespace/rows.ts';

const ns = 'qrouter-1';
const hook = { type: 'nat', hook: 'postrouting', priority: 100 } as const;
const [first, second] = ['ct status dnat accept', 'oifname "qg-1" masquerade'];
const wanted = rows.nftTable({
  ns,
  family: 'inet',
  name: 'viaduct',
  chains: [{ name: 'nat', hook, rules: [first, second] }],
  sets: [{ name: 'fip', type: 'ipv4_addr : ipv4_addr' }],
});
const seen = (rules: readonly string[]): ActualNftTable => ({
  kind: 'nft-table',
  key: wanted.key,
  ns,
  family: 'inet',
  name: 'viaduct',
  state: {
    chains: [{ name: 'nat', hook, accepts: true, rules }],
    sets: [{ name: 'fip', keyLength: 4, dataLength: 4 }],
    elements: new Map(),
  },
});
const changes = (rules: readonly string[]) => describeChange(asSeen(seen(rules), wanted), wanted);

test('a rule that is missing is named by its text, though the kernel only has marks', () => {
  expect(changes([ruleMark(second)])).toEqual([`- chain nat: ${first}`]);
});

test('a rule of somebody else is told as such', () => {
  expect(changes([ruleMark(first), ruleMark(second), '', '#01234567'])).toEqual([
    '+ chain nat: a foreign rule',
    '+ chain nat: a rule marked #01234567',
  ]);
});

test('a table with all its rules does not differ', () => {
  expect(asSeen(seen([ruleMark(first), ruleMark(second)]), wanted)).toEqual(wanted);
});

test('the other end of a veth pair, which no reading shows, is no difference', () => {
  const desired = rows.link({ ns, name: 'qr-1', type: 'veth', mtu: 1450, peer: { ns: '', name: 'tap1' } });
  const { peer: _, ...read } = { ...desired, mtu: 1400, addrGenMode: 'eui64' as const };
  expect(describeChange(asSeen(read, desired), desired)).toEqual(['mtu 1400, should be 1450']);
});
