import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { validate } from '../../../agents/cli/verbs/validate.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vdt-validate-'));
  file = join(folder, 'net.yaml');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

/** Runs the verb; returns its exit code and what it printed. */
function run(text: string, ...options: string[]): { code: unknown; printed: string } {
  writeFileSync(file, text);
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  validate().parse([file, ...options], { from: 'user' });
  const printed = write.mock.calls.map(([chunk]) => String(chunk)).join('');
  return { code: process.exitCode, printed };
}

const good = 'networks:\n  - name: private\n    subnets:\n      - cidr: 10.0.0.0/24\n';
const bad = 'networks:\n  - name: private\n    mtuu: 1400\n    subnets:\n      - cidr: 10.0.0.0/33\n';

test('a good file is exit code 0 and says what is in it', () => {
  const { code, printed } = run(good);
  expect(printed).toBe(`${file} is valid: 1 network, 0 routers, 0 instances, 0 floating IPs\n`);
  expect(code).toBe(0);
});

test('a bad file is exit code 65, with every problem, its place and what to do', () => {
  const { code, printed } = run(bad);
  expect(code).toBe(65);
  expect(printed).toContain(`${file}:3:`);
  expect(printed).toContain(`${file}:5:`);
  expect(printed.trimEnd().split('\n').at(-1)).toBe('2 problems, nothing was changed');
});

test('the same in JSON', () => {
  expect(JSON.parse(run(good, '--json').printed)).toMatchObject({ valid: true, counts: { networks: 1 } });
  const { code, printed } = run(bad, '--json');
  expect(code).toBe(65);
  expect(JSON.parse(printed.slice(printed.indexOf('{\n  "valid": false')))).toMatchObject({
    valid: false,
    problems: [{ line: 3 }, { line: 5 }],
  });
});

test('a file that is not there is told apart from a bad one', () => {
  expect(() => validate().parse([join(folder, 'nope.yaml')], { from: 'user' })).toThrow(
    'there is no such file',
  );
});
