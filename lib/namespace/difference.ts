/**
 * What an actual row lacks to be the desired one, in words; undefined if it satisfies it. Only what the
 * desired row says is compared: what it leaves open is the kernel's business.
 */
import type { ActualNftTable, ActualRow } from './actual.ts';
import { ruleMark } from './nft-text.ts';
import type {
  AddressRow,
  DaemonRow,
  FileRow,
  LinkRow,
  NeighbourRow,
  NftElementRow,
  NftSet,
  NftTableRow,
  OvsPortRow,
  RouteRow,
  Row,
  RuleRow,
  SysctlRow,
} from './rows.ts';

const unequal = (what: string, is: unknown, wanted: unknown): string | undefined =>
  wanted === undefined || is === wanted ? undefined : `${what} is ${is ?? 'none'}, wanted ${wanted}`;

const firstOf = (...found: (string | undefined)[]): string | undefined =>
  found.find((difference) => difference !== undefined);

/** A port found without our marks was put there by another; one in an unknown bridge may stay. */
const portDifference = (is: OvsPortRow, wanted: OvsPortRow): string | undefined =>
  firstOf(
    unequal('bridge', is.bridge, wanted.bridge),
    unequal('type', is.type, wanted.type),
    unequal('iface-id', is.ifaceId, wanted.ifaceId),
    unequal('attached-mac', is.mac, wanted.mac),
  );

function linkDifference(is: LinkRow, wanted: LinkRow): string | undefined {
  if (wanted.type === 'loopback') return unequal('state', is.up ? 'up' : 'down', wanted.up ? 'up' : 'down');
  return firstOf(
    wanted.type === 'physical' ? undefined : unequal('type', is.type, wanted.type),
    unequal('MAC', is.mac, wanted.mac),
    unequal('mtu', is.mtu, wanted.mtu),
    unequal('master', is.master, wanted.master),
    unequal('state', is.up ? 'up' : 'down', wanted.up ? 'up' : 'down'),
    // A device without IPv6 (the kernel has none, or its MTU is too small) makes no addresses either.
    wanted.addrGenMode === 'none' && is.addrGenMode === 'eui64'
      ? 'addrgenmode is eui64, wanted none'
      : undefined,
    wanted.checksumOffload === false && is.checksumOffload !== false
      ? 'checksums are offloaded, wanted computed'
      : undefined,
  );
}

const addressDifference = (is: AddressRow, wanted: AddressRow): string | undefined =>
  unequal('scope', is.scope, wanted.scope);

function routeDifference(is: RouteRow, wanted: RouteRow): string | undefined {
  if (is.nexthops.length !== wanted.nexthops.length)
    return `has ${is.nexthops.length} nexthops, wanted ${wanted.nexthops.length}`;
  for (const hop of wanted.nexthops) {
    const there = is.nexthops.some(
      (other) =>
        other.via === hop.via &&
        (hop.dev === undefined || other.dev === hop.dev) &&
        other.weight === hop.weight,
    );
    if (!there) return `nexthop ${hop.via ?? ''}${hop.dev ? ` dev ${hop.dev}` : ''} is missing`;
  }
  return firstOf(
    unequal('protocol', is.protocol, wanted.protocol),
    unequal('source', is.source, wanted.source),
    wanted.family === 4 ? unequal('scope', is.scope, wanted.scope) : undefined,
  );
}

const SIZES = new Map([
  ['ipv4_addr', 4],
  ['ipv6_addr', 16],
]);

function setDifference(is: ActualNftTable, { name, type }: NftSet): string | undefined {
  const found = is.state.sets.find((other) => other.name === name);
  if (!found) return `set ${name} is missing`;
  const [key, data] = type.split(' : ');
  const sameKey = found.keyLength === (SIZES.get(key!) ?? found.keyLength);
  const sameData = found.dataLength === (data === undefined ? 0 : (SIZES.get(data) ?? found.dataLength));
  return sameKey && sameData ? undefined : `set ${name} is of another type`;
}

