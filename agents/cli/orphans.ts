/**
 * Namespaces named like those of routers and networks that no record knows: left by an agent or a host that went down
 * half way, or by a state directory that was lost (`neutron-netns-cleanup` looks for the same).
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { readLinks } from '../../lib/kernel/link.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../lib/kernel/netlink.ts';
import { deleteNamespace, listNamespaces, namespaceInode } from '../../lib/kernel/netns.ts';
import { type ProcessState, readProcess, stopProcess } from '../../lib/kernel/process.ts';
import { Records } from '../../lib/namespace/records.ts';

const NAME = /^(qrouter|qdhcp|snat|fip)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
/** Neutron's program whose namespaces have that prefix. */
const BUILDERS: Readonly<Record<string, string>> = {
  qrouter: 'neutron-l3-agent',
  snat: 'neutron-l3-agent',
  fip: 'neutron-l3-agent',
  qdhcp: 'neutron-dhcp-agent',
};

export interface Orphan {
  readonly namespace: string;
  /** of the router, network or external network */
  readonly id: string;
  readonly devices: readonly string[];
  readonly processes: readonly ProcessState[];
  /** why nobody misses it, or why somebody might */
  readonly why: string;
  /** undefined: it may go; 'use': only if the operator insists; 'owner': never, as somebody runs whose it may be */
  readonly spared?: 'use' | 'owner';
}

/** What is known of one namespace without a record. */
export interface Traces {
  readonly devices: readonly string[];
  readonly processes: readonly ProcessState[];
  /** Neutron's agent that builds such namespaces, if it runs: its pid */
  readonly builder?: { readonly program: string; readonly pid: number } | undefined;
}

/** Pure. */
export function judge({ devices, processes, builder }: Traces): Pick<Orphan, 'why' | 'spared'> {
  if (builder)
    return { spared: 'owner', why: `${builder.program} runs (pid ${builder.pid}): it may be in use` };
  const found = [
    ...devices,
    ...processes.map(({ pid, argv }) => `${argv[0]?.split('/').at(-1) ?? '?'} (pid ${pid})`),
  ];
  if (found.length === 0) return { why: 'no record names it, and neither a process nor a device is in it' };
  return { spared: 'use', why: `no record names it, but it has ${found.join(', ')}` };
}

/**
 * @param directories of deployments, whose records count
 * @param suffix of the names of namespaces on this host
 */
export function findOrphans(directories: readonly string[], suffix: string): Orphan[] {
  const recorded = new Set(directories.flatMap(recordedIn));
  const running = allProcesses();
  return listNamespaces()
    .filter((name) => name.endsWith(suffix))
    .flatMap((namespace) => {
      const [, prefix, id] = NAME.exec(namespace.slice(0, namespace.length - suffix.length)) ?? [];
      if (prefix === undefined || id === undefined || recorded.has(id)) return [];
      const traces = tracesOf(namespace, BUILDERS[prefix]!, running);
      return [{ namespace, id, ...traces, ...judge(traces) }];
    });
}

/** Ends what runs in it, and removes it: its devices go with it. */
export async function removeOrphan({ namespace, processes }: Orphan): Promise<void> {
  await Promise.all(processes.map((process) => stopProcess(process)));
  deleteNamespace(namespace);
}

/** A damaged record is still a record. */
function recordedIn(directory: string): string[] {
  const { found, damaged } = new Records(join(directory, 'records')).read();
  return [...found.keys(), ...damaged.keys()];
}

const allProcesses = (): ProcessState[] =>
  fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readProcess(Number(pid)) ?? []);

function tracesOf(namespace: string, program: string, running: readonly ProcessState[]): Traces {
  const inode = namespaceInode(namespace);
  // Python programs have their interpreter first.
  const runs = ({ argv }: ProcessState): boolean =>
    argv.slice(0, 2).some((arg) => arg.split('/').at(-1) === program);
  const builder = running.find(runs);
  return {
    devices: inode === undefined ? [] : devicesIn(namespace),
    processes: inode === undefined ? [] : running.filter(({ netns }) => netns === inode),
    builder: builder && { program, pid: builder.pid },
  };
}

function devicesIn(namespace: string): string[] {
  const socket = new NetlinkSocket(NETLINK_ROUTE, namespace);
  try {
    return readLinks(socket).flatMap(({ name }) => (name === 'lo' ? [] : [name]));
  } finally {
    socket.close();
  }
}
