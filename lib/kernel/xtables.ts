/**
 * Chains of iptables in its nftables form (iptables-nft): tables `raw`, `mangle`, `nat`, `filter`, `security` of the
 * families ip and ip6, whose rules nft can't write and Viaduct never makes by itself. Here they are found, taken out,
 * and (by iptables-restore) put in. Sources: include/uapi/linux/netfilter/nf_tables.h, iptables-restore(8).
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { counters } from './counters.ts';
import {
  attributeList,
  attributes,
  type Message,
  MessageWriter,
  NETLINK_NETFILTER,
  NetlinkSocket,
  textOf,
} from './netlink.ts';
import { inNamespace, namespaceExists } from './netns.ts';
import { loadRuleset } from './nftables.ts';

const SUBSYSTEM = 10 << 8;
const GETTABLE = 1;
const GETCHAIN = 4;
const GETRULE = 7;
const GETSET = 10;
const NFPROTO_UNSPEC = 0;
const NFPROTO = { ip: 2, ip6: 10 } as const;

const TABLE_NAME = 1;
const CHAIN = { table: 1, name: 3, hook: 4, policy: 5 };
const RULE = { table: 1, chain: 2, handle: 3, expressions: 4 };
const SET = { table: 1 };
const EXPRESSION = { name: 1, data: 2 };
const IMMEDIATE_DATA = 2;
const DATA_VERDICT = 2;
const VERDICT_CHAIN = 2;
const NF_ACCEPT = 1;

const XTABLES: ReadonlySet<string> = new Set(['raw', 'mangle', 'nat', 'filter', 'security']);

export type XtFamily = keyof typeof NFPROTO;

export interface XtChain {
  readonly family: XtFamily;
  readonly table: string;
  readonly name: string;
  /** built in (PREROUTING…) */
  readonly base: boolean;
  /** its policy is accept */
  readonly accepts: boolean;
}

interface XtRule {
  readonly table: string;
  readonly chain: string;
  readonly handle: bigint;
  /** the chain it jumps or goes to */
  readonly target?: string;
}

function dump<T>(
  socket: NetlinkSocket,
  message: number,
  family: number,
  take: (message: Message) => T | undefined,
): T[] {
  const found: T[] = [];
  const request = new MessageWriter(SUBSYSTEM | message, 0).fixed([family, 0, 0, 0]).finish();
  socket.dump(
    request,
    (answer) => {
      const value = take(answer);
      if (value !== undefined) found.push(value);
    },
    () => {
      found.length = 0;
    },
    'read iptables',
  );
  return found;
}

/** Families with a table of iptables in it: one request, and where there is none that is all. */
function familiesInUse(socket: NetlinkSocket): Set<XtFamily> {
  const tables = dump(socket, GETTABLE, NFPROTO_UNSPEC, ({ payload }) => {
    const family = payload[0] === NFPROTO.ip ? 'ip' : payload[0] === NFPROTO.ip6 ? 'ip6' : undefined;
    return family && XTABLES.has(textOf(attributes(payload, 4).get(TABLE_NAME)) ?? '') ? family : undefined;
  });
  return new Set(tables);
}

const readChains = (socket: NetlinkSocket, family: XtFamily): XtChain[] =>
  dump(socket, GETCHAIN, NFPROTO[family], ({ payload }) => {
    const values = attributes(payload, 4);
    const table = textOf(values.get(CHAIN.table)) ?? '';
    if (!XTABLES.has(table)) return undefined;
    return {
      family,
      table,
      name: textOf(values.get(CHAIN.name)) ?? '',
      base: values.has(CHAIN.hook),
      accepts: (values.get(CHAIN.policy)?.readUInt32BE(0) ?? NF_ACCEPT) === NF_ACCEPT,
    };
  });

/** Chains of iptables. `socket` is a NETLINK_NETFILTER one. */
export function readXtChains(socket: NetlinkSocket): XtChain[] {
  return [...familiesInUse(socket)].flatMap((family) => readChains(socket, family));
}

/**
 * Tables of the old iptables (iptables-legacy) that are in use in a namespace; [] where the kernel has none. Their rules
 * are not nftables' and are seen by iptables-legacy alone.
 */
export function legacyTables(ns: string): string[] {
  if (!namespaceExists(ns)) return [];
  const namesIn = (file: string): string[] => {
    try {
      const text = fs.readFileSync(`/proc/thread-self/net/${file}`, 'utf8');
      return text.split('\n').filter((name) => name !== '');
    } catch {
      return [];
    }
  };
  return inNamespace(ns, () => [
    ...namesIn('ip_tables_names').map((name) => `ip ${name}`),
    ...namesIn('ip6_tables_names').map((name) => `ip6 ${name}`),
  ]);
}

/** The chain a rule ends in: the verdict of its immediate expression. */
function targetOf(expressions: Buffer | undefined): string | undefined {
  for (const { value } of attributeList(expressions ?? Buffer.alloc(0))) {
    const expression = attributes(value);
    const data = expression.get(EXPRESSION.data);
    if (textOf(expression.get(EXPRESSION.name)) !== 'immediate' || !data) continue;
    const immediate = attributes(data).get(IMMEDIATE_DATA);
    const verdict = immediate && attributes(immediate).get(DATA_VERDICT);
    const chain = verdict && textOf(attributes(verdict).get(VERDICT_CHAIN));
    if (chain !== undefined) return chain;
  }
  return undefined;
}

