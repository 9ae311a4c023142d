/**
 * The shell yardstick: the same objects by a script with as few processes as sensible, router by router. One
 * `ip -batch` makes namespace, bridges and veth pairs; then one `ip netns exec` of one shell, which writes the
 * sysctls itself, loads the ruleset with one `nft -f` and becomes the last `ip -batch`. In the second
 * yardstick one `ip -batch` makes the namespaces and devices of all routers at once, which no agent could:
 * routers come one by one.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { elementsText, tableText } from '../../lib/namespace/nft-text.ts';
import type { AddressRow, LinkRow, NftElementRow, RouteRow, Row } from '../../lib/namespace/rows.ts';

const kept = (...words: (string | number | false | undefined)[]): string =>
  words.filter((word) => word !== false && word !== undefined && word !== '').join(' ');

/** As lib/kernel/link.ts makes them. */
const QUEUES = 'numtxqueues 1 numrxqueues 1';

/** The lines for a bridge, or a pair seen from the end in the router, whose other end is on the host. */
function linkLines(row: LinkRow): string[] {
  if (row.type === 'bridge')
    return [`link add ${row.name} type bridge`, `link set ${row.name} addrgenmode none up`];
  const { peer } = row;
  if (!peer) return [];
  const mtu = row.mtu !== undefined && `mtu ${row.mtu}`;
  const end = kept('peer name', row.name, QUEUES, `netns ${row.ns}`, row.mac && `address ${row.mac}`, mtu);
  return [kept('link add', peer.name, mtu, QUEUES, 'type veth', end)];
}

const tapLine = (row: LinkRow): string =>
  kept('link set', row.name, row.master && `master ${row.master}`, 'addrgenmode none up');

const addressLine = (row: AddressRow): string =>
  kept(
    'addr add',
    `${row.ip}/${row.prefix}`,
    row.broadcast && 'broadcast +',
    'dev',
    row.dev,
    `scope ${row.scope}`,
  );

function routeLine(row: RouteRow): string {
  const [hop] = row.nexthops;
  const via = hop?.via && `via ${hop.via}`;
  const dev = hop?.dev && `dev ${hop.dev}`;
  return kept(
    'route add',
    row.destination,
    via,
    dev,
    'proto static',
    `scope ${row.scope}`,
    row.onlink && 'onlink',
  );
}

class NamespaceFiles {
  readonly sysctls: string[] = [];
  readonly ip: string[] = [];
  readonly tables: string[] = [];
  readonly elements: NftElementRow[] = [];

  take(row: Row): void {
    if (row.kind === 'sysctl') this.sysctls.push(`echo ${row.value} > /proc/sys/${row.name}`);
    else if (row.kind === 'link') this.ip.push(`link set ${row.name} up`);
    else if (row.kind === 'address') this.ip.push(addressLine(row));
    else if (row.kind === 'route') this.ip.push(routeLine(row));
    else if (row.kind === 'nft-table') this.tables.push(tableText(row, true));
    else if (row.kind === 'nft-element') this.elements.push(row);
    else throw new Error(`the shell yardstick has no line for ${row.key}`);
  }
}

/** The lines of one `ip -batch` on the host, and what goes into the namespaces. */
class ScriptParts {
  readonly first: string[] = [];
  readonly taps: string[] = [];
  readonly namespaces = new Map<string, NamespaceFiles>();

  /** Rows in the order they are made. */
  constructor(rows: readonly Row[]) {
    for (const row of rows) {
      if (row.kind === 'netns') {
        this.first.push(`netns add ${row.ns}`);
        this.namespaces.set(row.ns, new NamespaceFiles());
      }
      if (row.kind === 'link') this.first.push(...linkLines(row));
      if (row.kind === 'link' && row.ns === '' && row.type === 'veth') this.taps.push(tapLine(row));
      if (row.ns !== '' && row.kind !== 'netns') this.namespaces.get(row.ns)?.take(row);
    }
  }
}

/**
 * Write the script and its batch files into a directory; `parts` are made one after the other, each complete
 * before the next, as an agent makes routers. Returns the script's path.
 */
export function writeShellScript(parts: readonly (readonly Row[])[], directory: string): string {
  const write = (name: string, lines: readonly string[]): string => {
    const path = join(directory, name);
    fs.writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  };
  const script = ['set -e'];
  for (const [position, rows] of parts.entries()) {
    const { first, taps, namespaces } = new ScriptParts(rows);
    script.push(`ip -batch ${write(`${position}.links`, [...first, ...taps])}`);
    for (const [ns, { sysctls, ip, tables, elements }] of namespaces) {
      const ruleset = write(`${ns}.nft`, [...tables, elementsText('add', elements)]);
      const batch = write(`${ns}.ip`, ip);
      const inside = write(`${ns}.sh`, [
        'set -e',
        ...sysctls,
        `nft -f ${ruleset}`,
        `exec ip -batch ${batch}`,
      ]);
      script.push(`ip netns exec ${ns} sh ${inside}`);
    }
  }
  return write('all.sh', script);
}
