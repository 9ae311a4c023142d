import { encodeBatch, type NftChange } from '../kernel/nft-batch.ts';
import { loadRuleset, sendBatch } from '../kernel/nftables.ts';
import { changesText, ruleMark } from './nft-text.ts';

/** Changes as ready netlink messages; undefined if something in them is left to libnftables. */
export const changesBatch = (changes: readonly NftChange[]): Buffer | undefined =>
  encodeBatch(changes, ruleMark);

/** The text of a rule by its mark, among those that were to be loaded. */
function ruleOf(changes: readonly NftChange[], mark: string): string | undefined {
  for (const change of changes)
    if (change.verb === 'add table' || change.verb === 'replace table')
      for (const { rules } of change.table.chains)
        for (const rule of rules) if (ruleMark(rule) === mark) return rule;
  return undefined;
}

/**
 * Carry out changes of a namespace's tables as one transaction: as messages of our own where every rule is
 * understood, else as text by libnftables, which costs three times as much.
 * @throws NftablesError if the kernel refuses it; TypeError if a part of it can't stand in a ruleset
 */
export function loadChanges(ns: string, changes: readonly NftChange[]): void {
  if (changes.length === 0) return;
  const batch = changesBatch(changes);
  if (batch) sendBatch(ns, batch, (mark) => ruleOf(changes, mark));
  else loadRuleset(ns, changesText(changes));
}
