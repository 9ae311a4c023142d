/** What the kernel has of a deployment, as text that is the same for the same network. */
import type { Rig } from './rig.ts';
import { remains } from './rig.ts';
import { inNs, output, run } from './shell.ts';

const lines = (text: string): string[] => text.split('\n').filter(Boolean);

/** Names, addresses, routes, rules, kernel parameters and rulesets of one namespace. */
export async function namespaceSnapshot(ns: string): Promise<string> {
  const script = [
    // Without what the kernel makes itself, and late at that (duplicate address detection).
    "ip -o address | sed -E 's/^[0-9]+: //; s/ valid_lft.*//; s/(tentative|dynamic|noprefixroute) //g' | grep -v ' fe80:' | tr -d '\\\\' | sort",
    "ip -o link | sed -E 's/^[0-9]+: //; s/@[^:]*:/:/; s/link-netns(id)? [^ ]+//; s/qlen [0-9]+//' | tr -d '\\\\' | sort",
    "ip -4 route show table all | grep -v 'table local' | sort",
    "ip -6 route show table all | grep -v -e 'table local' -e '^fe80' -e 'ff00::/8' | sort",
    'ip rule',
    'sysctl net.ipv4.ip_forward net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce',
    // Rules of the same content may stand in another order of elements.
    "nft list ruleset | tr -d '\\n\\t' | sed -E 's/elements = \\{[^}]*\\}/ELEMENTS/g'",
    "nft list ruleset | grep -oE '[0-9.]+ : [0-9.]+' | sort",
  ].join('; echo; ');
  return output(...inNs(ns, 'sh', '-c', script));
}

/** Everything of a rig's deployment on this host. */
export async function snapshot(rig: Rig): Promise<string> {
  const present = await remains([rig.topology]);
  const parts: string[] = [];
  for (const ns of present.namespaces.sort()) parts.push(`== ${ns}`, await namespaceSnapshot(ns));
  const shown = await run(['ip', '-o', 'link']);
  const ours = lines(shown.stdout).filter((line) => present.links.some((name) => line.includes(` ${name}`)));
  parts.push(
    '== host',
    ...ours
      .map((line) => {
        const name = /^\d+: ([^:@]+)/.exec(line)![1]!;
        const mtu = /mtu (\d+)/.exec(line)![1]!;
        const master = /master (\S+)/.exec(line)?.[1] ?? '';
        return `${name} mtu ${mtu} master ${master} ${line.includes(',UP') ? 'up' : 'down'}`;
      })
      .sort(),
  );
  return parts.join('\n');
}
