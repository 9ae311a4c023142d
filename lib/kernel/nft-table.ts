/**
 * Reading one nftables table by nfnetlink: its chains, its rules' comments, its named sets and their
 * elements. Reading raw is ten times cheaper than a listing through libnftables, and a restart reads every
 * table of the host. Source: include/uapi/linux/netfilter/nf_tables.h.
 */
import { ipText } from './ip-bytes.ts';
import {
  attributeList,
  attributes,
  type Message,
  MessageWriter,
  type NetlinkSocket,
  textOf,
} from './netlink.ts';

const SUBSYSTEM = 10 << 8;
const GETTABLE = 1;
const GETCHAIN = 4;
const GETRULE = 7;
const GETSET = 10;
const GETSETELEM = 13;

const FAMILIES = { inet: 1, ip: 2, ip6: 10 } as const;
const HOOKS = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
const NFT_SET_ANONYMOUS = 1;
const NF_ACCEPT = 1;
const UDATA_COMMENT = 0;

const TABLE_NAME = 1;
const CHAIN = { table: 1, name: 3, hook: 4, policy: 5, type: 7 };
const HOOK = { number: 1, priority: 2 };
const RULE = { table: 1, chain: 2, handle: 3, userdata: 7 };
const RULE_WANTED: ReadonlySet<number> = new Set([RULE.table, RULE.chain, RULE.userdata]);
const SET = { table: 1, name: 2, flags: 3, keyLength: 5, dataLength: 7 };
const SET_WANTED: ReadonlySet<number> = new Set(Object.values(SET));
const ELEMENTS = { table: 1, set: 2, list: 3 };
const ELEMENT = { key: 1, data: 2 };
const DATA_VALUE = 1;

export type NftFamily = keyof typeof FAMILIES;

export interface NftChainState {
  readonly name: string;
  readonly hook?: { readonly type: string; readonly hook: string; readonly priority: number };
  readonly accepts: boolean;
  /** comments of the rules in order; '' for a rule without one */
  readonly rules: readonly string[];
}

export interface NftTableState {
  readonly chains: readonly NftChainState[];
  /** named sets and maps: bytes of key and data (0 for a set) */
  readonly sets: readonly { name: string; keyLength: number; dataLength: number }[];
  /** set name → element key (address) → data (address, undefined in a set) */
  readonly elements: ReadonlyMap<string, ReadonlyMap<string, string | undefined>>;
}

function request(message: number, family: NftFamily, fill?: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter(SUBSYSTEM | message, 0).fixed([FAMILIES[family], 0, 0, 0]);
  fill?.(writer);
  return writer.finish();
}

function collect<T>(
  socket: NetlinkSocket,
  asked: Buffer,
  what: string,
  take: (m: Message) => T | undefined,
): T[] {
  const found: T[] = [];
  socket.dump(
    asked,
    (message) => {
      const value = take(message);
      if (value !== undefined) found.push(value);
    },
    () => {
      found.length = 0;
    },
    what,
  );
  return found;
}

/** The comment in a rule's user data: records of type, length, bytes. */
export function commentOf(userdata: Buffer | undefined): string {
  for (let at = 0; userdata && at + 2 <= userdata.length; at += 2 + userdata[at + 1]!)
    if (userdata[at] === UDATA_COMMENT)
      return textOf(userdata.subarray(at + 2, at + 2 + userdata[at + 1]!)) ?? '';
  return '';
}

function pushTo(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function readRules(socket: NetlinkSocket, family: NftFamily, table: string): Map<string, string[]> {
  const rules = new Map<string, string[]>();
  const asked = request(GETRULE, family, (writer) => writer.text(RULE.table, table));
  for (const [chain, comment] of collect(socket, asked, 'read nft rules', ({ payload }) => {
    const values = attributes(payload, 4, payload.length, RULE_WANTED);
    if (textOf(values.get(RULE.table)) !== table) return undefined;
    return [textOf(values.get(RULE.chain)) ?? '', commentOf(values.get(RULE.userdata))] as const;
  }))
    pushTo(rules, chain, comment);
  return rules;
}

function readChains(socket: NetlinkSocket, family: NftFamily, table: string): NftChainState[] {
  const rules = readRules(socket, family, table);
  return collect(socket, request(GETCHAIN, family), 'read nft chains', ({ payload }) => {
    const values = attributes(payload, 4);
    if (textOf(values.get(CHAIN.table)) !== table) return undefined;
    const name = textOf(values.get(CHAIN.name)) ?? '';
    const nested = values.get(CHAIN.hook);
    const hook = nested && attributes(nested);
    return {
      name,
      hook: hook && {
        type: textOf(values.get(CHAIN.type)) ?? '',
        hook: HOOKS[hook.get(HOOK.number)!.readUInt32BE(0)] ?? '',
        priority: hook.get(HOOK.priority)!.readInt32BE(0),
      },
      accepts: (values.get(CHAIN.policy)?.readUInt32BE(0) ?? NF_ACCEPT) === NF_ACCEPT,
      rules: rules.get(name) ?? [],
    };
  });
}

const addressIn = (data: Buffer | undefined): string | undefined => {
  const bytes = data && attributes(data).get(DATA_VALUE);
  return bytes && (bytes.length === 4 || bytes.length === 16 ? ipText(bytes) : bytes.toString('hex'));
};

function readElements(socket: NetlinkSocket, family: NftFamily, table: string, set: string) {
  const elements = new Map<string, string | undefined>();
  const asked = request(GETSETELEM, family, (writer) =>
    writer.text(ELEMENTS.table, table).text(ELEMENTS.set, set),
  );
  socket.dump(
    asked,
    ({ payload }) => {
      for (const { value } of attributeList(attributes(payload, 4).get(ELEMENTS.list) ?? Buffer.alloc(0))) {
        const element = attributes(value);
        const key = addressIn(element.get(ELEMENT.key));
        if (key !== undefined) elements.set(key, addressIn(element.get(ELEMENT.data)));
      }
    },
    () => elements.clear(),
    `read nft set ${set}`,
  );
  return elements;
}

const tableExists = (socket: NetlinkSocket, family: NftFamily, table: string): boolean =>
  collect(socket, request(GETTABLE, family), 'read nft tables', ({ payload }) =>
    textOf(attributes(payload, 4).get(TABLE_NAME)),
  ).includes(table);

/** The table as the kernel has it; undefined if there is none. `socket` is a NETLINK_NETFILTER one. */
export function readNftTable(
  socket: NetlinkSocket,
  family: NftFamily,
  table: string,
): NftTableState | undefined {
  // Not asked for by table: that would be an error where there is none, and a namespace has one or two.
  const sets = collect(socket, request(GETSET, family), 'read nft sets', (m) => {
    const values = attributes(m.payload, 4, m.payload.length, SET_WANTED);
    if (textOf(values.get(SET.table)) !== table) return undefined;
    if ((values.get(SET.flags)?.readUInt32BE(0) ?? 0) & NFT_SET_ANONYMOUS) return undefined;
    return {
      name: textOf(values.get(SET.name)) ?? '',
      keyLength: values.get(SET.keyLength)?.readUInt32BE(0) ?? 0,
      dataLength: values.get(SET.dataLength)?.readUInt32BE(0) ?? 0,
    };
  });
  const chains = readChains(socket, family, table);
  if (sets.length + chains.length === 0 && !tableExists(socket, family, table)) return undefined;
  return {
    chains,
    sets,
    elements: new Map(sets.map(({ name }) => [name, readElements(socket, family, table, name)])),
  };
}
