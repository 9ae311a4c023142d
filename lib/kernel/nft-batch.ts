/**
 * Changes of nftables' tables as one transaction of netlink messages, ready to be sent. What libnftables would
 * send for the same, at a third of its cost: before that it reads what is there, parses and checks.
 * Source: include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h.
 */
import { addressWords } from './nft-address.ts';
import {
  BATCH_BEGIN,
  BATCH_END,
  ChainMessages,
  type Comment,
  CREATE,
  MESSAGE,
  NAME,
  type NftChainPart,
  type NftSetPart,
  out,
  setMessage,
  written,
} from './nft-messages.ts';

export const ELEMENTS = { table: 1, set: 2, list: 3 };
export const ELEMENT = { key: 1, data: 2 };
export const TABLE = { name: 1, flags: 2 };
const LIST_ELEM = 1;
/** The list of elements is one attribute, and an attribute has 64 KiB at most; an IPv6 pair takes 52 bytes. */
const ELEMENTS_OF_A_MESSAGE = 1000;

export interface NftTablePart {
  readonly family: string;
  readonly name: string;
  readonly sets: readonly NftSetPart[];
  readonly chains: readonly NftChainPart[];
}

export interface NftElementPart {
  readonly family: string;
  readonly table: string;
  readonly set: string;
  readonly element: string;
  readonly value?: string;
}

/** In the order in which they are to happen. */
export type NftChange =
  | { readonly verb: 'delete table'; readonly table: Pick<NftTablePart, 'family' | 'name'> }
  | { readonly verb: 'add table' | 'replace table'; readonly table: NftTablePart }
  | { readonly verb: 'add elements' | 'delete elements'; readonly elements: readonly NftElementPart[] };

/** A table of one name: its parts are kept, as most of them are the same in every namespace. */
class TableMessages {
  private readonly name: string;
  private readonly head: Int32Array;
  private readonly removal: Int32Array;
  private readonly sets = new Map<string, { part: NftSetPart; words: Int32Array }>();
  private readonly chains = new Map<string, ChainMessages>();

  constructor(name: string) {
    this.name = name;
    this.head = written(() => {
      const start = out.begin(MESSAGE.newTable, 0);
      out.text(TABLE.name, name);
      out.number(TABLE.flags, 0);
      out.end(start);
    });
    this.removal = written(() => {
      const start = out.begin(MESSAGE.deleteTable, 0);
      out.text(TABLE.name, name);
      out.end(start);
    });
  }

  private chain(part: NftChainPart): ChainMessages | undefined {
    const known = this.chains.get(part.name);
    if (known?.isOf(part)) return known;
    if (!NAME.test(part.name)) return undefined;
    const chain = new ChainMessages(this.name, part);
    this.chains.set(part.name, chain);
    return chain;
  }

  private set(part: NftSetPart): Int32Array | undefined {
    const known = this.sets.get(part.name);
    if (known && known.part.type === part.type && `${known.part.flags}` === `${part.flags}`)
      return known.words;
    if (!NAME.test(part.name)) return undefined;
    const words = setMessage(this.name, part);
    if (words) this.sets.set(part.name, { part, words });
    return words;
  }

  writeRemoval(): void {
    out.put(this.removal);
  }

  /** In nft's order: chains, sets, rules. False: something in it is not understood. */
  write({ chains, sets }: NftTablePart, commentOf: Comment): boolean {
    out.put(this.head);
    for (const part of chains) {
      const chain = this.chain(part);
      if (!chain) return false;
      chain.writeHead();
    }
    for (const part of sets) {
      const words = this.set(part);
      if (!words) return false;
      out.put(words);
    }
    return chains.every((part) => this.chains.get(part.name)!.writeRules(part.rules, commentOf));
  }
}

const tables = new Map<string, TableMessages>();

function tableMessages({ family, name }: { family: string; name: string }): TableMessages | undefined {
  if (family !== 'inet') return undefined;
  const known = tables.get(name);
  if (known) return known;
  if (!NAME.test(name)) return undefined;
  const made = new TableMessages(name);
  tables.set(name, made);
  return made;
}

function writeElement({ element, value }: NftElementPart, removing: boolean): boolean {
  const key = addressWords(element);
  const data = value === undefined ? undefined : addressWords(value);
  if (!key || (value !== undefined && !data)) return false;
  const start = out.open(LIST_ELEM);
  out.value(ELEMENT.key, key);
  if (data && !removing) out.value(ELEMENT.data, data);
  out.close(start);
  return true;
}

/** Elements of one set. False: something is not understood (an interval, say). */
function writeElements(list: readonly NftElementPart[], removing: boolean): boolean {
  const [{ family, table, set }] = list as [NftElementPart];
  if (family !== 'inet' || !NAME.test(table) || !NAME.test(set)) return false;
  for (let at = 0; at < list.length; at += ELEMENTS_OF_A_MESSAGE) {
    const start = removing ? out.begin(MESSAGE.deleteElement, 0) : out.begin(MESSAGE.newElement, CREATE);
    out.text(ELEMENTS.table, table);
    out.text(ELEMENTS.set, set);
    const nested = out.open(ELEMENTS.list);
    const end = Math.min(at + ELEMENTS_OF_A_MESSAGE, list.length);
    for (let i = at; i < end; i++) if (!writeElement(list[i]!, removing)) return false;
    out.close(nested);
    out.end(start);
  }
  return true;
}

function bySet(elements: readonly NftElementPart[]): NftElementPart[][] {
  const lists: NftElementPart[][] = [];
  for (const element of elements) {
    const { family, table, set } = element;
    const list = lists.find(([of]) => of!.set === set && of!.table === table && of!.family === family);
    if (list) list.push(element);
    else lists.push([element]);
  }
  return lists;
}

function writeChange(change: NftChange, commentOf: Comment): boolean {
  if ('elements' in change) {
    for (const list of bySet(change.elements))
      if (!writeElements(list, change.verb === 'delete elements')) return false;
    return true;
  }
  const messagesOf = tableMessages(change.table);
  if (!messagesOf) return false;
  if (change.verb !== 'add table') messagesOf.writeRemoval();
  return change.verb === 'delete table' || messagesOf.write(change.table, commentOf);
}

/**
 * The transaction as one buffer of its own, to be sent whole on a NETLINK_NETFILTER socket in the namespace.
 * `commentOf` is the comment a rule gets; it must always be the same for the same rule. Undefined:
 * something in it is not understood or not valid, so that libnftables has to be asked.
 */
export function encodeBatch(changes: readonly NftChange[], commentOf: Comment): Buffer | undefined {
  out.length = 0;
  out.bound(BATCH_BEGIN);
  for (const change of changes) if (!writeChange(change, commentOf)) return undefined;
  out.bound(BATCH_END);
  return out.bytes;
}
