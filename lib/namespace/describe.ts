import type { AddressRow, LinkRow, NeighbourRow, NftElementRow, RouteRow, Row, RuleRow } from './rows.ts';

/**
 * One row in the operator's terms, on one line, near to what `ip`, `sysctl` and `nft` call it:
 * `address 10.0.0.1/24 dev qr-1234`. The namespace is left to whoever prints it.
 */
export function describeRow(row: Row): string {
  switch (row.kind) {
    case 'netns':
      return `namespace ${row.ns}`;
    case 'link':
      return words(describeSubject(row), row.type, ...linkWords(row));
    case 'ovs-port':
      return words(describeSubject(row), row.type, `bridge ${row.bridge}`, `iface-id ${row.ifaceId}`);
    case 'address':
      return words(describeSubject(row), ...addressWords(row));
    case 'route':
      return words(describeSubject(row), ...routeWords(row));
    case 'rule':
      return words(describeSubject(row), ...ruleWords(row));
    case 'neighbour':
      return words(describeSubject(row), ...neighbourWords(row));
    case 'sysctl':
      return `${describeSubject(row)} = ${row.value}`;
    case 'nft-table':
      return `${describeSubject(row)} (${count(row.chains.length, 'chain')}, ${count(row.sets.length, 'set')})`;
    case 'nft-element':
      return words(describeSubject(row), ...elementWords(row));
    case 'xtables':
      return words(describeSubject(row), row.chains.length > 0 && `(${count(row.chains.length, 'chain')})`);
    case 'file':
      return `${describeSubject(row)} (${count(row.content.length, 'character')}, mode ${octal(row.mode)})`;
    case 'daemon':
      return describeSubject(row);
  }
}

/** Which object a row is about, without its values: what stays the same when a row changes. */
export function describeSubject(row: Row): string {
  switch (row.kind) {
    case 'netns':
      return `namespace ${row.ns}`;
    case 'link':
      return `link ${row.name}`;
    case 'ovs-port':
      return `switch port ${row.name}`;
    case 'address':
      return `address ${row.ip}/${row.prefix} dev ${row.dev}`;
    case 'route':
      return words(`route ${destination(row)}`, row.table !== 254 && `table ${row.table}`, metric(row));
    case 'rule':
      return `rule ${row.priority}${row.family === 6 ? ' (IPv6)' : ''}`;
    case 'neighbour':
      return `${row.proxy ? 'proxy neighbour' : 'neighbour'} ${row.ip} dev ${row.dev}`;
    case 'sysctl':
      return `sysctl ${sysctlName(row.name)}`;
    case 'nft-table':
      return `nftables table ${row.family} ${row.name}`;
    case 'nft-element':
      return `nftables ${row.family} ${row.table} ${row.set} element ${row.element}`;
    case 'xtables':
      return `${row.family === 'ip' ? 'iptables' : 'ip6tables'} rules of neutron-l3-agent`;
    case 'file':
      return `file ${row.path}`;
    case 'daemon':
      return `process ${row.service} of ${row.id}`;
  }
}

function linkWords(row: LinkRow): (string | false)[] {
  return [
    row.mac !== undefined && `mac ${row.mac}`,
    row.mtu !== undefined && `mtu ${row.mtu}`,
    row.up ? 'up' : 'down',
    row.master !== undefined && `master ${row.master}`,
    row.peer !== undefined && `peer ${row.peer.name} in ${row.peer.ns || 'the host'}`,
  ];
}

function addressWords(row: AddressRow): (string | false)[] {
  return [
    row.scope !== 'global' && `scope ${row.scope}`,
    row.nodad && 'nodad',
    row.keeper !== undefined && `kept by ${row.keeper}`,
  ];
}

function routeWords(row: RouteRow): (string | false)[] {
  const nexthops = row.nexthops.map(({ via, dev, weight }) =>
    words(
      row.nexthops.length > 1 && 'nexthop',
      via !== undefined && `via ${via}`,
      dev !== undefined && `dev ${dev}`,
      row.nexthops.length > 1 && `weight ${weight}`,
    ),
  );
  return [
    ...nexthops,
    row.scope !== 'global' && `scope ${row.scope}`,
    row.onlink && 'onlink',
    row.source !== undefined && `src ${row.source}`,
    row.keeper !== undefined && `kept by ${row.keeper}`,
  ];
}

const withoutHostPrefix = (cidr: string, family: 4 | 6): string =>
  cidr.replace(family === 4 ? /\/32$/ : /\/128$/, '');

function ruleWords(row: RuleRow): (string | false)[] {
  const mark = row.fwmark;
  return [
    `from ${row.from === undefined ? 'all' : withoutHostPrefix(row.from, row.family)}`,
    row.to !== undefined && `to ${withoutHostPrefix(row.to, row.family)}`,
    row.iif !== undefined && `iif ${row.iif}`,
    row.oif !== undefined && `oif ${row.oif}`,
    mark !== undefined && `fwmark 0x${mark.value.toString(16)}/0x${mark.mask.toString(16)}`,
    `lookup ${row.table === 254 ? 'main' : row.table}`,
  ];
}

const neighbourWords = (row: NeighbourRow): (string | false)[] => [
  row.mac !== undefined && `lladdr ${row.mac} permanent`,
];

const elementWords = (row: NftElementRow): (string | false)[] => [
  row.value !== undefined && `→ ${row.value}`,
];

function destination(row: RouteRow): string {
  if (row.destination === '0.0.0.0/0') return 'default';
  return row.destination === '::/0' ? 'default (IPv6)' : row.destination;
}

const metric = (row: RouteRow): string | false => row.metric !== 0 && `metric ${row.metric}`;

/** /proc path to sysctl's notation: slashes become dots, and dots (of a VLAN device's name) slashes. */
const sysctlName = (path: string): string => path.replace(/[/.]/g, (sign) => (sign === '/' ? '.' : '/'));

const octal = (mode: number): string => mode.toString(8).padStart(4, '0');

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;

const words = (...parts: (string | false)[]): string =>
  parts.filter((part) => part !== false && part !== '').join(' ');
