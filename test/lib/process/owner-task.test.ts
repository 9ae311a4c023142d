import { describe, expect, it } from 'vitest';
import { isOutdated, mergeTasks, type OwnerTask } from '../../../lib/process/owner-task.ts';

const fetch = (at: number): OwnerTask => ({ kind: 'fetch', at });
const related = (at: number): OwnerTask => ({ kind: 'fetch', at, related: true });
const known = (at: number): OwnerTask => ({ kind: 'known', at });
const listed = (at: number): OwnerTask => ({ kind: 'listed', at, payload: {} });
const deleted = (at: number): OwnerTask => ({ kind: 'remove', at, by: 'event' });
const unlisted = (at: number): OwnerTask => ({ kind: 'remove', at, by: 'listing' });

describe('two tasks of one owner', () => {
  it.each([
    ['a change that is known goes into whatever else is to be done', fetch(1), known(2), fetch(1)],
    ['and does not keep anything from being done', known(1), listed(2), listed(2)],
    ['a related fetch adds nothing to a fetch', fetch(1), related(2), fetch(1)],
    ['a fetch for its own sake counts for more than a related one', related(1), fetch(2), fetch(2)],
    ['an event after a listing counts', listed(1), deleted(2), deleted(2)],
    ['an update after a deletion counts', deleted(1), fetch(2), fetch(2)],
    ['a deletion after an update counts', fetch(1), deleted(2), deleted(2)],
    ['a fetch is fresher than any listing', fetch(3), listed(2), fetch(3)],
    ['a fetch decides over absence from a listing', fetch(1), unlisted(2), fetch(1)],
    ['a deletion during a listing counts', deleted(3), listed(2), deleted(3)],
    ['a listing asked for after a deletion counts', deleted(1), listed(2), listed(2)],
    ['the later of two listings counts', listed(1), unlisted(2), unlisted(2)],
  ])('%s', (_title, waiting, added, left) => {
    expect(mergeTasks(waiting, added)).toEqual(left);
  });

  it('a listing that is older than the last decision is outdated, its own retry is not', () => {
    expect(isOutdated(listed(2), 3)).toBe(true);
    expect(isOutdated(unlisted(2), 3)).toBe(true);
    expect(isOutdated(listed(2), 2)).toBe(false);
    expect(isOutdated(fetch(2), 3)).toBe(false);
  });
});
