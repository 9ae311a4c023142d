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

test('the demo passes its checks, checks again what is up, names what fails, and goes without a trace', async () => {
  const state = join(directory, 'state');
  const demo = quoted(program('cli', 'demo', '--state-dir', state));
  const { code, stdout, stderr } = await inPrivateHost(`
${demo}
echo "exit $?"
${demo}
echo "exit $?"
# Somebody with an address of the other tenant's instance: now there is an answer.
ip -n vm-red-db address add 10.0.0.7/24 dev eth0
${demo} && echo "exit 0" || echo "exit $?"
${demo} down
ip netns
ip -br link | grep -v '^lo ' || true
ls -d '${state}' 2>/dev/null || true
`);
  const told = `${stdout}\n${stderr}`;
  expect(code, told).toBe(0);
  expect(stdout.match(/^All \d+ checks passed\.$/gm), told).toHaveLength(2);
  expect(stdout).toMatch(/^1 of \d+ checks failed: red-web: blue is out of reach$/m);
  expect(stdout.match(/^exit \d+$/gm), told).toEqual(['exit 0', 'exit 0', 'exit 1']);
  expect(stderr).toMatch(/is up already \(process \d+\): checking it again/);
  expect(stdout.slice(stdout.indexOf('The demo is removed.'))).toBe('The demo is removed.\n');
});
