import { posix } from 'node:path';

/** One import statement, resolved. */
export interface Import {
  /** 'node:fs', a package name, or a path from the root of the repository ('lib/model/ip.ts') */
  readonly target: string;
  readonly kind: 'builtin' | 'package' | 'file';
  /** `import type`: erased when compiled */
  readonly typeOnly: boolean;
  /** `import()` or `require()`: not with the program's start */
  readonly later: boolean;
}

/** Path from the root of the repository → source text. */
export type Tree = ReadonlyMap<string, string>;

const STATIC = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\bfrom\s+)?['"]([^'"\n]+)['"]/gm;
const DYNAMIC = /^(?!\s*(?:\*|\/\/)).*?\b(?:import|require)\(\s*['"]([^'"\n]+)['"]/gm;

/** Imports of one source text: static, re-exports, `import()` and `require()`. */
export function importsOf(path: string, source: string): Import[] {
  return [
    ...[...source.matchAll(STATIC)].map((match) =>
      resolve(path, match[2]!, { typeOnly: match[1] !== undefined, later: false }),
    ),
    ...[...source.matchAll(DYNAMIC)].map((match) =>
      resolve(path, match[1]!, { typeOnly: false, later: true }),
    ),
  ];
}

function resolve(path: string, specifier: string, when: Pick<Import, 'typeOnly' | 'later'>): Import {
  if (specifier.startsWith('node:')) return { target: specifier, kind: 'builtin', ...when };
  if (specifier.startsWith('.')) {
    return { target: posix.join(posix.dirname(path), specifier), kind: 'file', ...when };
  }
  const parts = specifier.split('/');
  const target = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!;
  return { target, kind: 'package', ...when };
}
