import { describe, expect, test } from 'vitest';
import { runIn } from '../../../lib/kernel/process.ts';

const shell = (script: string, env?: Readonly<Record<string, string>>, timeoutMs?: number) =>
  runIn('', ['sh', '-c', script], { ...(env && { env }), ...(timeoutMs && { timeoutMs }) });

describe('a program that is run', () => {
  test('and ends well has nothing to say, whatever it said', async () => {
    expect(await shell('echo a warning >&2')).toEqual({ ok: true, words: '' });
  });

  test('and fails says why in its own words', async () => {
    expect(await shell('echo no such thing >&2; exit 3')).toEqual({ ok: false, words: 'no such thing' });
  });

  test('and fails without a word is said to have', async () => {
    expect(await shell('exit 4')).toEqual({ ok: false, words: 'sh exited with 4' });
    expect(await shell('kill -9 $$')).toEqual({ ok: false, words: 'sh was ended by SIGKILL' });
  });

  test('does not wait for one that reads its words; the last of many count', async () => {
    const { ok, words } = await shell('seq 100000 >&2; exit 1');
    expect(ok).toBe(false);
    expect(words).toMatch(/99999\n100000$/);
    expect(words.length).toBeLessThanOrEqual(4_000);
  });

  test('and is not there is an error naming it', async () => {
    expect(await runIn('', ['vdt-no-such-program'])).toEqual({
      ok: false,
      words: 'start vdt-no-such-program: ENOENT',
    });
  });

  test('and takes too long is ended', async () => {
    expect(await runIn('', ['sleep', '60'], { timeoutMs: 50 })).toEqual({
      ok: false,
      words: 'sleep was ended by SIGTERM',
    });
  });

  test('has no signal ignored or held back, no input, and the environment of its parent with what is given', async () => {
    const name = 'VDT_PROCESS_TEST';
    process.env[name] = 'of the parent';
    const { words } = await shell(
      `grep -E 'Sig(Blk|Ign)' /proc/self/status >&2; wc -c <&0 >&2; env | grep -E '^(${name}|LC_ALL|VDT_GIVEN)=' | sort >&2; exit 1`,
      { [name]: 'given', VDT_GIVEN: 'a=b' },
    );
    expect(words.split('\n')).toEqual([
      'SigBlk:\t0000000000000000',
      'SigIgn:\t0000000000000000',
      '0',
      'LC_ALL=C',
      'VDT_GIVEN=a=b',
      `${name}=given`,
    ]);
  });

  test('with others at the same time is told from them', async () => {
    const ends = await Promise.all(Array.from({ length: 20 }, (_, i) => shell(`exit ${i}`)));
    expect(ends.map(({ words }) => words)).toEqual([
      '',
      ...Array.from({ length: 19 }, (_, i) => `sh exited with ${i + 1}`),
    ]);
  });
});
