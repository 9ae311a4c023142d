import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { packageRoot } from './package-root.ts';

interface Lock {
  readonly packages: Readonly<
    Record<string, { optionalDependencies?: Record<string, string>; dependencies?: Record<string, string> }>
  >;
}

/**
 * `npm ci` refuses a lock file that lacks even a package for another platform, and npm writes such a file when
 * the registry it was made with does not offer all of them. Biome's were completed by hand for that reason.
 */
test('the lock file has every dependency, those for other platforms too: npm ci refuses it otherwise', () => {
  const { packages } = JSON.parse(readFileSync(join(packageRoot(), 'package-lock.json'), 'utf8')) as Lock;
  const present = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
    Object.keys({ ...dependencies, ...optionalDependencies })
      .filter((name) => !present.has(name))
      .map((name) => `${path} needs ${name}`),
  );
  expect(missing).toEqual([]);
});
