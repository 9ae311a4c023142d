import { appendFileSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openJournal } from '../../../lib/telemetry/journal.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'vdt-journal-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const entry = (cause: string, operations: string[] = ['add address 10.0.0.1/24 dev qr-1']) => ({
  cause,
  decision: 'reconcile',
  operations,
  ms: 1.23456,
  outcome: 'done' as const,
});

describe('a journal', () => {
  test('gives back what was appended, oldest first, also to another process', () => {
    openJournal(directory).append('r1', entry('full sync'));
    openJournal(directory).append('r1', { ...entry('routers_updated'), at: '2026-01-02T03:04:05.678Z' });
    const read = openJournal(directory).read('r1');
    expect(read.map((found) => found.cause)).toEqual(['full sync', 'routers_updated']);
    expect(read[1]).toEqual({ ...entry('routers_updated'), at: '2026-01-02T03:04:05.678Z', ms: 1.23 });
  });

  test('keeps owners apart and lists them', () => {
    const journal = openJournal(directory);
    journal.append('r2', entry('a'));
    journal.append('r1', entry('b'));
    expect(journal.owners()).toEqual(['r1', 'r2']);
    journal.forget('r2');
    expect(journal.owners()).toEqual(['r1']);
    expect(journal.read('r2')).toEqual([]);
  });

  test('stays within two halves and keeps the newest entries without a gap', () => {
    const journal = openJournal(directory, 1000);
    for (let n = 0; n < 100; n += 1) journal.append('r1', entry(String(n)));
    const bytes = readdirSync(directory).map((name) => statSync(join(directory, name)).size);
    expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(2500);
    const causes = journal.read('r1').map((found) => Number(found.cause));
    expect(causes.at(-1)).toBe(99);
    expect(causes).toEqual(causes.map((_, index) => 100 - causes.length + index));
    expect(causes.length).toBeGreaterThan(4);
  });

  test('survives a line cut off by a crash: only that line is lost', () => {
    const journal = openJournal(directory);
    journal.append('r1', entry('before'));
    appendFileSync(join(directory, 'r1.jsonl'), '{"at":"2026-01-02T03');
    journal.append('r1', entry('after'));
    expect(journal.read('r1').map((found) => found.cause)).toEqual(['before', 'after']);
  });

  test('counts operations beyond the first hundred', () => {
    const journal = openJournal(directory);
    journal.append(
      'r1',
      entry(
        'big',
        Array.from({ length: 1000 }, (_, n) => `step ${n}`),
      ),
    );
    const operations = journal.read('r1')[0]?.operations ?? [];
    expect(operations).toHaveLength(101);
    expect(operations.at(-1)).toBe('… and 900 more');
  });

  test('never leaves its folder, whatever the owner is called', () => {
    const journal = openJournal(join(directory, 'journal'));
    for (const owner of ['../../escape', '..', 'a/b', '.hidden']) {
      journal.append(owner, entry('x'));
      expect(journal.read(owner)).toHaveLength(1);
    }
    expect(readdirSync(directory)).toEqual(['journal']);
    expect(journal.owners()).toEqual(['..', '../../escape', '.hidden', 'a/b']);
    expect(() => journal.append('', entry('x'))).toThrow('cannot name a journal');
  });

  test('is empty where nothing was written', () => {
    const journal = openJournal(join(directory, 'nothing'));
    expect(journal.owners()).toEqual([]);
    expect(journal.read('r1')).toEqual([]);
  });
});
