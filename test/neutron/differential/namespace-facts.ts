/** All that can be read of a namespace without knowing who built it, as flat facts: 'links qg-….mtu' → '1500'. */
import { output } from '../../e2e/shell.ts';

export type Facts = ReadonlyMap<string, string>;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Fields = { readonly [key: string]: Json };

/** Numbers of the moment, and those the kernel deals out. */
const PASSING = new Set([
  'ifindex',
  'link_index',
  'link_netnsid',
  'valid_life_time',
  'preferred_life_time',
  'expires',
  'age',
  'cacheinfo',
]);
const PASSING_SYSCTL = /^net\.netfilter\.nf_conntrack_count$/;

function flatten(prefix: string, value: Json, into: Map<string, string>): void {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object')) {
    into.set(prefix, value.toSorted().join(' '));
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value))
      if (!PASSING.has(key)) flatten(`${prefix}.${key}`, item as Json, into);
  } else into.set(prefix, String(value));
}

const listed = async (ns: string, ...words: string[]): Promise<readonly Fields[]> => {
  const text = await output('ip', '-n', ns, '-j', ...words);
  return text.trim() === '' ? [] : (JSON.parse(text) as Fields[]);
};

/** A list whose order says nothing: each entry under a name made of what tells it from others. */
function entries(
  kind: string,
  list: readonly Fields[],
  name: (entry: Fields) => string,
  into: Map<string, string>,
): void {
  for (const entry of list) flatten(`${kind} ${name(entry)}`, entry, into);
}

/** Devices, addresses, routes, rules and sysctls of a namespace. */
export async function namespaceFacts(ns: string): Promise<Facts> {
  const found = new Map<string, string>();
  const links = await listed(ns, '-d', 'link');
  entries('link', links, ({ ifname }) => String(ifname), found);
  for (const { ifname, addr_info } of await listed(ns, 'addr')) {
    const addresses = addr_info as readonly Fields[];
    entries(
      'address',
      addresses,
      ({ local, prefixlen }) => `${String(local)}/${String(prefixlen)} on ${String(ifname)}`,
      found,
    );
  }
  for (const family of ['-4', '-6']) {
    const routes = await listed(ns, '-d', family, 'route', 'show', 'table', 'all');
    const nameOfRoute = (r: Fields): string =>
      [family, r.type, r.dst, 'table', r.table ?? 'main', 'dev', r.dev ?? '', r.metric ?? '']
        .map(String)
        .join(' ');
    entries('route', routes, nameOfRoute, found);
    const rules = await listed(ns, family, 'rule');
    entries('rule', rules, ({ priority, src }) => `${family} ${String(priority)} from ${String(src)}`, found);
  }
  const sysctls = await output(
    'ip',
    'netns',
    'exec',
    ns,
    'sysctl',
    '-e',
    '-a',
    '-r',
    '^net\\.(ipv4|ipv6|netfilter)\\.',
  );
  for (const line of sysctls.split('\n')) {
    const [key, value] = line.split(' = ');
    if (key && value !== undefined && !PASSING_SYSCTL.test(key)) found.set(`sysctl ${key}`, value);
  }
  return found;
}

/** What two say about the same thing, where they differ. */
export interface Difference {
  readonly fact: string;
  /** undefined: it is not there */
  readonly neutron: string | undefined;
  readonly viaduct: string | undefined;
}

export const differences = (neutron: Facts, viaduct: Facts): Difference[] =>
  [...new Set([...neutron.keys(), ...viaduct.keys()])]
    .map((fact) => ({ fact, neutron: neutron.get(fact), viaduct: viaduct.get(fact) }))
    .filter((d) => d.neutron !== d.viaduct);
