/**
 * Rows: everything a namespace must contain, as plain comparable values.
 *
 * A row is one fact. Its `key` is stable and names the object (`ns|kind|…`); the other fields are the
 * value. Two rows with equal keys and equal values are the same fact, whoever wanted it. Rows are made by
 * the functions below (so that the key is always right), never changed afterwards, and shared freely.
 *
 * Groups: a compile function returns `RowGroup[]`. A group is an immutable array of rows; a compile
 * function that returns the *same array object* again says "nothing in here changed", and the delta
 * then costs one pointer comparison for it. That is what makes one floating IP more cost the same with one
 * and with a thousand present.
 */

/** Name under /run/netns; '' is the namespace the agent was started in. */
export type NamespaceName = string;

export const HOST: NamespaceName = '';

export type Family = 4 | 6;

interface RowBase {
  readonly key: string;
  readonly ns: NamespaceName;
}

export interface NetnsRow extends RowBase {
  readonly kind: 'netns';
}

/** A network device. `peer` on one end of a veth pair: that end is the one which creates the pair. */
export interface LinkRow extends RowBase {
  readonly kind: 'link';
  readonly name: string;
  /**
   * 'internal': the device of an Open vSwitch port, which the switch makes in the host's namespace; it is moved
   * from there. 'abandoned' (only ever found, never wanted): such a device whose switch process has gone.
   */
  readonly type: 'veth' | 'bridge' | 'loopback' | 'physical' | 'internal' | 'abandoned';
  /** lower-case, colons */
  readonly mac?: string;
  readonly mtu?: number;
  readonly up: boolean;
  /** bridge in the same namespace */
  readonly master?: string;
  readonly peer?: { readonly ns: NamespaceName; readonly name: string };
  /** 'none': the kernel makes no IPv6 link-local address (root end of a tap, HA standby) */
  readonly addrGenMode?: 'eui64' | 'none';
  /** false: the kernel computes all checksums; a switch in user space would pass unfinished ones on */
  readonly checksumOffload?: false;
}

/**
 * A port of an Open vSwitch bridge, in the switch's database. Always in the host's namespace. How it is wired (its
 * VLAN tag, its flows) is the L2 agent's.
 */
export interface OvsPortRow extends RowBase {
  readonly kind: 'ovs-port';
  readonly name: string;
  /** integration bridge */
  readonly bridge: string;
  /** 'internal': the switch makes the device; 'system': it takes one that is there (a veth end) */
  readonly type: 'internal' | 'system';
  /** id of the Neutron port: by this the L2 agent knows it */
  readonly ifaceId: string;
  readonly mac: string;
}

export interface AddressRow extends RowBase {
  readonly kind: 'address';
  readonly dev: string;
  readonly ip: string;
  readonly prefix: number;
  readonly family: Family;
  readonly scope: 'global' | 'link' | 'host';
  /** IPv4: set the broadcast address of the subnet, as Neutron does */
  readonly broadcast: boolean;
  /** IPv6: no duplicate address detection */
  readonly nodad: boolean;
  /** Announce by gratuitous ARP / unsolicited neighbour advertisement once added. */
  readonly announce: boolean;
  /** Drop the conntrack entries of this address once removed. */
  readonly flushConntrack: boolean;
  /** Another program adds and removes it (keepalived's VIPs): neither created nor removed nor drift. */
  readonly keeper?: 'keepalived';
}

export interface Nexthop {
  readonly via?: string;
  readonly dev?: string;
  readonly weight: number;
}

export interface RouteRow extends RowBase {
  readonly kind: 'route';
  readonly family: Family;
  /** 254 = main */
  readonly table: number;
  /** canonical CIDR; '0.0.0.0/0' or '::/0' for a default route */
  readonly destination: string;
  /** metric; 0 = the kernel's default (IPv6: 1024) */
  readonly metric: number;
  readonly nexthops: readonly Nexthop[];
  readonly scope: 'global' | 'link';
  /** nexthop is on-link though no connected route covers it */
  readonly onlink: boolean;
  readonly source?: string;
  /** rtm_protocol: 4 = static (Neutron's and ours), 3 = boot */
  readonly protocol: number;
  /** The tenant's wish (extra route): its failure is reported but does not fail the owner (row D9). */
  readonly tolerant: boolean;
  readonly keeper?: 'keepalived';
}

