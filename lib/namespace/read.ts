/**
 * Actual rows: one namespace read from the kernel, the disk and the process table. The only code that turns
 * what the kernel shows into rows; it decides nothing.
 */
import fs from 'node:fs';
import { readAddresses } from '../kernel/address.ts';
import { offloadsChecksums } from '../kernel/ethtool.ts';
import { type Link, readLink, readLinks } from '../kernel/link.ts';
import { readNeighbours } from '../kernel/neighbour.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../kernel/netlink.ts';
import { inNamespace, namespaceExists, namespaceInode } from '../kernel/netns.ts';
import { readNftTable } from '../kernel/nft-table.ts';
import { readPidFile, readProcess } from '../kernel/process.ts';
import { type KernelNexthop, readRoutes, readRules } from '../kernel/route.ts';
import { readSysctl } from '../kernel/sysctl.ts';
import { readXtChains, type XtFamily } from '../kernel/xtables.ts';
import { type ActualRow, elementKey } from './actual.ts';
import { isManaged, NEUTRON_CHAINS, TABLE } from './ownership.ts';
import * as rows from './rows.ts';

type Into = Map<string, ActualRow>;

const put = (into: Into, row: ActualRow): void => void into.set(row.key, row);

/** How the kernel calls the devices Open vSwitch makes: in user space (taps) and with its kernel module. */
const SWITCH_DEVICES = new Set(['tun', 'openvswitch']);

function typeOf(link: Link): rows.LinkRow['type'] {
  if (SWITCH_DEVICES.has(link.type)) return link.carrier ? 'internal' : 'abandoned';
  return link.type as rows.LinkRow['type'];
}

function linkRow(ns: string, link: Link, names: ReadonlyMap<number, string>): rows.LinkRow {
  return rows.link({
    ns,
    name: link.name,
    type: typeOf(link),
    mac: link.mac,
    mtu: link.mtu,
    up: link.up,
    master: link.master ? names.get(link.master) : undefined,
    addrGenMode: link.addrGenMode,
  });
}

function readDevices(ns: string, socket: NetlinkSocket, into: Into): ReadonlyMap<number, string> {
  const links = readLinks(socket);
  const names = new Map(links.map((link) => [link.index, link.name]));
  for (const link of links) put(into, linkRow(ns, link, names));
  return names;
}

/**
 * Neutron gives it /64 in DHCP namespaces (until 22), we /128; the kernel takes the second for the first, and to a
 * link-local address it is all the same.
 */
const METADATA_IPV6 = 'fe80::a9fe:a9fe';
const prefixOf = (ip: string, prefix: number): number => (ip === METADATA_IPV6 ? 128 : prefix);

function readAddressRows(
  ns: string,
  socket: NetlinkSocket,
  names: ReadonlyMap<number, string>,
  into: Into,
): void {
  for (const found of readAddresses(socket)) {
    const dev = names.get(found.index);
    // Learned by router advertisement, or a duplicate the kernel refuses to use: not there for us.
    if (dev === undefined || !found.permanent || found.dadFailed) continue;
    const { ip, scope, broadcast, nodad } = found;
    const prefix = prefixOf(ip, found.prefix);
    const family = ip.includes(':') ? 6 : 4;
    put(into, rows.address({ ns, dev, ip, prefix, family, scope, broadcast, nodad }));
  }
}

function readRouteRows(
  ns: string,
  socket: NetlinkSocket,
  names: ReadonlyMap<number, string>,
  into: Into,
): void {
  const hop = ({ via, index, weight }: KernelNexthop): rows.Nexthop => ({
    via,
    dev: index === undefined ? undefined : names.get(index),
    weight,
  });
  for (const route of readRoutes(socket)) {
    const row = rows.route({ ...route, ns, nexthops: route.nexthops.map(hop) });
    // A wanted route may stand behind one of the kernel's own with the same destination.
    if (!into.has(row.key) || (into.get(row.key) as rows.RouteRow).protocol === KERNEL_PROTOCOL)
      put(into, row);
  }
}

const KERNEL_PROTOCOL = 2;

function readNeighbourRows(
  ns: string,
  socket: NetlinkSocket,
  names: ReadonlyMap<number, string>,
  into: Into,
): void {
  for (const { index, ip, mac, proxy } of readNeighbours(socket)) {
    const dev = names.get(index);
    if (dev) put(into, rows.neighbour({ ns, dev, ip, family: ip.includes(':') ? 6 : 4, mac, proxy }));
  }
}

function readTable(
  ns: string,
  socket: NetlinkSocket,
  table: { family: 'inet' | 'ip' | 'ip6'; name: string },
  into: Into,
): void {
  const state = readNftTable(socket, table.family, table.name);
  if (!state) return;
  const key = `${ns}|nft-table|${table.family} ${table.name}`;
  put(into, { kind: 'nft-table', key, ns, family: table.family, name: table.name, state });
  for (const [set, elements] of state.elements)
    for (const [element, value] of elements) {
      const where = { ns, family: table.family, table: table.name, set, element };
      put(into, {
        kind: 'nft-element',
        key: elementKey(ns, table.family, table.name, set, element),
        ...where,
        value,
      });
    }
}

