import { folderOf, foreignPlaces, isPure, PURITY, reachesOutside, rules } from './dependency-rules.ts';
import { importsOf, type Tree } from './imports.ts';

/** Every violation in a tree as one sentence with its reason; empty when all is well. */
export function violations(tree: Tree): string[] {
  return [...impurePure(tree), ...forbiddenImports(tree), ...folderCycles(tree), ...foreignMentions(tree)];
}

/** Pure code with everything it runs: an impure import three files away makes it just as impure. */
function impurePure(tree: Tree): string[] {
  return [...tree.keys()].filter(isPure).flatMap((path) => {
    const ways: string[][] = [[path]];
    const visited = new Set([path]);
    for (const way of ways) {
      const here = way.at(-1)!;
      const imports = importsOf(here, tree.get(here) ?? '').filter((found) => !found.typeOnly);
      const outside = imports.find(reachesOutside);
      if (outside) return [`${[...way, outside.target].join(' imports ')}, but ${PURITY}`];
      for (const { kind, target } of imports) {
        if (kind !== 'file' || visited.has(target)) continue;
        visited.add(target);
        ways.push([...way, target]);
      }
    }
    return [];
  });
}

function forbiddenImports(tree: Tree): string[] {
  const found: string[] = [];
  for (const [path, source] of tree) {
    if (!path.endsWith('.ts')) continue;
    const applying = rules.filter((rule) => rule.applies(path));
    for (const entry of importsOf(path, source)) {
      for (const rule of applying.filter((candidate) => candidate.forbids(entry, path))) {
        found.push(`${path} imports ${entry.target}, but ${rule.name}, because ${rule.reason}`);
      }
    }
  }
  return found;
}

/** Folders of lib that need each other in a circle are one folder with two names. */
function folderCycles(tree: Tree): string[] {
  const needs = new Map<string, Map<string, string>>();
  for (const [path, source] of tree) {
    if (!path.startsWith('lib/') || !path.endsWith('.ts')) continue;
    for (const { kind, target } of importsOf(path, source)) {
      const [from, to] = [folderOf(path), folderOf(target)];
      if (kind !== 'file' || from === to || !target.startsWith('lib/')) continue;
      const edges = needs.get(from) ?? new Map<string, string>();
      needs.set(from, edges.set(to, `${path} imports ${target}`));
    }
  }
  return [...needs.keys()].flatMap((start) => {
    const circle = pathBack(start, needs);
    // Told once per circle: by its first folder in alphabetical order.
    if (circle === undefined || circle.some((step) => step < start)) return [];
    const steps = circle.map((from, index) => needs.get(from)?.get(circle[index + 1] ?? start));
    return [
      `folders of lib import each other in a circle, so neither is below the other: ${steps.join('; ')}`,
    ];
  });
}

/** Shortest way from a folder back to itself, as the folders passed (start first), or undefined. */
function pathBack(
  start: string,
  needs: ReadonlyMap<string, ReadonlyMap<string, string>>,
): string[] | undefined {
  const ways: string[][] = [[start]];
  const visited = new Set<string>();
  for (const way of ways) {
    for (const next of needs.get(way.at(-1)!)?.keys() ?? []) {
      if (next === start) return way;
      if (visited.has(next)) continue;
      visited.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}

function foreignMentions(tree: Tree): string[] {
  // These rules have to name the places.
  const own = /^test\/house\/dependenc/;
  return [...tree].flatMap(([path, source]) =>
    foreignPlaces
      .filter((place) => !own.test(path) && source.includes(place))
      .map(
        (place) => `${path} names ${place}, which is not in a clone: copy what is needed to test/fixtures/`,
      ),
  );
}
