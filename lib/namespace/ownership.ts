/**
 * How a freshly started process recognises what is ours, with no memory and no delete event. What this
 * table does not call ours is neither removed nor called drift, unless it stands where ours must stand
 * (the same key).
 *
 * | kind | ours |
 * | --- | --- |
 * | netns | never by name alone: only those an agent has a record of (records.ts) |
 * | link | in a managed namespace: Neutron's device prefixes. In the host: never by name alone |
 * | ovs-port | never by name alone; that of a stale device goes with it |
 * | address | on one of our devices, permanent, not the kernel's own link-local |
 * | route | in a managed namespace: protocol `static`, as Neutron's agents write it |
 * | rule | in a managed namespace: priorities above the kernel's three |
 * | neighbour | permanent or proxy, on one of our devices |
 * | sysctl | never removed, only set |
 * | nft-table | `inet viaduct` and its elements |
 * | xtables | chains that Neutron's L3 agent made: what they do our table does |
 * | file, daemon | only those wanted, or in a record; a daemon is recognised by pid file, arguments and namespace |
 */
import type { ActualRow } from './actual.ts';
import type { NamespaceName, NftTableRow, Row } from './rows.ts';

const MANAGED = /^(qrouter|snat|fip|qdhcp)-/;
const DEVICES = /^(qr|qg|ha|sg|fg|rfp|fpr|ns|tap)-?[0-9a-f]{8}-/;
const PROTOCOL_STATIC = 4;
const KERNEL_RULES = new Set([0, 32766, 32767]);
const LAST_KERNEL_RULE = 32767;
export const TABLE = { family: 'inet', name: 'viaduct' } as const;

/**
 * Chains by name, as Neutron's agents make them in iptables (`neutron/agent/linux/iptables_manager.py`). Those of its
 * DHCP agent fill in checksums and stay. Shared ones go when only what goes is in them.
 */
export const NEUTRON_CHAINS = {
  isOwn: (name: string): boolean => name.startsWith('neutron-l3-agent-'),
  isShared: (name: string): boolean => name === 'neutron-filter-top' || name === 'neutron-postrouting-bottom',
} as const;

/** Everything in such a namespace was made by an L3 or DHCP agent: what isn't wanted there is stale. */
export const isManaged = (ns: NamespaceName): boolean => MANAGED.test(ns);

export const isOurDevice = (name: string): boolean => DEVICES.test(name);

/** May this row, found in the namespace and wanted by nobody, be removed? */
export function isStale(row: ActualRow | NftTableRow): boolean {
  if (!isManaged(row.ns)) return false;
  switch (row.kind) {
    case 'link':
      return isOurDevice(row.name) && ['veth', 'internal', 'abandoned'].includes(row.type);
    case 'address':
      return isOurDevice(row.dev) && row.scope !== 'link' && row.keeper === undefined;
    case 'route':
      return row.protocol === PROTOCOL_STATIC && row.keeper === undefined;
    case 'rule':
      return row.priority > LAST_KERNEL_RULE && !KERNEL_RULES.has(row.priority);
    case 'neighbour':
      return isOurDevice(row.dev);
    case 'nft-table':
      return row.family === TABLE.family && row.name === TABLE.name;
    case 'nft-element':
      return row.family === TABLE.family && row.table === TABLE.name;
    case 'xtables':
      return true;
    default:
      return false;
  }
}

/** Would a process without memory know this row as ours, or not need to? */
export function isRecognised(row: Row): boolean {
  if (row.kind === 'netns' || row.kind === 'file' || row.kind === 'daemon') return false;
  return row.kind === 'sysctl' || isManaged(row.ns);
}
