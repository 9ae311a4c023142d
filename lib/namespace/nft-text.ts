/**
 * nftables rows as text for libnftables. Each rule carries a mark in its comment: a hash of its text, by
 * which a later process tells without memory whether the rule in the kernel is still the one that is
 * wanted (as Felix does with iptables comments). Source: nft(8).
 */
import type { NftChange, NftElementPart, NftTablePart } from '../kernel/nft-batch.ts';
import type { NftChainPart } from '../kernel/nft-messages.ts';

const marks = new Map<string, string>();
const MARKS_KEPT = 50_000;

/**
 * 32 bits of a text, each of which depends on all of it (MurmurHash's mixing). OpenSSL would take five microseconds
 * for each of the four rules that are a router's own.
 */
function hashOf(text: string): number {
  let hash = text.length;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The comment of a rule: '#' and 8 hex digits. */
export function ruleMark(rule: string): string {
  const known = marks.get(rule);
  if (known) return known;
  if (marks.size > MARKS_KEPT) marks.clear();
  const mark = `#${hashOf(rule).toString(16).padStart(8, '0')}`;
  marks.set(rule, mark);
  return mark;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const TYPE = /^[a-z][a-z0-9_. ]*( : [a-z][a-z0-9_. ]*)?$/;
const ADDRESS = /^[0-9a-fA-F:.]+(\/\d+)?$/;

function checked(pattern: RegExp, value: string, what: string): string {
  if (!pattern.test(value)) throw new TypeError(`not a valid nftables ${what}: ${JSON.stringify(value)}`);
  return value;
}

/** A rule must end where its mark begins: no second one, no comment of its own, no open quote. */
function checkedRule(rule: string): string {
  if (/[\n;{}]/.test(rule)) throw new TypeError(`more than one rule in ${JSON.stringify(rule)}`);
  if (/["#\\]|\bcomment\b/.test(rule.replace(/"[^"\\]*"/g, '')))
    throw new TypeError(`comment or open quote in rule ${JSON.stringify(rule)}`);
  return rule;
}

function chainText(chain: NftChainPart): string {
  const { hook } = chain;
  const head = hook
    ? [`\t\ttype ${hook.type} hook ${hook.hook} priority ${hook.priority}; policy accept;`]
    : [];
  const rules = chain.rules.map((rule) => `\t\t${checkedRule(rule)} comment "${ruleMark(rule)}"`);
  return [`\tchain ${checked(NAME, chain.name, 'chain name')} {`, ...head, ...rules, '\t}'].join('\n');
}

/** The table and its structure, without elements. `fresh`: no table of that name exists. */
export function tableText(table: NftTablePart, fresh: boolean): string {
  const name = `${table.family} ${checked(NAME, table.name, 'table name')}`;
  const sets = table.sets.map((set) => {
    const flags = set.flags?.length ? ` flags ${set.flags.join(',')};` : '';
    const word = set.type.includes(' : ') ? 'map' : 'set';
    return `\t${word} ${checked(NAME, set.name, 'set name')} { type ${checked(TYPE, set.type, 'set type')};${flags} }`;
  });
  const body = [`table ${name} {`, ...sets, ...table.chains.map(chainText), '}'].join('\n');
  // Deleting and adding in one transaction swaps the ruleset without a moment in between; but a deletion
  // makes the kernel wait 13 ms, so only where there is something to delete.
  return fresh ? body : `delete table ${name}\n${body}`;
}

export const deleteTableText = (table: { family: string; name: string }): string =>
  `delete table ${table.family} ${checked(NAME, table.name, 'table name')}`;

const elementOf = (row: NftElementPart): string => {
  const key = checked(ADDRESS, row.element, 'element');
  return row.value === undefined ? key : `${key} : ${checked(ADDRESS, row.value, 'element')}`;
};

/** Add or delete elements, one command for each map. */
export function elementsText(verb: 'add' | 'delete', rows: readonly NftElementPart[]): string {
  const bySet = new Map<string, NftElementPart[]>();
  for (const row of rows) {
    const set = `${row.family} ${checked(NAME, row.table, 'table name')} ${checked(NAME, row.set, 'set name')}`;
    bySet.set(set, [...(bySet.get(set) ?? []), row]);
  }
  return [...bySet]
    .map(([set, list]) => `${verb} element ${set} { ${list.map(elementOf).join(', ')} }`)
    .join('\n');
}

/** Changes in their order, as commands of one transaction. */
export const changesText = (changes: readonly NftChange[]): string => changes.map(changeText).join('\n');

function changeText(change: NftChange): string {
  switch (change.verb) {
    case 'delete table':
      return deleteTableText(change.table);
    case 'add table':
      return tableText(change.table, true);
    case 'replace table':
      return tableText(change.table, false);
    case 'delete elements':
      return elementsText('delete', change.elements);
    case 'add elements':
      return elementsText('add', change.elements);
  }
}
