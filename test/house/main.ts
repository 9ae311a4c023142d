/**
 * What `npm test` runs: lint, types, then every test. All of them run, whatever fails first. Lint and types
 * count as one test each. The last line is `N passed, N failed`, alone, for people and scripts.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from './package-root.ts';
import { tally } from './tally.ts';
import { runVitest } from './vitest-run.ts';

const root = packageRoot();
let passed = 0;
let failed = 0;

function check(name: string, argv: readonly string[]): void {
  console.log(`== ${name}`);
  const child = spawnSync(process.execPath, argv, { cwd: root, stdio: ['ignore', 1, 2] });
  if (child.status === 0) passed += 1;
  else {
    failed += 1;
    console.log(`== ${name}: FAILED (exit ${child.status ?? child.signal})`);
  }
}

const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
check('lint (biome check)', [biome, 'check', '--error-on-warnings', '.']);
check('types (tsc)', [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.json']);

const privileged = process.getuid?.() === 0;
const projects = privileged ? ['unit', 'kernel', 'e2e'] : ['unit'];
console.log(`== tests (vitest: ${projects.join(', ')})`);
const result = tally(await runVitest({ root, projects, output: 1 }));
passed += result.passed;
failed += result.failed;

for (const line of result.broken) console.log(`failed: ${line}`);
if (result.notRun.length > 0) {
  console.log(`not run: ${result.notRun.length} tests`);
  for (const name of result.notRun) console.log(`  ${name}`);
}
if (!privileged) console.log('not run: the kernel and e2e tests (they make network namespaces: run as root)');

console.log('');
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