/** Marks of every rule and shape of every set; computed once for each table row. */
function tableDifference(is: ActualNftTable, wanted: NftTableRow): string | undefined {
  for (const chain of wanted.chains) {
    const found = is.state.chains.find((other) => other.name === chain.name);
    if (!found) return `chain ${chain.name} is missing`;
    if (!chain.hook && found.hook) return `hook of ${chain.name} is ${found.hook.hook}, wanted none`;
    const hook = firstOf(
      unequal(`hook of ${chain.name}`, found.hook?.hook, chain.hook?.hook),
      unequal(`type of ${chain.name}`, found.hook?.type, chain.hook?.type),
      unequal(`priority of ${chain.name}`, found.hook?.priority, chain.hook?.priority),
      found.accepts ? undefined : `policy of ${chain.name} is drop, wanted accept`,
    );
    if (hook) return hook;
    const missing = chain.rules.find((rule) => !found.rules.includes(ruleMark(rule)));
    if (missing) return `chain ${chain.name}: rule missing: ${missing}`;
    const same =
      found.rules.length === chain.rules.length &&
      chain.rules.every((rule, i) => found.rules[i] === ruleMark(rule));
    if (!same) return `chain ${chain.name}: foreign rules or another order`;
  }
  if (is.state.chains.length !== wanted.chains.length) return 'foreign chains in it';
  return firstOf(...wanted.sets.map((set) => setDifference(is, set)));
}

const baseName = (path = ''): string => path.slice(path.lastIndexOf('/') + 1);

/** Arguments that count; the program by its name, wherever it was found. */
function decisive([program, ...args]: readonly string[], indifferent: readonly string[] = []): string[] {
  const isIndifferent = (arg: string | undefined): boolean => arg !== undefined && indifferent.includes(arg);
  return [baseName(program), ...args.filter((arg, i) => !isIndifferent(arg) && !isIndifferent(args[i - 1]))];
}

function daemonDifference(is: DaemonRow, wanted: DaemonRow): string | undefined {
  const found = decisive(is.argv, wanted.indifferent);
  const due = decisive(wanted.argv, wanted.indifferent);
  if (found.length === due.length && found.every((arg, i) => arg === due[i])) return undefined;
  return `runs with other arguments: ${found.filter((arg) => !due.includes(arg)).join(' ') || 'fewer'}`;
}

/** undefined: `is` satisfies `wanted`. Both have the same key. */
export function difference(is: ActualRow | NftTableRow, wanted: Row): string | undefined {
  if (is === wanted) return undefined;
  switch (wanted.kind) {
    case 'netns':
      return undefined;
    case 'link':
      return linkDifference(is as LinkRow, wanted);
    case 'ovs-port':
      return portDifference(is as OvsPortRow, wanted);
    case 'address':
      return addressDifference(is as AddressRow, wanted);
    case 'route':
      return routeDifference(is as RouteRow, wanted);
    case 'rule':
      return unequal('table', (is as RuleRow).table, wanted.table);
    case 'neighbour':
      return unequal('MAC', (is as NeighbourRow).mac, wanted.mac);
    case 'sysctl':
      return unequal('value', (is as SysctlRow).value, wanted.value);
    case 'nft-table':
      return 'state' in is ? tableDifference(is, wanted) : sameTable(is as NftTableRow, wanted);
    case 'nft-element':
      return unequal('value', (is as NftElementRow).value, wanted.value);
    case 'xtables':
      // What another program wrote is not read back rule by rule.
      return 'may be out of date';
    case 'file':
      return firstOf(
        (is as FileRow).content === wanted.content ? undefined : 'content differs',
        unequal('mode', (is as FileRow).mode.toString(8), wanted.mode.toString(8)),
      );
    case 'daemon':
      return daemonDifference(is as DaemonRow, wanted);
  }
}

/** Another row object for a table this process loaded itself: equal if its text is. */
function sameTable(is: NftTableRow, wanted: NftTableRow): string | undefined {
  const same = JSON.stringify([is.chains, is.sets]) === JSON.stringify([wanted.chains, wanted.sets]);
  return same ? undefined : 'the ruleset changed';
}
