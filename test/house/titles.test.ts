import { expect, test } from 'vitest';
import { readFeatures, rowIds } from '../conformance/rows.ts';
import { packageRoot } from './package-root.ts';
import { readSources } from './sources.ts';

const root = packageRoot();
const CALL = /^\s*(?:test|it|describe|rig)(?:\.\w+)*\(\s*(['"`])((?:\\.|(?!\1)[^\\\n])*)\1/gm;

const titles = [...readSources(root, ['test'])]
  .filter(([path]) => path.endsWith('.test.ts'))
  .flatMap(([path, source]) => [...source.matchAll(CALL)].map((match) => ({ path, title: match[2]! })));

test('tests that claim a conformance row run on a real kernel', () => {
  const claims = titles.filter(
    ({ path, title }) => rowIds(title).length > 0 && !/^test\/(kernel|e2e|neutron)\//.test(path),
  );
  expect(claims, 'a row is proven by real packets, daemons and kernels only').toEqual([]);
});

test('claimed rows are in the table', () => {
  const known = new Set(readFeatures(root).map((feature) => feature.id));
  const unknown = titles.filter(({ title }) => rowIds(title).some((id) => !known.has(id)));
  expect(unknown).toEqual([]);
});
