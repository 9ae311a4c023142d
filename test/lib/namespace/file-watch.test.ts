import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileWatch } from '../../../lib/namespace/file-watch.ts';

let directory = '';
let heard: string[] = [];
let wanted = true;
let watch: FileWatch;
const path = (name: string): string => join(directory, 'd', name);
const row = (name: string) => ({ path: path(name), key: `ns|file|${name}` });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vdt-watch-'));
  mkdirSync(join(directory, 'd'));
  writeFileSync(path('a'), 'a');
  heard = [];
  wanted = true;
  watch = new FileWatch((key) => {
    heard.push(key);
    return wanted;
  });
  watch.watch(row('a'));
  watch.watch(row('b'));
});
afterEach(() => {
  watch.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Events come in order: once this one is heard, those before it were. */
async function heardUntilNow(): Promise<string[]> {
  watch.watch(row('mark'));
  writeFileSync(path('mark'), '');
  await expect.poll(() => heard).toContain(row('mark').key);
  return [...new Set(heard)].filter((key) => key !== row('mark').key);
}

describe('watching files', () => {
  it.each([
    ['an edit', () => writeFileSync(path('a'), 'else'), ['a']],
    ['a removal', () => rmSync(path('a')), ['a']],
    [
      'a file that takes its place',
      () => {
        writeFileSync(path('other'), '');
        renameSync(path('other'), path('a'));
      },
      ['a'],
    ],
    ['a file that was missing', () => writeFileSync(path('b'), ''), ['b']],
    ["a daemon's own file beside it", () => writeFileSync(path('leases'), ''), []],
  ])('hears of %s', async (_what, change, names) => {
    change();
    expect(await heardUntilNow()).toEqual(names.map((name) => row(name).key));
  });

  it('hears when the directory goes, and watches one that is made again', async () => {
    rmSync(join(directory, 'd'), { recursive: true });
    await expect.poll(() => heard).toContain(row('b').key);
    mkdirSync(join(directory, 'd'));
    watch.watch(row('a'));
    heard = [];
    writeFileSync(path('a'), '');
    await expect.poll(() => heard).toContain(row('a').key);
  });

  it('forgets a file that nobody wants any more', async () => {
    wanted = false;
    rmSync(path('a'));
    await expect.poll(() => heard).toContain(row('a').key);
    heard = [];
    writeFileSync(path('a'), '');
    expect(await heardUntilNow()).toEqual([]);
  });

  it('a directory that is not there is no error', () => {
    expect(() => watch.watch({ path: join(directory, 'none/x'), key: 'x' })).not.toThrow();
  });
});
