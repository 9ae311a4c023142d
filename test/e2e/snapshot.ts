/** What the kernel has of a deployment, as text that is the same for the same network. */
import { type Rig, remains } from './rig.ts';
import { inNs, output, run } from './shell.ts';

const SEPARATOR = '#next#';
const COMMANDS = [
  'ip -o address',
  'ip -o link',
  'ip -4 route show table all',
  'ip -6 route show table all',
  'ip rule',
  'sysctl net.ipv4.ip_forward net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce',
  'nft list ruleset',
];

/** What the kernel makes itself, and late at that (duplicate address detection). */
const KERNELS_OWN = [/ fe80:/, /^fe80/, /ff00::\/8/, /table local/];

/** Numbers and states that differ between two makings of the same thing. */
const PASSING = [
  /^\d+: /,
  / valid_lft.*/,
  /\b(tentative|dynamic|noprefixroute) /,
  /@[^: ]*/,
  /link-netns(id)? \S+/,
  /qlen \d+/,
  /\\/,
];

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '' && !KERNELS_OWN.some((pattern) => pattern.test(line)))
    .map((line) => PASSING.reduce((rest, pattern) => rest.replace(pattern, ''), line));

/** A ruleset with the elements of its maps, which nft lists in no certain order, sorted. */
const ruleset = (text: string): string =>
  text.replace(/elements = \{([^}]*)\}/g, (_all, elements: string) =>
    elements
      .split(',')
      .map((one) => one.trim())
      .sort()
      .join('\n'),
  );

/** Names, addresses, routes, rules, kernel parameters and rulesets of one namespace. */
export async function namespaceSnapshot(ns: string): Promise<string> {
  const text = await output(...inNs(ns, 'sh', '-c', COMMANDS.join(`; echo '${SEPARATOR}'; `)));
  const parts = text.split(`${SEPARATOR}\n`);
  const rules = parts.pop()!;
  return [...parts.map((part) => linesOf(part).sort().join('\n')), ruleset(rules)].join('\n');
}

/** Those of the devices of this host that are among `names`. */
export async function hostSnapshot(names: readonly string[]): Promise<string> {
  const shown = (await run(['ip', '-o', 'link'])).stdout.split('\n');
  const lines = shown.flatMap((line) => {
    const name = /^\d+: ([^:@]+)/.exec(line)?.[1];
    if (name === undefined || !names.includes(name)) return [];
    const word = (key: string): string => new RegExp(`${key} (\\S+)`).exec(line)?.[1] ?? '-';
    return [`${name} mtu ${word('mtu')} master ${word('master')} ${line.includes(',UP') ? 'up' : 'down'}`];
  });
  return lines.sort().join('\n');
}

/** Everything of a rig's deployment on this host. */
export async function snapshot(rig: Rig): Promise<string> {
  const present = await remains([rig.topology]);
  const names = present.namespaces.sort();
  const namespaces = await Promise.all(names.map(namespaceSnapshot));
  const titled = names.map((name, index) => `== ${name}\n${namespaces[index]}`);
  return [...titled, '== host', await hostSnapshot(present.links)].join('\n');
}