export interface RuleRow extends RowBase {
  readonly kind: 'rule';
  readonly family: Family;
  readonly priority: number;
  readonly from?: string;
  readonly to?: string;
  readonly iif?: string;
  readonly oif?: string;
  readonly fwmark?: { readonly value: number; readonly mask: number };
  readonly table: number;
}

export interface NeighbourRow extends RowBase {
  readonly kind: 'neighbour';
  readonly dev: string;
  readonly ip: string;
  readonly family: Family;
  /** undefined for a proxy entry */
  readonly mac?: string;
  readonly proxy: boolean;
}

/** `name` is the path below /proc/sys with slashes: 'net/ipv4/ip_forward'. */
export interface SysctlRow extends RowBase {
  readonly kind: 'sysctl';
  readonly name: string;
  readonly value: string;
  /** absent on this kernel is fine (IPv6 off, module missing) */
  readonly optional: boolean;
}

export interface NftChain {
  readonly name: string;
  /** base chain; absent for a plain one */
  readonly hook?: {
    readonly type: 'filter' | 'nat' | 'route';
    readonly hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';
    readonly priority: number;
  };
  /** nft rule expressions, one rule each, in order; without comment (the table adds its own mark) */
  readonly rules: readonly string[];
}

/** A named map or set; its elements are NftElementRows, so that one more element is one small change. */
export interface NftSet {
  readonly name: string;
  /** 'ipv4_addr' (set) or 'ipv4_addr : ipv4_addr' (map) */
  readonly type: string;
  readonly flags?: readonly ('interval' | 'constant')[];
}

export interface NftTableRow extends RowBase {
  readonly kind: 'nft-table';
  readonly family: 'inet' | 'ip' | 'ip6';
  readonly name: string;
  readonly chains: readonly NftChain[];
  readonly sets: readonly NftSet[];
}

export interface NftElementRow extends RowBase {
  readonly kind: 'nft-element';
  readonly family: 'inet' | 'ip' | 'ip6';
  readonly table: string;
  readonly set: string;
  /** element key: an address */
  readonly element: string;
  /** map data: an address */
  readonly value?: string;
  /** Removed or changed: drop conntrack entries to and from this address (default: the element key). */
  readonly flushConntrack?: string;
}

/**
 * The chains of Neutron's L3 agent in iptables' tables of one family. Found, they are stale: our table does their work.
 * Wanted only when a namespace is given back to Neutron (`viaduct release`).
 */
export interface XtablesRow extends RowBase {
  readonly kind: 'xtables';
  readonly family: 'ip' | 'ip6';
  /** what iptables-restore is given; '' in a row that was found */
  readonly rules: string;
  /** `table chain`; empty in a row that is wanted */
  readonly chains: readonly string[];
}

/** A file an agent owns whole. Written atomically (temporary file and rename). */
export interface FileRow extends RowBase {
  readonly kind: 'file';
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  /** key of the daemon that must re-read it (SIGHUP) when it changed while that daemon runs */
  readonly reloads?: string;
}

/**
 * A long-lived process in the namespace. Found again by pid file + command line + namespace; changed
 * `argv` means stop and start.
 */
export interface DaemonRow extends RowBase {
  readonly kind: 'daemon';
  /** 'dnsmasq', 'radvd', 'keepalived', 'dhclient' */
  readonly service: string;
  /** router or network id; must occur in argv (that is how Neutron's tools recognise it) */
  readonly id: string;
  readonly argv: readonly string[];
  readonly pidFile: string;
  /** the program forks itself into the background and writes pidFile */
  readonly daemonizes: boolean;
  /** directory it works in; made before start */
  readonly directory?: string;
  /** 'SIGKILL' for a program whose farewell does harm; default: SIGTERM, then SIGKILL */
  readonly endsBy?: 'SIGKILL';
  /** options that, with their values, may differ in a process which is there: another agent started it */
  readonly indifferent?: readonly string[];
}

export type Row =
  | NetnsRow
  | LinkRow
  | OvsPortRow
  | AddressRow
  | RouteRow
  | RuleRow
  | NeighbourRow
  | SysctlRow
  | NftTableRow
  | NftElementRow
  | XtablesRow
  | FileRow
  | DaemonRow;

export type RowKind = Row['kind'];
export type RowGroup = readonly Row[];

