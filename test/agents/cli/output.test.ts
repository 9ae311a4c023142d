import { describe, expect, test } from 'vitest';
import { openOutput, paint, printable } from '../../../agents/cli/output.ts';
import { renderChecks, showProgress } from '../../../agents/cli/progress.ts';
import { renderTable } from '../../../agents/cli/table.ts';

function sink(isTTY: boolean, columns?: number) {
  const written: string[] = [];
  return { isTTY, columns, written, write: (text: string) => written.push(text) };
}

describe('output', () => {
  test('has colour and a width on a terminal only', () => {
    const terminal = openOutput({ stdout: sink(true, 100), env: {} });
    expect([terminal.color, terminal.width]).toEqual([true, 100]);
    const pipe = openOutput({ stdout: sink(false), env: {} });
    expect([pipe.color, pipe.width]).toEqual([false, Number.POSITIVE_INFINITY]);
  });

  test('has no colour with NO_COLOR, on a dumb terminal and in JSON', () => {
    const stdout = sink(true, 80);
    expect(openOutput({ stdout, env: { NO_COLOR: '1' } }).color).toBe(false);
    expect(openOutput({ stdout, env: { TERM: 'dumb' } }).color).toBe(false);
    expect(openOutput({ stdout, env: {}, json: true }).color).toBe(false);
  });

  test('writes results to standard output and remarks to standard error', () => {
    const [stdout, stderr] = [sink(false), sink(false)];
    const output = openOutput({ stdout, stderr, env: {} });
    output.document({ a: 1 });
    output.note('careful');
    expect(stdout.written.join('')).toBe('{\n  "a": 1\n}\n');
    expect(stderr.written.join('')).toBe('careful\n');
  });

  test('lets nothing steer the terminal', () => {
    expect(printable('evil\u001b[2Jname\n')).toBe('evil?[2Jname?');
    expect(paint(false, 'red', 'plain')).toBe('plain');
  });
});

describe('a table', () => {
  const heads = ['name', 'namespace'];
  const rows = [
    ['r1', 'qrouter-3f2a1c9e-0000'],
    ['a-router', { text: 'snat', style: 'red' as const }],
  ];

  test('has columns as wide as their widest cell, and no trailing blanks', () => {
    expect(renderTable({ width: Number.POSITIVE_INFINITY, color: false }, heads, rows)).toEqual([
      'NAME      NAMESPACE',
      'r1        qrouter-3f2a1c9e-0000',
      'a-router  snat',
    ]);
  });

  test('is cut to the width of a terminal', () => {
    const lines = renderTable({ width: 24, color: false }, heads, rows);
    expect(lines[1]).toBe('r1        qrouter-3f2a1…');
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(24);
  });

  test('pads outside of the colour, so that columns stay aligned', () => {
    const lines = renderTable(
      { width: 80, color: true },
      ['state', 'rows'],
      [[{ text: 'ok', style: 'green' }, '3']],
    );
    expect(lines[1]).toBe('\u001b[32mok   \u001b[0m  3');
  });
});

describe('progress', () => {
  test('is one plain line per step where no terminal is', async () => {
    const log = sink(false);
    await showProgress({ color: false }, log).step('router r1', () => 1);
    expect(log.written.join('')).toMatch(/^ {2}✓ router r1 \(\d+ ms\)\n$/);
  });

  test('shows a failure with its reason and passes it on', async () => {
    const log = sink(false);
    const step = showProgress({ color: false }, log).step('router r1', () => {
      throw new Error('no such device');
    });
    await expect(step).rejects.toThrow('no such device');
    expect(log.written.join('')).toMatch(/^ {2}✗ router r1 \(\d+ ms\): no such device\n$/);
  });

  test('shows a step while it runs on a terminal', async () => {
    const log = sink(true);
    await showProgress({ color: false }, log).step('router r1', () => 1);
    expect(log.written[0]).toBe('  … router r1');
  });

  test('of checks ends with how many failed, and which', () => {
    const lines = renderChecks(false, [
      { name: 'lease', passed: true, seen: '10.0.0.11' },
      { name: 'internet by SNAT', passed: false, seen: 'no reply in 3 s' },
    ]);
    expect(lines).toEqual([
      '  ✓ lease             10.0.0.11',
      '  ✗ internet by SNAT  no reply in 3 s',
      '1 of 2 checks failed: internet by SNAT',
    ]);
  });
});
