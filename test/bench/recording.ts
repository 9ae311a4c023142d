/**
 * The kernel floor: what the reconciler asked of the kernel, recorded once, and replayed by another process in
 * one loop. In the floor: making namespaces, opening one netlink socket for each, sending the same
 * messages in the same batches, rulesets among them, and writing the same sysctls, through the same
 * lib/kernel. Not in it: payloads, rows, plan, reading anything, looking up devices, building
 * messages, records on disk. Recorded device indexes hold because both run in a new sandbox.
 */

import fs from 'node:fs';
import { deserialize, serialize } from 'node:v8';
import { stopChecksumOffload } from '../../lib/kernel/ethtool.ts';
import { NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkSocket } from '../../lib/kernel/netlink.ts';
import { createNamespace, inNamespace, openNamespace } from '../../lib/kernel/netns.ts';
import { writeSysctl } from '../../lib/kernel/sysctl.ts';
import { setStepHook } from '../../lib/namespace/apply.ts';
import type { Step } from '../../lib/namespace/plan.ts';
import type { DaemonRow } from '../../lib/namespace/rows.ts';

export type Operation =
  | { readonly kind: 'netns'; readonly ns: string }
  | { readonly kind: 'sysctls'; readonly ns: string; readonly values: [name: string, value: string][] }
  | { readonly kind: 'ruleset'; readonly ns: string; readonly batch: Buffer }
  | { readonly kind: 'netlink'; readonly ns: string; readonly messages: readonly Buffer[] }
  | { readonly kind: 'offload'; readonly ns: string; readonly device: string }
  | { readonly kind: 'daemon'; readonly ns: string; readonly argv: readonly string[] };

/** Listens while the reconciler builds, from nothing. */
export class Recorder {
  private readonly operations: Operation[] = [];
  /** namespaces whose rulesets are wanted, and have been sent as messages */
  private readonly rulesets = { wanted: new Set<string>(), sent: new Set<string>() };
  private ns = '';
  /** devices of the batch about to be sent whose checksums are computed from then on */
  private readonly computing: Operation[] = [];

  start(): void {
    setStepHook((step) => this.take(step));
    const { operations, computing, rulesets } = this;
    const namespaceNow = (): string => this.ns;
    const { transact, sendTransaction } = NetlinkSocket.prototype;
    NetlinkSocket.prototype.sendTransaction = function record(batch) {
      operations.push({ kind: 'ruleset', ns: namespaceNow(), batch: Buffer.from(batch) });
      rulesets.sent.add(namespaceNow());
      return sendTransaction.call(this, batch);
    };
    NetlinkSocket.prototype.transact = function record(requests) {
      operations.push({ kind: 'netlink', ns: namespaceNow(), messages: requests.map((r) => Buffer.from(r)) });
      operations.push(...computing.splice(0));
      return transact.call(this, requests);
    };
  }

  private take({ action, row }: Step): void {
    if (action !== 'create' && row.kind !== 'sysctl' && row.kind !== 'link')
      throw new Error(`a floor is of creations only, not: ${action} ${row.key}`);
    this.ns = row.ns;
    if (row.kind === 'link' && row.checksumOffload === false)
      this.computing.push({ kind: 'offload', ns: row.ns, device: row.name });
    const last = this.operations.at(-1);
    if (row.kind === 'netns') this.operations.push({ kind: 'netns', ns: row.ns });
    else if (row.kind === 'sysctl') {
      if (last?.kind === 'sysctls' && last.ns === row.ns) last.values.push([row.name, row.value]);
      else this.operations.push({ kind: 'sysctls', ns: row.ns, values: [[row.name, row.value]] });
    } else if (row.kind === 'nft-table' || row.kind === 'nft-element') this.rulesets.wanted.add(row.ns);
  }

  /** Called when it runs: daemons are not started by steps. */
  daemon({ ns, argv }: Pick<DaemonRow, 'ns' | 'argv'>): void {
    this.operations.push({ kind: 'daemon', ns, argv });
  }

  save(path: string): void {
    for (const ns of this.rulesets.wanted)
      if (!this.rulesets.sent.has(ns)) throw new Error(`the ruleset of ${ns} was not sent as messages`);
    fs.writeFileSync(path, serialize(this.operations));
  }
}

const IFLA_NET_NS_FD = 28;

/**
 * A veth pair's message ends with a descriptor of the other end's namespace (lib/kernel/link.ts), which is a
 * number of the recording process: put in this process's own.
 */
function patchDescriptor(message: Buffer, fd: number): void {
  const at = message.length - 8;
  if (at < 16 || message.readUInt16LE(at) !== 8 || message.readUInt16LE(at + 2) !== IFLA_NET_NS_FD) return;
  message.writeUInt32LE(fd, at + 4);
}

/** Read and made ready, so that nothing but the kernel's work is left to do. */
export function loadRecording(path: string): Operation[] {
  const host = openNamespace('');
  const recorded = deserialize(fs.readFileSync(path)) as Operation[];
  return recorded.map((operation) => {
    if (operation.kind === 'ruleset') return { ...operation, batch: Buffer.from(operation.batch) };
    if (operation.kind !== 'netlink') return operation;
    const messages = operation.messages.map((message) => Buffer.from(message));
    for (const message of messages) patchDescriptor(message, host);
    return { ...operation, messages };
  });
}

function requireDone(socket: NetlinkSocket, ns: string, messages: readonly Buffer[]): void {
  for (const refusal of socket.transact(messages))
    if (refusal) throw new Error(`replay in ${ns || 'the host'}: ${refusal.words ?? refusal.errno}`);
}

function loadBatch(ns: string, batch: Buffer): void {
  using socket = new NetlinkSocket(NETLINK_NETFILTER, ns);
  const [refusal] = socket.sendTransaction(batch);
  if (refusal) throw new Error(`replay of the ruleset of ${ns}: ${refusal.words ?? refusal.errno}`);
}

/** One loop over all of it but daemons. @throws Error if the kernel refuses anything */
export function replay(operations: readonly Operation[]): void {
  using host = new NetlinkSocket(NETLINK_ROUTE, '');
  let socket: NetlinkSocket | undefined;
  let of = '';
  for (const operation of operations) {
    const { ns } = operation;
    if (operation.kind === 'netns') createNamespace(ns);
    else if (operation.kind === 'ruleset') loadBatch(ns, operation.batch);
    else if (operation.kind === 'sysctls')
      inNamespace(ns, () => {
        for (const [name, value] of operation.values) writeSysctl(name, value);
      });
    else if (operation.kind === 'offload') inNamespace(ns, () => stopChecksumOffload(operation.device));
    else if (operation.kind === 'daemon')
      throw new Error(`a daemon is not the kernel's: ${operation.argv[0]}`);
    else if (ns === '') requireDone(host, ns, operation.messages);
    else {
      if (!socket || of !== ns) {
        socket?.close();
        socket = new NetlinkSocket(NETLINK_ROUTE, ns);
        of = ns;
      }
      requireDone(socket, ns, operation.messages);
    }
  }
  socket?.close();
}