/** What a constructor takes: the row less `kind` and `key`; booleans with an obvious default are optional. */
type Input<R extends Row, Optional extends keyof R = never> = Omit<R, 'kind' | 'key' | Optional> &
  Partial<Pick<R, Optional>>;

export const netns = (ns: NamespaceName): NetnsRow => ({ kind: 'netns', key: `${ns}|netns`, ns });

export const link = (row: Input<LinkRow, 'up'>): LinkRow => ({
  kind: 'link',
  key: `${row.ns}|link|${row.name}`,
  up: true,
  ...row,
});

export const ovsPort = (row: Input<OvsPortRow>): OvsPortRow => ({
  kind: 'ovs-port',
  key: `${row.ns}|ovs-port|${row.name}`,
  ...row,
});

export const address = (
  row: Input<AddressRow, 'scope' | 'broadcast' | 'nodad' | 'announce' | 'flushConntrack'>,
): AddressRow => ({
  kind: 'address',
  key: `${row.ns}|address|${row.dev}|${row.ip}/${row.prefix}`,
  scope: 'global',
  broadcast: false,
  nodad: false,
  announce: false,
  flushConntrack: false,
  ...row,
});

/** What the kernel takes for an IPv6 route without metric, and what is read back as none. */
const IP6_DEFAULT_METRIC = 1024;

export const route = (
  row: Input<RouteRow, 'table' | 'metric' | 'scope' | 'onlink' | 'protocol' | 'tolerant'>,
): RouteRow => {
  const { table = 254, destination } = row;
  const metric = row.family === 6 && row.metric === IP6_DEFAULT_METRIC ? 0 : (row.metric ?? 0);
  return {
    kind: 'route',
    key: `${row.ns}|route|${table}|${destination}|${metric}`,
    scope: 'global',
    onlink: false,
    protocol: 4,
    tolerant: false,
    ...row,
    table,
    metric,
  };
};

const cidr = (text: string | undefined, family: Family): string | undefined =>
  text === undefined || text.includes('/') ? text : `${text}/${family === 4 ? 32 : 128}`;

/** `from` and `to` are CIDRs; a bare address stands for itself alone. */
export const rule = (row: Input<RuleRow>): RuleRow => {
  const from = cidr(row.from, row.family);
  const to = cidr(row.to, row.family);
  const mark = row.fwmark ? `${row.fwmark.value}/${row.fwmark.mask}` : '';
  return {
    kind: 'rule',
    key: `${row.ns}|rule|${row.family}|${row.priority}|${from ?? ''}|${to ?? ''}|${row.iif ?? ''}|${row.oif ?? ''}|${mark}`,
    ...row,
    from,
    to,
  };
};

export const neighbour = (row: Input<NeighbourRow, 'proxy'>): NeighbourRow => ({
  kind: 'neighbour',
  key: `${row.ns}|neighbour|${row.dev}|${row.proxy ? 'proxy|' : ''}${row.ip}`,
  proxy: false,
  ...row,
});

export const sysctl = (row: Input<SysctlRow, 'optional'>): SysctlRow => ({
  kind: 'sysctl',
  key: `${row.ns}|sysctl|${row.name}`,
  optional: false,
  ...row,
});

export const nftTable = (row: Input<NftTableRow>): NftTableRow => ({
  kind: 'nft-table',
  key: `${row.ns}|nft-table|${row.family} ${row.name}`,
  ...row,
});

export const nftElement = (row: Input<NftElementRow>): NftElementRow => ({
  kind: 'nft-element',
  key: `${row.ns}|nft-element|${row.family} ${row.table}|${row.set}|${row.element}`,
  ...row,
});

export const xtables = (row: Input<XtablesRow, 'rules' | 'chains'>): XtablesRow => ({
  kind: 'xtables',
  key: `${row.ns}|xtables|${row.family}`,
  rules: '',
  chains: [],
  ...row,
});

export const file = (row: Input<FileRow, 'mode'>): FileRow => ({
  kind: 'file',
  key: `${row.ns}|file|${row.path}`,
  mode: 0o644,
  ...row,
});

export const daemon = (row: Input<DaemonRow, 'daemonizes'>): DaemonRow => ({
  kind: 'daemon',
  key: `${row.ns}|daemon|${row.service}|${row.id}`,
  daemonizes: true,
  ...row,
});
