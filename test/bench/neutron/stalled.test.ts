import { expect, test } from 'vitest';
import { insist, Stalled } from './stalled.ts';

/** Fails with these first. */
const failing = (...errors: Error[]) => {
  const measure = async (): Promise<string> => {
    const error = errors.shift();
    if (error) throw error;
    return 'figure';
  };
  return { measure, left: errors };
};

test('what stalls is measured anew, and that is told', async () => {
  const told: string[] = [];
  const { measure } = failing(new Stalled('one rests'), new Stalled('another rests'));
  expect(await insist(measure, (line) => told.push(line))).toBe('figure');
  expect(told).toEqual(['attempt 1 of 4: one rests', 'attempt 2 of 4: another rests']);
});

test('not for ever, and not what fails otherwise', async () => {
  const stalling = failing(...Array.from({ length: 9 }, (_, i) => new Stalled(`stall ${i}`)));
  await expect(insist(stalling.measure, () => {})).rejects.toThrow('stall 3');
  const failed = failing(new Error('refused'));
  await expect(insist(failed.measure, () => {})).rejects.toThrow('refused');
});
