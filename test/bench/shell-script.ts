/**
 * The shell yardsticks: the same objects by scripts, router by router.
 *
 * - plain: what a careful operator writes. One `ip -batch` makes namespace, bridges and veth pairs; then one `sysctl -p`,
 *   one `nft -f` and one `ip -batch` in the namespace. Six programs for a router, none for a single object.
 * - tight: as few programs as can be. One `ip netns exec` of one shell, which writes the parameters itself, runs
 *   `nft -f` and becomes the last `ip -batch`.
 * - together: tight, with one `ip -batch` for the namespaces and devices of all routers at once, which no agent
 *   could do: routers come one by one.
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
  readonly sysctls: [name: string, value: string][] = [];
  readonly ip: string[] = [];
  readonly tables: string[] = [];
  readonly elements: NftElementRow[] = [];

  take(row: Row): void {
    if (row.kind === 'sysctl') this.sysctls.push([row.name, row.value]);
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

export type Style = 'plain' | 'tight';

/** What is done in one namespace, once its devices are there. */
function insideLines(style: Style, ns: string, files: NamespaceFiles, write: Write): string[] {
  const { sysctls, ip, tables, elements } = files;
  const ruleset = write(`${ns}.nft`, [...tables, elementsText('add', elements)]);
  const batch = write(`${ns}.ip`, ip);
  if (style === 'plain') {
    const parameters = write(
      `${ns}.sysctl`,
      sysctls.map(([name, value]) => `${name} = ${value}`),
    );
    return [
      `ip netns exec ${ns} sysctl -q -p ${parameters}`,
      `ip netns exec ${ns} nft -f ${ruleset}`,
      `ip -n ${ns} -batch ${batch}`,
    ];
  }
  const script = write(`${ns}.sh`, [
    'set -e',
    ...sysctls.map(([name, value]) => `echo ${value} > /proc/sys/${name}`),
    `nft -f ${ruleset}`,
    `exec ip -batch ${batch}`,
  ]);
  return [`ip netns exec ${ns} sh ${script}`];
}

/** Puts lines into a file of this name; its path. */
type Write = (name: string, lines: readonly string[]) => string;

/**
 * Write the script and its batch files into a directory; `parts` are made one after the other, each complete
 * before the next, as an agent makes routers. Returns the script's path.
 */
export function writeShellScript(
  parts: readonly (readonly Row[])[],
  directory: string,
  style: Style,
): string {
  const write: Write = (name, lines) => {
    const path = join(directory, name);
    fs.writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  };
  const script = ['set -e'];
  for (const [position, rows] of parts.entries()) {
    const { first, taps, namespaces } = new ScriptParts(rows);
    script.push(`ip -batch ${write(`${position}.links`, [...first, ...taps])}`);
    for (const [ns, files] of namespaces) script.push(...insideLines(style, ns, files, write));
  }
  return write('all.sh', script);
}
