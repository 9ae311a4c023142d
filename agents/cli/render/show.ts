import { describeRow } from '../../../lib/namespace/describe.ts';
import { describeChange } from '../../../lib/namespace/describe-change.ts';
import type { RowKind } from '../../../lib/namespace/rows.ts';
import { type Output, paint, printable, type Style } from '../output.ts';
import { plural } from '../subject.ts';
import { driftOf, healthOf, type OwnerState, type RowState, rowOf } from './state.ts';

/** Headings in the order one builds, and debugs, a namespace. */
const HEADINGS: Readonly<Record<RowKind, string>> = {
  netns: 'namespace',
  'ovs-port': 'switch ports',
  link: 'links',
  address: 'addresses',
  route: 'routes',
  rule: 'rules',
  neighbour: 'neighbours',
  sysctl: 'sysctls',
  'nft-table': 'nftables',
  'nft-element': 'nftables elements',
  xtables: 'iptables',
  file: 'files',
  daemon: 'processes',
};

const MARKS: Readonly<Record<RowState['state'], readonly [string, Style]>> = {
  ok: ['✓', 'green'],
  missing: ['- missing:', 'red'],
  changed: ['~ changed:', 'yellow'],
  extra: ['+ extra:', 'red'],
  unknown: ['?', 'yellow'],
};

/** Everything of one owner: what should be, and beside it what is. */
export function renderOwner({ color }: Pick<Output, 'color'>, owner: OwnerState): string[] {
  const name = owner.name === undefined ? '' : ` "${printable(owner.name)}"`;
  const lines = [
    paint(color, 'bold', `${owner.kind} ${owner.id}${name}`),
    `  ${owner.namespace ? `namespace ${owner.namespace}` : 'on the host'}, ${summary(owner)}`,
  ];
  for (const [kind, heading] of Object.entries(HEADINGS)) {
    const rows = owner.rows.filter((row) => rowOf(row).kind === kind);
    if (rows.length === 0) continue;
    lines.push(`  ${heading}`);
    for (const row of rows)
      lines.push(...renderRow(color, owner.namespace, row).map((line) => `    ${line}`));
  }
  return lines;
}

/** One row with its mark; a changed one is followed by what differs. */
export function renderRow(color: boolean, home: string, row: RowState): string[] {
  const [mark, style] = MARKS[row.state];
  const subject = rowOf(row);
  const place = subject.ns === home || subject.kind === 'netns' ? '' : ` [in ${subject.ns || 'the host'}]`;
  const head = `${paint(color, style, mark)} ${printable(describeRow(subject))}${place}`;
  if (row.state !== 'changed') return [head];
  return [head, ...changeLines(row).map((change) => `    ${printable(change)}`)];
}

/** What differs. A route is clearer whole than as a list of fields. */
export function changeLines({ actual, desired, reason }: Extract<RowState, { state: 'changed' }>): string[] {
  if (actual.kind === 'route') return [reason, `it is: ${describeRow(actual)}`];
  const lines = describeChange(actual, desired);
  return lines.length > 0 ? lines : [reason];
}

function summary(owner: OwnerState): string {
  const drift = driftOf(owner);
  switch (healthOf(owner)) {
    case 'converged':
      return `converged (${plural(owner.rows.length, 'row')})`;
    case 'absent':
      return `absent: none of its ${owner.rows.length} rows is there`;
    case 'drifted':
      return `drifted: ${drift} of ${plural(owner.rows.length, 'row')}`;
    case 'unknown':
      return `unknown: ${printable(owner.unreadable ?? 'not read yet')}`;
  }
}
