import type { ActualNftTable, ActualRow } from '../../lib/namespace/actual.ts';
import { ruleMark } from '../../lib/namespace/nft-text.ts';
import type { NftTableRow, Row } from '../../lib/namespace/rows.ts';

/**
 * An actual row in the form of a desired one, so that the two can be shown side by side. What can't be read
 * back (the other end of a veth pair, how an address is announced) is taken from the desired row; rules are
 * known by their marks, so a mark of a wanted rule becomes that rule's text again. Pure.
 */
export function asSeen(actual: ActualRow | NftTableRow, desired?: Row): Row {
  if (actual.kind === 'nft-table') {
    const wanted = desired?.kind === 'nft-table' ? desired : undefined;
    return 'state' in actual ? tableAsSeen(actual, wanted) : actual;
  }
  if (!desired) return actual;
  if (actual.kind === 'link' && desired.kind === 'link') {
    const type = desired.type === 'physical' ? desired.type : actual.type;
    const { peer } = desired;
    return {
      ...actual,
      type,
      ...(peer ? { peer } : {}),
      addrGenMode: desired.addrGenMode === 'none' ? actual.addrGenMode : desired.addrGenMode,
    };
  }
  if (actual.kind === 'address' && desired.kind === 'address') return { ...desired, scope: actual.scope };
  return actual;
}

function tableAsSeen({ key, ns, family, name, state }: ActualNftTable, wanted?: NftTableRow): NftTableRow {
  const texts = new Map<string, string>();
  for (const chain of wanted?.chains ?? []) for (const rule of chain.rules) texts.set(ruleMark(rule), rule);
  return {
    kind: 'nft-table',
    key,
    ns,
    family,
    name,
    chains: state.chains.map((chain) => ({
      name: chain.name,
      ...(chain.hook ? { hook: chain.hook as NonNullable<NftTableRow['chains'][number]['hook']> } : {}),
      rules: chain.rules.map(
        (mark) => texts.get(mark) ?? (mark ? `a rule marked ${mark}` : 'a foreign rule'),
      ),
    })),
    sets: state.sets.map(({ name: set, dataLength }) => ({
      name: set,
      type: wanted?.sets.find((other) => other.name === set)?.type ?? (dataLength > 0 ? 'a map' : 'a set'),
    })),
  };
}