/** Chains that Neutron's L3 agent left in iptables. */
function readXtables(ns: string, socket: NetlinkSocket, into: Into): void {
  const chains = new Map<XtFamily, string[]>();
  for (const { family, table, name } of readXtChains(socket))
    if (NEUTRON_CHAINS.isOwn(name)) chains.set(family, [...(chains.get(family) ?? []), `${table} ${name}`]);
  for (const [family, names] of chains) put(into, rows.xtables({ ns, family, chains: names }));
}

/** A file as it is; a daemon only if the process is really the one: arguments' id, and namespace. */
function readFile(wanted: rows.FileRow, into: Into): void {
  // Nothing of a new network is there yet, and an exception costs more than all its reads.
  if (!fs.existsSync(wanted.path)) return;
  try {
    const content = fs.readFileSync(wanted.path, 'utf8');
    put(into, { ...wanted, content, mode: fs.statSync(wanted.path).mode & 0o7777 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function readDaemon(wanted: rows.DaemonRow, into: Into): void {
  const pid = readPidFile(wanted.pidFile);
  const found = pid === undefined ? undefined : readProcess(pid);
  if (!found || found.netns !== namespaceInode(wanted.ns)) return;
  if (!found.argv.some((arg) => arg.includes(wanted.id))) return;
  put(into, { ...wanted, argv: found.argv });
}

/** A parameter that comes with its device is not one this kernel lacks. */
function ofMissingDevice({ ns, name }: rows.SysctlRow, read: Into): boolean {
  const device = /^net\/ipv[46]\/(?:conf|neigh)\/([^/]+)\//.exec(name)?.[1];
  return device !== undefined && !['all', 'default'].includes(device) && !read.has(`${ns}|link|${device}`);
}

/** Asked of those devices only that must not offload. */
function readOffload({ name, key }: rows.LinkRow, into: Into): void {
  const found = into.get(key);
  if (found?.kind === 'link' && !offloadsChecksums(name)) put(into, { ...found, checksumOffload: false });
}

function readWanted(wanted: Iterable<rows.Row>, into: Into): void {
  for (const row of wanted) {
    if (row.kind === 'file') readFile(row, into);
    else if (row.kind === 'daemon') readDaemon(row, into);
    else if (row.kind === 'link' && row.checksumOffload === false) readOffload(row, into);
    else if (row.kind === 'sysctl') {
      const value = readSysctl(row.name);
      if (value !== undefined) put(into, { ...row, value });
      else if (row.optional && !ofMissingDevice(row, into)) put(into, row);
    }
  }
}

/**
 * Everything of the namespace that we might own, by key; empty if it does not exist. `wanted` are rows whose
 * objects can't be listed (sysctls, files, daemons, offloads): they are looked up one by one. In the host's
 * namespace only devices are read: nothing else there is ever ours.
 */
export function readNamespace(ns: rows.NamespaceName, wanted: readonly rows.Row[]): Map<string, ActualRow> {
  const into: Into = new Map();
  if (ns !== rows.HOST && !namespaceExists(ns)) {
    for (const row of wanted) if (row.kind === 'file') readFile(row, into);
    return into;
  }
  if (ns !== rows.HOST) put(into, rows.netns(ns));
  // Inside all the while: entering and leaving for each socket would cost as much as what they read.
  inNamespace(ns, () => {
    readNetwork(ns, into);
    if (isManaged(ns)) {
      using socket = new NetlinkSocket(NETLINK_NETFILTER, undefined);
      readTable(ns, socket, TABLE, into);
      readXtables(ns, socket, into);
    }
    readWanted(wanted, into);
  });
  return into;
}

/** Of these rows of the host's namespace, those that are looked up one by one. */
export function readUnlisted(wanted: readonly rows.Row[]): ActualRow[] {
  const into: Into = new Map();
  readWanted(
    wanted.filter(({ kind }) => kind === 'sysctl' || kind === 'file' || kind === 'daemon'),
    into,
  );
  return [...into.values()];
}

function readNetwork(ns: rows.NamespaceName, into: Into): void {
  using socket = new NetlinkSocket(NETLINK_ROUTE, undefined);
  const names = readDevices(ns, socket, into);
  if (ns === rows.HOST) return;
  readAddressRows(ns, socket, names, into);
  readRouteRows(ns, socket, names, into);
  readNeighbourRows(ns, socket, names, into);
  for (const rule of readRules(socket)) put(into, rows.rule({ ...rule, ns }));
}

/** One device of the host's namespace, read alone (its table is long); undefined if it is gone. */
export function readHostLink(name: string): rows.LinkRow | undefined {
  using socket = new NetlinkSocket(NETLINK_ROUTE, rows.HOST);
  const link = readLink(socket, { name });
  if (!link) return undefined;
  const master = link.master ? readLink(socket, { index: link.master }) : undefined;
  return linkRow(rows.HOST, link, new Map(master ? [[master.index, master.name]] : []));
}
