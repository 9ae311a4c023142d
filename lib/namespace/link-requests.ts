/** What to ask of the kernel for a network device, and what to do if another one stands in its place. */
import fs from 'node:fs';
import { EEXIST } from '../kernel/libc.ts';
import { changeLink, createLink, deleteLink, moveLink, readLink } from '../kernel/link.ts';
import type { NetlinkSocket, Refusal } from '../kernel/netlink.ts';
import type { Step } from './plan.ts';
import { HOST, type LinkRow } from './rows.ts';

/** The run of apply a request is made for. */
interface Run {
  socket(ns: string): NetlinkSocket;
  /** descriptor of a namespace, open until the run ends */
  descriptor(ns: string): number;
  /** @throws Error if there is no such device */
  index(ns: string, name: string): number;
}

/** RFC 8200 §5. Below it the kernel takes IPv6 from a device, with all its settings. */
const IPV6_SMALLEST_MTU = 1280;
const ipv6Fits = ({ mtu }: LinkRow): boolean => mtu === undefined || mtu >= IPV6_SMALLEST_MTU;

/** It may get IPv6 by this very change, and then its mode is set after it, or stay without. */
export const lacksIpv6 = ({ was }: { was?: Step['row'] }): boolean =>
  was?.kind === 'link' && (was.addrGenMode === undefined || !ipv6Fits(was));

/** A device of another type under the wanted name has to make room. */
const rebuilds = (was: LinkRow, row: LinkRow): boolean =>
  row.type !== 'physical' && row.type !== 'loopback' && was.type !== row.type;

/** A bridge with members is in use by another agent: the last one to leave removes it. */
function bridgeHasPorts(row: LinkRow): boolean {
  try {
    return fs.readdirSync(`/sys/class/net/${row.name}/brif`).length > 0;
  } catch {
    return false;
  }
}

const makes = (row: LinkRow): boolean => row.peer !== undefined || row.type === 'bridge';

/**
 * Take the switch's device of that name out of the host's namespace. What stands in its place, an abandoned one
 * most likely, makes room only then. @throws Error if the switch has made none
 */
function fetchDevice(run: Run, row: LinkRow, replaces: boolean): Buffer[] {
  const host = run.socket(HOST);
  const { name, mac, mtu, up } = row;
  if (host.deviceIndex(name) === undefined)
    throw new Error(`Open vSwitch has made no device ${name}: is ovs-vswitchd running, and its port there?`);
  if (replaces) run.socket(row.ns).transact([deleteLink(name)]);
  const [refusal] = host.transact([moveLink(name, run.descriptor(row.ns), { mac, mtu, up })]);
  if (refusal)
    throw new Error(
      `device ${name} can't be moved into ${row.ns}: ${refusal.words ?? `errno ${refusal.errno}`}`,
    );
  return [];
}

function creation(run: Run, row: LinkRow): Buffer[] {
  const { peer, name, type, mac, mtu, up } = row;
  if (type === 'bridge') {
    const change =
      row.addrGenMode && ipv6Fits(row) ? [changeLink(name, { addrGenMode: row.addrGenMode, up })] : [];
    return [createLink({ name, type, mac, mtu, up: up && change.length === 0 }), ...change];
  }
  if (!peer) throw new Error(`device ${name} (${type}) does not exist and is not ours to make`);
  const namespaceFd = run.descriptor(peer.ns);
  return [createLink({ name, type: 'veth', mac, mtu, up, peer: { name: peer.name, mtu, namespaceFd } })];
}

function change(run: Run, row: LinkRow, ipv6Later: boolean): Buffer[] {
  const { name, mac, mtu, up } = row;
  const addrGenMode = ipv6Fits(row) ? row.addrGenMode : undefined;
  const master = row.master === undefined ? undefined : run.index(row.ns, row.master);
  if (addrGenMode && ipv6Later)
    return [changeLink(name, { mac, mtu, up, master }), changeLink(name, { addrGenMode })];
  return [changeLink(name, { mac, mtu, up, master, addrGenMode })];
}

/** @throws Error if the device is not ours to make, or its bridge is missing */
export function linkRequests(run: Run, step: Step): Buffer[] {
  const row = step.row as LinkRow;
  if (step.action === 'remove') {
    if (row.type === 'physical') return [changeLink(row.name, { master: 0 })];
    if (row.type === 'bridge' && bridgeHasPorts(row)) return [];
    return row.type === 'loopback' ? [] : [deleteLink(row.name)];
  }
  const rebuilt = step.action === 'change' && step.was?.kind === 'link' && rebuilds(step.was, row);
  if (row.type === 'internal' && (rebuilt || step.action === 'create')) return fetchDevice(run, row, rebuilt);
  if (rebuilt) return [deleteLink(row.name), ...creation(run, row)];
  if (step.action === 'create' && makes(row)) return creation(run, row);
  return change(run, row, step.action === 'change' && lacksIpv6(step));
}

/** A device that had to be made was refused because one of that name is there, at one end or the other. */
export const isTaken = ({ action, row }: Step, answers: readonly (Refusal | undefined)[]): boolean =>
  action !== 'remove' && row.kind === 'link' && makes(row) && answers.some((a) => a?.errno === EEXIST);

/**
 * A bridge another agent has just made is as good as ours. The other end of a veth pair stands alone: its
 * partner was renamed or moved away, or its namespace is being taken apart. It goes, and the pair is made.
 */
export function takePlace(run: Run, step: Step): (Refusal | undefined)[] {
  const row = step.row as LinkRow;
  if (row.type === 'bridge') {
    const found = readLink(run.socket(row.ns), { name: row.name });
    if (found?.type === 'bridge')
      return run.socket(row.ns).transact(change(run, row, found.addrGenMode === undefined));
  }
  const { peer } = row;
  const other = peer && readLink(run.socket(peer.ns), { name: peer.name });
  if (peer && other?.type === 'veth') run.socket(peer.ns).transact([deleteLink(peer.name)]);
  return run.socket(row.ns).transact(creation(run, row));
}
