/** What the kernel refused of a transaction, in words: which chain and rule, which set and element. */
import { ipText } from './ip-bytes.ts';
import { KernelError } from './libc.ts';
import { attributeList, attributes, HEADER, messages, type TransactionRefusal, textOf } from './netlink.ts';
import { ELEMENT, ELEMENTS, TABLE } from './nft-batch.ts';
import { CHAIN, MESSAGE, RULE, SET } from './nft-messages.ts';
import { commentOf } from './nft-table.ts';

/** The text of a rule by its comment; undefined if it is not known. */
export type RuleOf = (comment: string) => string | undefined;

const NFGENMSG = 4;
const VALUE = 1;

const addressIn = (data: Buffer | undefined): string => {
  const bytes = data && attributes(data).get(VALUE);
  return bytes ? ipText(bytes) : '';
};

/** The element that the kernel pointed at, as text. */
function elementAt(list: Buffer, offset: number): string | undefined {
  for (const { value } of attributeList(list)) {
    const end = value.byteOffset - list.byteOffset + value.length;
    if (offset >= end) continue;
    const element = attributes(value);
    const data = element.get(ELEMENT.data);
    return `${addressIn(element.get(ELEMENT.key))}${data ? ` : ${addressIn(data)}` : ''}`;
  }
  return undefined;
}

function elementWords(payload: Buffer, values: Map<number, Buffer>, { offset }: TransactionRefusal): string {
  const set = textOf(values.get(ELEMENTS.set));
  const list = values.get(ELEMENTS.list);
  if (!list || offset === undefined) return `elements of ${set}`;
  const inList = offset - HEADER - (list.byteOffset - payload.byteOffset);
  const element = inList < 0 ? undefined : elementAt(list, inList);
  return element ? `element ${element} of ${set}` : `elements of ${set}`;
}

/** What a message of a transaction was about: table, and what in it. */
function subject(type: number, payload: Buffer, refusal: TransactionRefusal, ruleOf?: RuleOf): string {
  const values = attributes(payload, NFGENMSG);
  // All of them begin with the table's name.
  const table = `table inet ${textOf(values.get(TABLE.name))}`;
  switch (type & 0xff) {
    case MESSAGE.newChain:
      return `${table}, chain ${textOf(values.get(CHAIN.name))}`;
    case MESSAGE.newRule: {
      const comment = commentOf(values.get(RULE.userdata));
      const rule = ruleOf?.(comment) ?? comment;
      return `${table}, chain ${textOf(values.get(RULE.chain))}, rule ${JSON.stringify(rule)}`;
    }
    case MESSAGE.newSet:
      return `${table}, set ${textOf(values.get(SET.name))}`;
    case MESSAGE.newElement:
    case MESSAGE.deleteElement:
      return `${table}, ${elementWords(payload, values, refusal)}`;
    default:
      return table;
  }
}

/** One sentence on one refusal of a transaction. */
export function refusalWords(batch: Buffer, refusal: TransactionRefusal, ruleOf?: RuleOf): string {
  const { sequence, errno, words } = refusal;
  for (const { type, sequence: found, payload } of messages(batch))
    if (found === sequence && sequence !== 0)
      return new KernelError(subject(type, payload, refusal, ruleOf), errno, words).message;
  return new KernelError('transaction', errno, words).message;
}
