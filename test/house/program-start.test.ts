import { expect, test } from 'vitest';
import { importsOf, type Tree } from './imports.ts';
import { packageRoot } from './package-root.ts';
import { readSources } from './sources.ts';

/** Packages loaded before the first line of a program's own runs. */
function loadedAtStart(tree: Tree, program: string): string[] {
  const packages = new Set<string>();
  const files = new Set([program]);
  for (const path of files) {
    for (const { kind, target, typeOnly, later } of importsOf(path, tree.get(path) ?? '')) {
      if (typeOnly || later) continue;
      if (kind === 'file') files.add(target);
      if (kind === 'package') packages.add(target);
    }
  }
  return [...packages].sort();
}

// A restart is as long as its imports: what only a topology file, the command line's help or a template needs waits.
test.each(['l3', 'dhcp', 'metadata'])(
  'the %s agent starts with no more packages than every start needs',
  (role) => {
    const tree = readSources(packageRoot(), ['agents', 'lib']);
    expect(loadedAtStart(tree, `agents/${role}/main.ts`)).toEqual(['amqplib', 'ip-cidr', 'koffi', 'pino']);
  },
);
