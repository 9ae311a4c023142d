import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { program } from './build.ts';
import { inPrivateHost, quoted } from './private-host.ts';

let directory: string;
beforeAll(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'e2e-vdt-demo-'));
  fs.chmodSync(directory, 0o755);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

test('the demo passes all its checks, checks again what is up, and goes without a trace', async () => {
  const state = join(directory, 'state');
  const demo = quoted(program('cli', 'demo', '--state-dir', state));
  const { code, stdout, stderr } = await inPrivateHost(`
${demo}
echo "exit $?"
${demo}
echo "exit $?"
${demo} down
ip netns
ip -br link | grep -v '^lo ' || true
ls -d '${state}' 2>/dev/null || true
`);
  const told = `${stdout}\n${stderr}`;
  expect(code, told).toBe(0);
  expect(stdout.match(/^All \d+ checks passed\.$/gm), told).toHaveLength(2);
  expect(stderr).toMatch(/is up already \(process \d+\): checking it again/);
  expect(stdout.slice(stdout.indexOf('The demo is removed.'))).toBe('The demo is removed.\n');
});
