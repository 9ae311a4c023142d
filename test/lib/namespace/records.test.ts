import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Records } from '../../../lib/namespace/records.ts';
import { link } from '../../../lib/namespace/rows.ts';

describe('records', () => {
  let directory: string;
  const names = () => fs.readdirSync(directory).sort();

  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'vdt-records-'));
  });
  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

  test('of one process are found by the next', () => {
    const records = new Records(directory);
    records.save('r1', { kind: 'router', payload: { id: 'r1' } });
    records.save('r2', { kind: 'router', payload: { id: 'r2' } });
    records.remove('r2');
    expect(new Records(directory).load()).toEqual(
      new Map([['r1', { kind: 'router', payload: { id: 'r1' } }]]),
    );
    expect(names()).toEqual(['r1.json']);
  });

  test('are none where there is no directory, and reading makes none', () => {
    const missing = join(directory, 'deep', 'down');
    const records = new Records(missing);
    expect(records.load()).toEqual(new Map());
    records.remove('r1');
    expect(fs.existsSync(missing)).toBe(false);
    records.save('r1', 1);
    expect(records.has('r1')).toBe(true);
    expect(new Records(missing).load()).toEqual(new Map([['r1', 1]]));
  });

  test('are not written again when nothing changed, nor by a later process', () => {
    new Records(directory).save('r1', { a: 1 });
    const before = fs.statSync(join(directory, 'r1.json')).ino;
    const later = new Records(directory);
    later.load();
    later.save('r1', { a: 1 });
    expect(fs.statSync(join(directory, 'r1.json')).ino).toBe(before);
    later.save('r1', { a: 2 });
    expect(new Records(directory).load().get('r1')).toEqual({ a: 2 });
  });

  test('are readable by their owner only: payloads may hold what others must not see', () => {
    new Records(directory).save('r1', {});
    expect(fs.statSync(join(directory, 'r1.json')).mode & 0o777).toBe(0o600);
  });

  test('of a write that was cut short do not count', () => {
    const records = new Records(directory);
    records.save('r1', { a: 1 });
    fs.writeFileSync(join(directory, 'r1.json.new'), '{"a":');
    fs.writeFileSync(join(directory, 'r2.json.new'), '{"a":');
    expect(new Records(directory).load()).toEqual(new Map([['r1', { a: 1 }]]));
  });

  test('say what an update was about to remove, until that is done', () => {
    const bridge = link({ ns: '', name: 'brq1', type: 'bridge' });
    new Records(directory).save('r1', { kind: 'router', payload: {} }, [bridge]);
    const later = new Records(directory);
    expect(later.load().get('r1')).toEqual({ kind: 'router', payload: {} });
    expect(later.leaving('r1')).toEqual([bridge]);
    later.finish('r1');
    expect(later.leaving('r1')).toEqual([]);
    const last = new Records(directory);
    expect(last.load().get('r1')).toEqual({ kind: 'router', payload: {} });
    expect(last.leaving('r1')).toEqual([]);
  });

  test('that are damaged are named, and nothing is guessed', () => {
    fs.writeFileSync(join(directory, 'r1.json'), '{"a":');
    expect(() => new Records(directory).load()).toThrow(`${join(directory, 'r1.json')} is damaged`);
  });

  test.each(['../r1', 'a/b', '', 'x'.repeat(201), 'a\0b'])('can not be named %j', (owner) => {
    expect(() => new Records(directory).save(owner, {})).toThrow(RangeError);
    expect(names()).toEqual([]);
  });
});