const readRules = (socket: NetlinkSocket, family: XtFamily): XtRule[] =>
  dump(socket, GETRULE, NFPROTO[family], ({ payload }) => {
    const values = attributes(payload, 4);
    const target = targetOf(values.get(RULE.expressions));
    return {
      table: textOf(values.get(RULE.table)) ?? '',
      chain: textOf(values.get(RULE.chain)) ?? '',
      handle: values.get(RULE.handle)?.readBigUInt64BE(0) ?? 0n,
      ...(target === undefined ? {} : { target }),
    };
  });

const tablesWithSets = (socket: NetlinkSocket, family: XtFamily): Set<string> =>
  new Set(
    dump(socket, GETSET, NFPROTO[family], ({ payload }) => textOf(attributes(payload, 4).get(SET.table))),
  );

/** Which chains are to go. */
export interface XtOwnership {
  /** goes with all its rules */
  readonly isOwn: (chain: string) => boolean;
  /** goes if only rules that lead to chains which go are in it */
  readonly isShared: (chain: string) => boolean;
}

export interface XtTable {
  readonly family: XtFamily;
  readonly name: string;
  readonly chains: readonly XtChain[];
  readonly rules: readonly XtRule[];
  readonly hasSets: boolean;
}

/**
 * nft commands that take chains out of a table, with the jumps to them and nothing else. A table in which nothing of
 * anybody else is left goes whole.
 */
export function removalText(table: XtTable, { isOwn, isShared }: XtOwnership): string[] {
  const leaving = new Set(table.chains.map(({ name }) => name).filter(isOwn));
  if (leaving.size === 0) return [];
  const stays = ({ chain, target }: XtRule): boolean =>
    !leaving.has(chain) && (target === undefined || !leaving.has(target));
  for (const { name } of table.chains)
    if (isShared(name) && !table.rules.some((rule) => rule.chain === name && stays(rule))) leaving.add(name);
  const where = `${table.family} ${table.name}`;
  const foreign = table.chains.some(({ name, base, accepts }) => !leaving.has(name) && !(base && accepts));
  if (!foreign && !table.hasSets && !table.rules.some(stays)) return [`delete table ${where}`];
  return [
    ...table.rules
      .filter((rule) => !leaving.has(rule.chain) && !stays(rule))
      .map(({ chain, handle }) => `delete rule ${where} ${chain} handle ${handle}`),
    ...[...leaving].map((name) => `flush chain ${where} ${name}`),
    ...[...leaving].map((name) => `delete chain ${where} ${name}`),
  ];
}

/** Takes chains out of all tables of a family, in one transaction. @throws NftablesError */
export function removeXtChains(ns: string, family: XtFamily, ownership: XtOwnership): void {
  using socket = new NetlinkSocket(NETLINK_NETFILTER, ns);
  const chains = readChains(socket, family);
  const rules = readRules(socket, family);
  const sets = tablesWithSets(socket, family);
  const text = [...new Set(chains.map(({ table }) => table))].flatMap((name) =>
    removalText(
      {
        family,
        name,
        chains: chains.filter(({ table }) => table === name),
        rules: rules.filter(({ table }) => table === name),
        hasSets: sets.has(name),
      },
      ownership,
    ),
  );
  if (text.length > 0) loadRuleset(ns, text.join('\n'));
}

/**
 * Input of iptables-restore less the chains that are there already, with the jumps of built-in chains to them: to
 * declare a chain again would empty it. `isThere` is asked for a table and a chain.
 */
export function besides(rules: string, isThere: (table: string, chain: string) => boolean): string {
  let table = '';
  return rules
    .split('\n')
    .filter((line) => {
      if (line.startsWith('*')) table = line.slice(1);
      const declared = /^:(\S+) /.exec(line)?.[1];
      const jump = /^-A [A-Z]+ -j (\S+)$/.exec(line)?.[1];
      const chain = declared ?? jump;
      return chain === undefined || !isThere(table, chain);
    })
    .join('\n');
}

const PROGRAMS: Readonly<Record<XtFamily, string>> = { ip: 'iptables-restore', ip6: 'ip6tables-restore' };

/**
 * Adds rules, as iptables-save writes them, to what is there: a program is started, because nobody else can write rules
 * that iptables knows again. @throws Error with its words
 */
export function restoreXtables(ns: string, family: XtFamily, rules: string): void {
  using socket = new NetlinkSocket(NETLINK_NETFILTER, ns);
  const there = new Set(readChains(socket, family).map(({ table, name }) => `${table} ${name}`));
  const input = besides(rules, (table, chain) => there.has(`${table} ${chain}`));
  counters.forks += 1;
  counters.writes += 1;
  const argv = [PROGRAMS[family], '--noflush', '--wait', '10'] as const;
  const { status, error, stderr } = inNamespace(ns, () =>
    spawnSync(argv[0], argv.slice(1), { input, encoding: 'utf8', timeout: 30_000 }),
  );
  if (error) throw error;
  if (status !== 0) throw new Error(`${argv.join(' ')}: exit ${status}: ${stderr.trim()}`);
}
