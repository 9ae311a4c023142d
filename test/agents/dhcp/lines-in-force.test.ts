import { describe, expect, it } from 'vitest';
import type { ConfigLines } from '../../../agents/dhcp/compile/network.ts';
import { LinesInForce } from '../../../agents/dhcp/lines-in-force.ts';
import {
  type Addition,
  decideReload,
  digestOf,
  type InForce,
  MOST_ADDITIONS,
} from '../../../agents/dhcp/reload.ts';

interface Entry {
  readonly mac: number;
  readonly ip: number;
  readonly option?: string;
}

const linesOf = (...entries: readonly Entry[]): ConfigLines => ({
  host: entries.map(
    ({ mac, ip, option }) => `fa:16:3e:00:00:0${mac},h${ip},10.0.0.${ip}${option ? `,set:port-${mac}` : ''}`,
  ),
  names: entries.map(({ ip }) => `10.0.0.${ip}\th${ip}.x h${ip}`),
  opts: [
    'tag:subnet-1,option:router',
    ...entries.flatMap(({ mac, option }) => (option ? [`tag:port-${mac},67,${option}`] : [])),
  ],
});

const A = { mac: 1, ip: 1 };
const B = { mac: 2, ip: 2 };
const C = { mac: 3, ip: 3 };
const TAGGED = { mac: 4, ip: 4, option: 'x' };

const towards = (before: ConfigLines, wanted: ConfigLines) => new LinesInForce(before, []).towards(wanted);

describe('what dnsmasq serves by, kept at hand', () => {
  it('knows that nothing changed', () => {
    expect(towards(linesOf(A, B), linesOf(A, B))).toBe('none');
  });

  it('finds the lines of a new port wherever they stand', () => {
    const lines = { ...linesOf(TAGGED), opts: ['tag:port-4,67,x'] };
    expect(towards(linesOf(A, C), linesOf(A, TAGGED, C))).toEqual({ number: 1, lines });
  });

  it.each([
    ['a removed port', linesOf(A, B), linesOf(A)],
    ['another address', linesOf(A, B), linesOf(A, { mac: 2, ip: 9 })],
    ['another order', linesOf(A, B), linesOf(B, A)],
    ['an address that a line in force has', linesOf(A), linesOf(A, { mac: 9, ip: 1 })],
    ['a MAC that a line in force has', linesOf(A), linesOf(A, { mac: 1, ip: 9 })],
    ['the same line twice', linesOf(A), linesOf(A, B, B)],
  ])('leaves to others: %s', (_what, before, wanted) => {
    expect(towards(before, wanted)).toBeUndefined();
  });

  it('remembers what it was told of', () => {
    const known = new LinesInForce(linesOf(A), []);
    const first = known.towards(linesOf(A, B)) as Addition;
    known.added(first, linesOf(A, B));
    expect(known.towards(linesOf(A, B))).toBe('none');
    expect(known.towards(linesOf(A, B, { mac: 9, ip: 2 }))).toBeUndefined();
    expect(known.towards(linesOf(A, C, B))).toEqual({
      number: 2,
      lines: { host: linesOf(C).host, names: linesOf(C).names, opts: [] },
    });
  });

  it('asks for a signal once there are many additions', () => {
    const additions = Array.from({ length: MOST_ADDITIONS }, (_, i) => ({ number: i + 1, lines: linesOf() }));
    expect(new LinesInForce(linesOf(A), additions).towards(linesOf(A, B))).toBeUndefined();
  });

  it('never decides otherwise than a look at the disk does', () => {
    const random = seeded(7);
    const pick = (): Entry[] =>
      [A, B, C, TAGGED, { mac: 5, ip: 2 }, { mac: 1, ip: 6 }].filter(() => random() < 0.5);
    let decided = 0;
    for (let round = 0; round < 500; round++) {
      const before = linesOf(...pick());
      const onDisk: InForce = { lines: before, digest: digestOf(before), additions: [] };
      const known = new LinesInForce(before, []);
      for (const wanted of [linesOf(...pick()), linesOf(...pick())]) {
        const quick = known.towards(wanted);
        if (quick === undefined) continue;
        decided += 1;
        const slow = decideReload(onDisk, wanted, true);
        expect(quick === 'none' ? { action: 'none' } : { action: 'add', addition: quick }).toEqual(slow);
      }
    }
    expect(decided).toBeGreaterThan(50);
  });
});

/** A repeatable source of chance (Lehmer's generator). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
