/** The compiled programs, as an operator runs them. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { findPackageRoot } from '../../lib/standalone/run.ts';

export const packageRoot = findPackageRoot();
const stamp = join(packageRoot, 'dist/.built');

const newestIn = (folder: string): number =>
  Math.max(
    ...fs
      .readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => fs.statSync(join(entry.parentPath, entry.name)).mtimeMs),
  );

/**
 * Compiles if a source is newer than what is there (`npm test` did so already). Mistakes of type are not looked
 * for here: the house checks do that, and programs come out all the same.
 */
function build(): void {
  const built = fs.existsSync(stamp) ? fs.statSync(stamp).mtimeMs : 0;
  if (newestIn(join(packageRoot, 'agents')) <= built && newestIn(join(packageRoot, 'lib')) <= built) return;
  const started = new Date();
  const tsc = join(packageRoot, 'node_modules/typescript/bin/tsc');
  spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: packageRoot });
  fs.writeFileSync(stamp, '');
  fs.utimesSync(stamp, started, started);
}

let built = false;

/** argv of a program: 'cli', 'l3', 'dhcp' or 'metadata'. */
export function program(agent: 'cli' | 'l3' | 'dhcp' | 'metadata', ...args: string[]): string[] {
  if (!built) build();
  built = true;
  return [process.execPath, join(packageRoot, 'dist/agents', agent, 'main.js'), ...args];
}
