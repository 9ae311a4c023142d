import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Tree } from './imports.ts';

const TEXT = /\.(ts|mjs|sh|ya?ml|hbs|json)$|\/(bootstrap|run)$/;

/** The text files of the repository's own folders, by path from its root. Recorded fixtures are left out. */
export function readSources(
  root: string,
  folders: readonly string[] = ['agents', 'lib', 'test', 'templates', 'deploy', '.ci'],
): Tree {
  const tree = new Map<string, string>();
  for (const folder of folders.filter((name) => existsSync(join(root, name)))) {
    for (const entry of readdirSync(join(root, folder), { recursive: true, withFileTypes: true })) {
      const path = relative(root, join(entry.parentPath, entry.name));
      if (!entry.isFile() || !TEXT.test(`/${path}`) || /\/(fixtures|golden)\//.test(path)) continue;
      tree.set(path, readFileSync(join(root, path), 'utf8'));
    }
  }
  return tree;
}
