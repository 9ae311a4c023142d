import type { NftTableState } from '../kernel/nft-table.ts';
import type { NamespaceName, NftElementRow, NftTableRow, Row } from './rows.ts';

/** An nftables table as it is read back: structure and rule marks, not rule texts. */
export interface ActualNftTable {
  readonly kind: 'nft-table';
  readonly key: string;
  readonly ns: NamespaceName;
  readonly family: NftTableRow['family'];
  readonly name: string;
  readonly state: NftTableState;
}

/** A row as the kernel (or the disk, or the process table) shows it. */
export type ActualRow = Exclude<Row, NftTableRow> | ActualNftTable;

/** Everything read of one namespace, by key. Without a `netns` row the namespace does not exist. */
export type Actual = ReadonlyMap<string, ActualRow | NftTableRow>;

export const elementKey = (
  ns: NamespaceName,
  family: NftElementRow['family'],
  table: string,
  set: string,
  element: string,
): string => `${ns}|nft-element|${family} ${table}|${set}|${element}`;
