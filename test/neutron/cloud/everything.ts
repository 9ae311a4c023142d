import { listNamespaces } from '../../../lib/kernel/netns.ts';
import { output, until } from '../../e2e/shell.ts';

/** Everything in the namespaces of this machine that a fault could take away. */
export const everything = (): Promise<string> =>
  // A namespace that is just being made can't be read yet.
  until('all namespaces can be read', read, 60_000);

async function read(): Promise<string> {
  const parts: string[] = [];
  for (const ns of listNamespaces().sort()) {
    const show = (...argv: string[]): Promise<string> => output('ip', '-n', ns, '-o', ...argv);
    const rules = await output('ip', 'netns', 'exec', ns, 'nft', '-s', 'list', 'ruleset');
    parts.push(ns, await show('-d', 'link'), await show('address'), await show('route'), rules);
  }
  return parts
    .join('\n')
    .replace(/ tentative\b/g, '')
    .replace(/valid_lft \d+sec preferred_lft \d+sec/g, '')
    .replace(/\b(hello|tcn|topology_change|gc)_timer +[\d.]+/g, '');
}
