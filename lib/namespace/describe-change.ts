import type { NftTableRow, Row } from './rows.ts';

/** Fields that are not facts about the kernel object: identity, and instructions for the change itself. */
const NOT_FACTS = new Set([
  'key',
  'kind',
  'ns',
  'announce',
  'flushConntrack',
  'tolerant',
  'reloads',
  'optional',
]);

/**
 * What differs between a row as it is and as it should be, one line per difference:
 * `mtu 1500, should be 1450`; for rulesets and files the lines concerned, `-` wanted and missing, `+` there and
 * unwanted. Empty when only fields differ that say how to change, not what is.
 */
export function describeChange(actual: Row, desired: Row): string[] {
  const [is, should] = [facts(actual), facts(desired)];
  const names = new Set([...Object.keys(should), ...Object.keys(is)]);
  return [...names].flatMap((name) => {
    const [have, want] = [is[name], should[name]];
    // What the desired row leaves open may be anything.
    if (want === undefined || plain(have) === plain(want)) return [];
    if (typeof want === 'string' && want.includes('\n')) return lineChanges(String(have ?? ''), want);
    if (
      desired.kind === 'nft-table' &&
      actual.kind === 'nft-table' &&
      (name === 'chains' || name === 'sets')
    ) {
      return lineChanges(tableLines(actual, name), tableLines(desired, name));
    }
    return [`${name} ${plain(have)}, should be ${plain(want)}`];
  });
}

function facts(row: Row): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !NOT_FACTS.has(name)));
}

function plain(value: unknown): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function tableLines(row: NftTableRow, part: 'chains' | 'sets'): string {
  if (part === 'sets') return row.sets.map((set) => `set ${set.name}: ${set.type}`).join('\n');
  return row.chains
    .flatMap((chain) => [`chain ${chain.name}`, ...chain.rules.map((rule) => `chain ${chain.name}: ${rule}`)])
    .join('\n');
}

/** Lines of one text and not of the other, in their order. Enough to see what is wrong; not a patch. */
function lineChanges(actual: string, desired: string): string[] {
  const [is, should] = [actual.split('\n'), desired.split('\n')];
  const [present, wanted] = [new Set(is), new Set(should)];
  const changes = [
    ...should.filter((line) => !present.has(line)).map((line) => `- ${line}`),
    ...is.filter((line) => !wanted.has(line)).map((line) => `+ ${line}`),
  ];
  return changes.length > 0 ? changes : ['the same lines in another order'];
}
