import { readFileSync } from 'node:fs';
import { compileRouter } from '../../../../agents/l3/compile/router.ts';
import { type L3Options, l3Options } from '../../../../agents/l3/options.ts';
import { parseRouter, type Router } from '../../../../lib/model/router.ts';
import { elementsText, tableText } from '../../../../lib/namespace/nft-text.ts';
import type { NftElementRow, NftTableRow, Row, RowGroup } from '../../../../lib/namespace/rows.ts';

const HOST = { name: 'net-1' };

/** A router of a recorded sync_routers answer of Neutron 21. */
export function recordedRouter(scenario: string, file: string): Router {
  const url = new URL(`../../../fixtures/recorded/${scenario}/${file}.json`, import.meta.url);
  const routers = JSON.parse(readFileSync(url, 'utf8')) as unknown[];
  return parseRouter(routers[0]);
}

export const compiled = (router: Router, options: Partial<L3Options> = {}): RowGroup[] =>
  compileRouter({ router, host: HOST, options: l3Options(options) });

/** One row per line: its key, then what else it says. Tables are only named: their text has its own golden file. */
export const renderedRows = (groups: readonly RowGroup[]): string =>
  `${groups.map((group) => group.map(renderedRow).join('\n')).join('\n\n')}\n`;

/** Said by the key already, or so in nearly every row. */
const IN_KEY = new Set([
  'kind',
  'key',
  'ns',
  'name',
  'dev',
  'ip',
  'prefix',
  'family',
  'table',
  'set',
  'element',
  'destination',
]);
const USUAL: Readonly<Record<string, unknown>> = { up: true, metric: 0, scope: 'global', protocol: 4 };

function renderedRow(row: Row): string {
  if (row.kind === 'nft-table') return row.key;
  const fields = Object.entries(row)
    .filter(
      ([name, value]) => !IN_KEY.has(name) && value !== undefined && value !== false && value !== USUAL[name],
    )
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : String(value)}`);
  return [row.key, ...fields].join(' ');
}

/** The ruleset of the groups as the namespace library loads it. */
export function loadedRuleset(groups: readonly RowGroup[]): string {
  const rows = groups.flat();
  const tables = rows.filter((row) => row.kind === 'nft-table').map((row) => tableText(row, true));
  const elements = rows.filter((row) => row.kind === 'nft-element');
  return `${[...tables, elementsText('add', elements)].join('\n')}\n`;
}

/** The ruleset of the groups for people, elements included. */
export function renderedRuleset(groups: readonly RowGroup[]): string {
  const rows = groups.flat();
  const table = rows.find((row): row is NftTableRow => row.kind === 'nft-table')!;
  const elements = rows.filter((row): row is NftElementRow => row.kind === 'nft-element');
  const lines = [`table ${table.family} ${table.name} {`];
  for (const set of table.sets) {
    const own = elements.filter((element) => element.set === set.name);
    lines.push(`\tmap ${set.name} {`, `\t\ttype ${set.type}`);
    if (own.length > 0)
      lines.push(`\t\telements = { ${own.map((row) => `${row.element} : ${row.value}`).join(', ')} }`);
    lines.push('\t}');
  }
  for (const chain of table.chains) {
    lines.push(`\tchain ${chain.name} {`);
    if (chain.hook)
      lines.push(
        `\t\ttype ${chain.hook.type} hook ${chain.hook.hook} priority ${chain.hook.priority}; policy accept;`,
      );
    lines.push(...chain.rules.map((rule) => `\t\t${rule}`), '\t}');
  }
  return [...lines, '}', ''].join('\n');
}
