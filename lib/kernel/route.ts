/** Routes and policy rules by rtnetlink. Source: rtnetlink(7), include/uapi/linux/{rtnetlink,fib_rules}.h. */
import { AF_INET, AF_INET6, cidrBytes, ipBytes, ipText } from './ip-bytes.ts';
import {
  attributes,
  MessageWriter,
  type NetlinkSocket,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  textOf,
} from './netlink.ts';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
const RTM_GETRULE = 34;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTN_UNICAST = 1;
const RTNH_F_ONLINK = 4;
const RTM_F_CLONED = 0x200;
const RT_TABLE_LOCAL = 255;
const SCOPES = { global: 0, link: 253 } as const;
const SCOPE_NOWHERE = 255;
/** What the kernel takes for an IPv6 route without metric. */
const IP6_DEFAULT_METRIC = 1024;

export interface KernelNexthop {
  readonly via?: string;
  readonly index?: number;
  readonly weight: number;
}

export interface KernelRoute {
  readonly family: 4 | 6;
  readonly table: number;
  readonly destination: string;
  readonly metric: number;
  readonly nexthops: readonly KernelNexthop[];
  readonly scope: 'global' | 'link';
  readonly onlink: boolean;
  readonly source?: string;
  readonly protocol: number;
}

function rtmsg(route: KernelRoute, length: number, deleting: boolean): Buffer {
  const header = Buffer.alloc(12);
  header[0] = route.family === 4 ? AF_INET : AF_INET6;
  header[1] = length;
  header[4] = route.table < 256 ? route.table : 0;
  header[5] = deleting ? 0 : route.protocol;
  header[6] = deleting && route.scope === 'global' ? SCOPE_NOWHERE : SCOPES[route.scope];
  header[7] = RTN_UNICAST;
  header.writeUInt32LE(route.onlink && route.nexthops.length === 1 ? RTNH_F_ONLINK : 0, 8);
  return header;
}

function multipath(writer: MessageWriter, route: KernelRoute): void {
  writer.nested(RTA_MULTIPATH, (list) => {
    for (const hop of route.nexthops) {
      const at = list.position;
      const record = Buffer.alloc(8);
      record[2] = route.onlink ? RTNH_F_ONLINK : 0;
      record[3] = hop.weight - 1;
      record.writeInt32LE(hop.index ?? 0, 4);
      list.raw(record);
      if (hop.via) list.bytes(RTA_GATEWAY, ipBytes(hop.via));
      list.patchU16(at, list.position - at);
    }
  });
}

function routeMessage(type: number, flags: number, route: KernelRoute): Buffer {
  const { bytes, length } = cidrBytes(route.destination);
  const writer = new MessageWriter(type, flags).fixed(rtmsg(route, length, type === RTM_DELROUTE));
  writer.u32(RTA_TABLE, route.table);
  if (length > 0) writer.bytes(RTA_DST, bytes);
  if (route.metric > 0) writer.u32(RTA_PRIORITY, route.metric);
  // Without one a deletion takes the first route of that destination, whatever its metric.
  else if (type === RTM_DELROUTE && route.family === 6) writer.u32(RTA_PRIORITY, IP6_DEFAULT_METRIC);
  if (route.source) writer.bytes(RTA_PREFSRC, ipBytes(route.source));
  const [hop] = route.nexthops;
  if (route.nexthops.length > 1) multipath(writer, route);
  else if (hop) {
    if (hop.via) writer.bytes(RTA_GATEWAY, ipBytes(hop.via));
    if (hop.index) writer.u32(RTA_OIF, hop.index);
  }
  return writer.finish();
}

/** Add or replace the route of that destination, metric and table: never a moment without one. */
export const replaceRoute = (route: KernelRoute): Buffer =>
  routeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
export const deleteRoute = (route: KernelRoute): Buffer => routeMessage(RTM_DELROUTE, 0, route);

function decodeMultipath(data: Buffer): { hops: KernelNexthop[]; onlink: boolean } {
  const hops: KernelNexthop[] = [];
  let onlink = false;
  for (let at = 0; at + 8 <= data.length; ) {
    const length = data.readUInt16LE(at);
    if (length < 8) break;
    const via = attributes(data, at + 8, at + length).get(RTA_GATEWAY);
    onlink ||= (data[at + 2]! & RTNH_F_ONLINK) !== 0;
    hops.push({ via: via && ipText(via), index: data.readInt32LE(at + 4), weight: data[at + 3]! + 1 });
    at += (length + 3) & ~3;
  }
  return { hops, onlink };
}

