import { describe, expect, it } from 'vitest';
import { share } from '../../../lib/standalone/sharing.ts';

describe('structural sharing', () => {
  const old = {
    id: 'r',
    ports: [
      { id: 'a', ips: ['1'] },
      { id: 'b', ips: ['2'] },
    ],
    note: null,
  };

  it('an equal value is the old object', () => {
    expect(share(old, structuredClone(old))).toBe(old);
  });

  it('what did not change is the old object, whatever changes around it', () => {
    const next = {
      id: 'r',
      ports: [
        { id: 'b', ips: ['2'] },
        { id: 'c', ips: [] },
        { id: 'a', ips: ['1', '3'] },
      ],
      note: null,
    };
    const shared = share(old, next);
    expect(shared).toEqual(next);
    expect(shared.ports[0]).toBe(old.ports[1]);
    expect(shared.ports[2]).not.toBe(old.ports[0]);
  });

  it('removed and added keys are seen', () => {
    expect(share({ a: 1, b: undefined }, { a: 1 })).toEqual({ a: 1 });
    expect(Object.keys(share({ a: 1 }, { a: 1, b: undefined }))).toEqual(['a', 'b']);
    expect(share([1, 2], [1])).toEqual([1]);
    expect(share(undefined, old)).toBe(old);
  });
});
