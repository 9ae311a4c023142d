import { describe, expect, test } from 'vitest';
import { concerning } from '../../../agents/cli/concerning.ts';
import type { OwnerState } from '../../../agents/cli/render/state.ts';
import { describeThing, matches } from '../../../agents/cli/resolve.ts';
import { subjectOf } from '../../../agents/cli/subject.ts';
import { thingsOf } from '../../../agents/cli/things.ts';
import { describeRow } from '../../../lib/namespace/describe.ts';
import { recordedPair } from './deployment-fixture.ts';

const recorded = recordedPair();
const things = thingsOf(recorded);
const all = things.map((thing) => ({ thing }));
const found = (asked: string): string[] =>
  matches(all, asked).map(({ thing }) => `${thing.kind} of ${thing.holderName}`);
const the = (asked: string) => matches(all, asked)[0]!.thing;

describe('an identifier', () => {
  test('may be the name of a router, network or instance', () => {
    expect(['r-red', 'red', 'a'].map(found)).toEqual([
      ['router of r-red'],
      ['network of red'],
      ['instance of a'],
    ]);
  });

  test('may be an id, or the start of one that no other has', () => {
    const { id } = the('r-red');
    expect([found(id), found(id.slice(0, 8))]).toEqual([['router of r-red'], ['router of r-red']]);
    expect(found(id.slice(0, 3))).toEqual([]);
  });

  test('may be a floating IP, a MAC in any spelling, a tap, a bridge or a namespace', () => {
    const port = things.find(({ kind, holderName }) => kind === 'port' && holderName === 'a')!;
    expect(found('203.0.113.50')).toEqual(['floating-ip of r-red']);
    expect(found(port.mac!.toUpperCase().replaceAll(':', '-'))).toEqual(['port of a']);
    expect(found(`tap${port.id.slice(0, 11)}`)).toEqual(['port of a']);
    expect(found(`brq${the('red').id.slice(0, 11)}`)).toEqual(['network of red']);
    expect(found(`qrouter-${the('r-blue').id}`)).toEqual(['router of r-blue']);
  });

  test('that two tenants use is both', () => {
    expect(found('10.0.0.5')).toEqual(expect.arrayContaining(['port of a', 'port of b']));
    expect(found('10.0.0.5')).toHaveLength(2);
  });

  test('of nothing is nothing', () => {
    expect([found('10.0.0.77'), found('r-green'), found('')]).toEqual([[], [], []]);
  });
});

test('a thing is described so that it can be told from others', () => {
  expect(describeThing(the('203.0.113.50'))).toMatch(
    /^floating IP [0-9a-f-]{36} 203\.0\.113\.50 → 10\.0\.0\.5 of router r-red$/,
  );
});

describe('what concerns a thing', () => {
  const states = recorded.map(
    (one): OwnerState => ({
      ...subjectOf(one),
      rows: one.groups.flat().map((desired) => ({ state: 'ok', desired })),
    }),
  );
  const lines = (asked: string): string[] =>
    concerning(states, the(asked), things).flatMap(({ name, rows }) =>
      rows.map((row) => `${name}: ${row.state === 'extra' ? '' : describeRow(row.desired)}`),
    );

  test('is all of a router', () => {
    const whole = recorded.find(({ owner }) => owner === the('r-red').id)!.groups.flat().length;
    expect(lines('r-red')).toHaveLength(whole);
  });

  test('of a floating IP is its address and its translations, in its own router only', () => {
    const found = lines('203.0.113.50').filter((line) => line.startsWith('r-'));
    expect(found.every((line) => line.startsWith('r-red: '))).toBe(true);
    expect(found.join('\n')).toContain('address 203.0.113.50/32');
    expect(found.join('\n')).toContain('fip_dnat element 203.0.113.50 → 10.0.0.5');
    expect(found).toHaveLength(3);
  });

  test('of a port are its devices in the instance and its address in the router of its network', () => {
    const port = things.find(({ kind, holderName }) => kind === 'port' && holderName === 'b')!;
    const found = lines(port.id).join('\n');
    expect(found).toContain('b: link eth0');
    expect(found).toContain('r-blue: nftables inet viaduct fip_snat element 10.0.0.5');
    expect(found).not.toContain('r-red');
  });
});