/** undefined for what is not an ordinary route: local table, cached clones, blackholes, multicast. */
export function decodeRoute(payload: Buffer): KernelRoute | undefined {
  if (payload[4] === RT_TABLE_LOCAL || payload[7] !== RTN_UNICAST) return undefined;
  const found = attributes(payload, 12);
  const family = payload[0] === AF_INET ? 4 : 6;
  const table = found.get(RTA_TABLE)?.readUInt32LE(0) ?? payload[4]!;
  const flags = payload.readUInt32LE(8);
  if (table === RT_TABLE_LOCAL || payload[7] !== RTN_UNICAST || flags & RTM_F_CLONED) return undefined;
  const destination = found.get(RTA_DST);
  const text = destination ? ipText(destination) : family === 4 ? '0.0.0.0' : '::';
  const several = found.get(RTA_MULTIPATH);
  const via = found.get(RTA_GATEWAY);
  const paths = several
    ? decodeMultipath(several)
    : {
        hops: [{ via: via && ipText(via), index: found.get(RTA_OIF)?.readUInt32LE(0), weight: 1 }],
        onlink: (flags & RTNH_F_ONLINK) !== 0,
      };
  const source = found.get(RTA_PREFSRC);
  const metric = found.get(RTA_PRIORITY)?.readUInt32LE(0) ?? 0;
  return {
    family,
    table,
    destination: `${text}/${payload[1]}`,
    metric: family === 6 && metric === IP6_DEFAULT_METRIC ? 0 : metric,
    nexthops: paths.hops,
    scope: payload[6] === SCOPES.link ? 'link' : 'global',
    onlink: paths.onlink,
    source: source && ipText(source),
    protocol: payload[5]!,
  };
}

/** All ordinary routes of the socket's namespace, both families, every table but `local`. */
export function readRoutes(socket: NetlinkSocket): KernelRoute[] {
  const found: KernelRoute[] = [];
  socket.dump(
    new MessageWriter(RTM_GETROUTE, 0).fixed(Buffer.alloc(12)).finish(),
    ({ payload }) => {
      if (payload[0] !== AF_INET && payload[0] !== AF_INET6) return;
      const route = decodeRoute(payload);
      if (route) found.push(route);
    },
    () => {
      found.length = 0;
    },
    'read routes',
  );
  return found;
}

const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FR_ACT_TO_TBL = 1;

export interface KernelRule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly from?: string;
  readonly to?: string;
  readonly iif?: string;
  readonly oif?: string;
  readonly fwmark?: { readonly value: number; readonly mask: number };
  readonly table: number;
}

function ruleMessage(type: number, flags: number, rule: KernelRule): Buffer {
  const from = rule.from ? cidrBytes(rule.from) : undefined;
  const to = rule.to ? cidrBytes(rule.to) : undefined;
  const header = Buffer.alloc(12);
  header[0] = rule.family === 4 ? AF_INET : AF_INET6;
  header[1] = to?.length ?? 0;
  header[2] = from?.length ?? 0;
  header[4] = rule.table < 256 ? rule.table : 0;
  header[7] = FR_ACT_TO_TBL;
  const writer = new MessageWriter(type, flags).fixed(header);
  writer.u32(FRA_PRIORITY, rule.priority).u32(FRA_TABLE, rule.table);
  if (from) writer.bytes(FRA_SRC, from.bytes);
  if (to) writer.bytes(FRA_DST, to.bytes);
  if (rule.iif) writer.text(FRA_IIFNAME, rule.iif);
  if (rule.oif) writer.text(FRA_OIFNAME, rule.oif);
  if (rule.fwmark) writer.u32(FRA_FWMARK, rule.fwmark.value).u32(FRA_FWMASK, rule.fwmark.mask);
  return writer.finish();
}

export const addRule = (rule: KernelRule): Buffer =>
  ruleMessage(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
export const deleteRule = (rule: KernelRule): Buffer => ruleMessage(RTM_DELRULE, 0, rule);

export function decodeRule(payload: Buffer): KernelRule {
  const found = attributes(payload, 12);
  const source = found.get(FRA_SRC);
  const target = found.get(FRA_DST);
  const mark = found.get(FRA_FWMARK)?.readUInt32LE(0);
  return {
    family: payload[0] === AF_INET ? 4 : 6,
    priority: found.get(FRA_PRIORITY)?.readUInt32LE(0) ?? 0,
    from: source && `${ipText(source)}/${payload[2]}`,
    to: target && `${ipText(target)}/${payload[1]}`,
    iif: textOf(found.get(FRA_IIFNAME)),
    oif: textOf(found.get(FRA_OIFNAME)),
    fwmark:
      mark === undefined || mark === 0
        ? undefined
        : { value: mark, mask: found.get(FRA_FWMASK)?.readUInt32LE(0) ?? 0xffffffff },
    table: found.get(FRA_TABLE)?.readUInt32LE(0) ?? payload[4]!,
  };
}

function collectRules<T>(socket: NetlinkSocket, take: (payload: Buffer) => T): T[] {
  const found: T[] = [];
  socket.dump(
    new MessageWriter(RTM_GETRULE, 0).fixed(Buffer.alloc(12)).finish(),
    ({ payload }) => {
      if (payload[0] === AF_INET || payload[0] === AF_INET6) found.push(take(payload));
    },
    () => {
      found.length = 0;
    },
    'read rules',
  );
  return found;
}

/** All policy rules, both families, the kernel's three own ones included. */
export const readRules = (socket: NetlinkSocket): KernelRule[] => collectRules(socket, decodeRule);

/** The same, each with the payload of its message: a rule may say more than a KernelRule can. */
export const readRulePayloads = (socket: NetlinkSocket): { rule: KernelRule; payload: Buffer }[] =>
  collectRules(socket, (payload) => ({ rule: decodeRule(payload), payload: Buffer.from(payload) }));
