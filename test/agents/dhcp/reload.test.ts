import { describe, expect, it } from 'vitest';
import type { ConfigLines } from '../../../agents/dhcp/compile/network.ts';
import {
  type Addition,
  type Decision,
  decideReload,
  digestOf,
  type InForce,
} from '../../../agents/dhcp/reload.ts';

interface Entry {
  readonly mac: number;
  readonly ip: number;
  readonly option?: string;
}

const hex = (number: number): string => number.toString(16).padStart(2, '0');

function linesOf(...entries: readonly Entry[]): ConfigLines {
  return {
    host: entries.map(
      ({ mac, ip, option }) =>
        `fa:16:3e:00:00:${hex(mac)},h${ip},10.0.0.${ip}${option ? `,set:port-${mac}` : ''}`,
    ),
    names: entries.map(({ ip }) => `10.0.0.${ip}\th${ip}.x h${ip}`),
    opts: [
      'tag:subnet-1,option:router',
      ...entries.flatMap(({ mac, option }) => (option ? [`tag:port-${mac},67,${option}`] : [])),
    ],
  };
}

const A = { mac: 1, ip: 1 };
const B = { mac: 2, ip: 2 };
const C = { mac: 3, ip: 3 };
const TAGGED = { mac: 4, ip: 4, option: 'x' };

const started = (lines: ConfigLines): InForce => ({ lines, digest: digestOf(lines), additions: [] });

/** What the agent leaves on disk once it has done as decided. */
function onceDone(before: InForce, wanted: ConfigLines, decision: Decision): InForce {
  if (decision.action === 'none') return { ...before, lines: wanted };
  if (decision.action !== 'add') return started(wanted);
  return { lines: wanted, digest: before.digest, additions: [...before.additions, decision.addition] };
}

const decide = (before: InForce, wanted: ConfigLines) => decideReload(before, wanted, true);
const actionOf = (before: ConfigLines, wanted: ConfigLines): string => decide(started(before), wanted).action;

describe('how dnsmasq learns of a change', () => {
  it('nothing changed: not at all', () => {
    expect(actionOf(linesOf(A, B), linesOf(A, B))).toBe('none');
  });

  it('a new port, wherever in the file: by its lines in the watched directories', () => {
    const decision = decide(started(linesOf(A, C)), linesOf(A, TAGGED, C));
    expect(decision).toEqual({
      action: 'add',
      addition: {
        number: 1,
        lines: { ...linesOf(TAGGED), opts: ['tag:port-4,67,x'] },
      },
    });
  });

  it.each([
    ['a removed port', linesOf(A, B), linesOf(A)],
    ['a port with another address', linesOf(A, B), linesOf(A, { mac: 2, ip: 9 })],
    ['an address of another port', linesOf(A, B), linesOf(A, { mac: 9, ip: 2 })],
    ['one port removed and one added', linesOf(A, B), linesOf(A, C)],
    ['a second address of a port', linesOf(A), linesOf(A, { mac: 1, ip: 9 })],
    ['a second port with an address', linesOf(A), linesOf(A, { mac: 9, ip: 1 })],
    [
      'another option of the subnet',
      linesOf(A),
      { ...linesOf(A), opts: ['tag:subnet-1,option:router,10.0.0.1'] },
    ],
    [
      'one more option of the subnet',
      linesOf(A),
      { ...linesOf(A), opts: [...linesOf(A).opts, 'tag:subnet-1,67,x'] },
    ],
    ['another order', linesOf(A, B), linesOf(B, A)],
    ['another name', linesOf(A), { ...linesOf(A), names: ['10.0.0.1\tweb.x web'] }],
  ])('%s: by a signal', (_what, before, wanted) => {
    expect(actionOf(before, wanted)).toBe('signal');
  });

  it('a signal becomes a new start while a line with set: is in force', () => {
    expect(actionOf(linesOf(A, TAGGED), linesOf(TAGGED))).toBe('restart');
    expect(actionOf(linesOf(A, TAGGED), linesOf(A))).toBe('restart');
    expect(actionOf(linesOf(A, B), linesOf(A, TAGGED))).toBe('signal');
    const first = started(linesOf(A));
    const added = onceDone(first, linesOf(A, TAGGED), decide(first, linesOf(A, TAGGED)));
    expect(decide({ ...added, lines: linesOf(A) }, linesOf(A)).action).toBe('restart');
  });

  it('additions gather, and count as told', () => {
    let state = started(linesOf(A));
    for (const wanted of [linesOf(A, B), linesOf(C, A, B), linesOf(C, A, B, TAGGED)]) {
      const decision = decide(state, wanted);
      expect(decision.action).toBe('add');
      state = onceDone(state, wanted, decision);
      expect(decide(state, wanted).action).toBe('none');
    }
    expect(state.additions.map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(decide(state, linesOf(A, B, TAGGED)).action).toBe('restart');
  });

  it('too many additions are tidied up by a signal', () => {
    const ports = Array.from({ length: 201 }, (_, i) => ({ mac: i, ip: i }));
    let state = started(linesOf());
    const actions = ports.map((_, i) => {
      const wanted = linesOf(...ports.slice(0, i + 1));
      const decision = decide(state, wanted);
      state = onceDone(state, wanted, decision);
      return decision.action;
    });
    expect(actions.slice(0, 200).every((action) => action === 'add')).toBe(true);
    expect(actions[200]).toBe('signal');
  });

  it('a dnsmasq that watches nothing (Neutron started it) gets a signal for a new port', () => {
    expect(decideReload(started(linesOf(A)), linesOf(A, B), false).action).toBe('signal');
    expect(decideReload(started(linesOf(A)), linesOf(A), false).action).toBe('none');
  });
});

describe('after a crash', () => {
  const before = started(linesOf(A));
  const wanted = linesOf(A, B);
  const addition: Addition = { number: 1, lines: { ...linesOf(B), opts: [] } };

  it('between the addition and the files: nothing more is to be told', () => {
    expect(decide({ ...before, additions: [addition] }, wanted).action).toBe('none');
  });

  it('in the middle of an addition: dnsmasq is signalled or told the rest', () => {
    const half: Addition = { number: 1, lines: { host: [], names: addition.lines.names, opts: [] } };
    const decision = decide({ ...before, additions: [half] }, wanted);
    expect(decision).toMatchObject({ action: 'add', addition: { lines: { host: addition.lines.host } } });
  });

  it('files written and dnsmasq not told: a signal', () => {
    expect(decide({ ...before, lines: wanted }, wanted).action).toBe('signal');
  });

  it('on the way to a signal, when nobody knows what is in force: a signal', () => {
    expect(decide({ ...before, digest: undefined, lines: wanted }, wanted).action).toBe('signal');
  });

  it('with an addition that is not wanted any more: a signal', () => {
    expect(decide({ ...before, additions: [addition] }, linesOf(A)).action).toBe('signal');
  });
});
