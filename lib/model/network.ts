import { readOnce, subjectOf } from './payload.ts';
import { type ListSchema, readList } from './pieces.ts';
import { type Port, port, portLists } from './port.ts';
import { flag, freeText, id, mtu, object, type Read } from './reader.ts';
import { type Subnet, subnet, subnetLists, UNDELEGATED } from './subnet.ts';

const network = object({
  id,
  name: freeText,
  project_id: freeText,
  /** only a topology says it; '' = the agent's option of that name */
  dns_domain: freeText,
  admin_state_up: flag(true),
  mtu,
});

/** A network as the DHCP agent is told of it: all its ports and (this host's) subnets. */
export type Network = Read<typeof network> & {
  readonly subnets: readonly Subnet[];
  /** routed networks: subnets of other segments */
  readonly non_local_subnets: readonly Subnet[];
  readonly ports: readonly Port[];
  /** what of subnets and ports is not in it, for it is not as it should be: one sentence each */
  readonly problems: readonly string[];
  /** ids of those left out as a whole */
  readonly unread: { readonly subnets: readonly string[]; readonly ports: readonly string[] };
};

const SUBNETS: ListSchema<Subnet> = { element: subnet, lists: subnetLists, noun: 'subnet' };
/** Ports of agents and routers decide about the network, and are nobody's free text. */
const PORTS: ListSchema<Port> = {
  element: port,
  lists: portLists,
  noun: 'port',
  isVital: ({ device_owner }) => typeof device_owner === 'string' && device_owner.startsWith('network:'),
};

const known = new WeakMap<object, Network>();

/**
 * Validates an element of get_active_networks_info or the result of get_network_info. The same payload
 * object, subnet or port gives the same validated object. A subnet or port that is not as it should be, or an option,
 * name or route of one, is left out and named in `problems`.
 * @throws PayloadError about the network itself, or a port of an agent or router on it
 */
export function parseNetwork(payload: unknown): Network {
  const key = typeof payload === 'object' && payload !== null ? payload : undefined;
  const before = key && known.get(key);
  if (before) return before;
  const subject = subjectOf('network', payload);
  const own = readOnce(network, payload, subject);
  const subnets = readList(SUBNETS, own.subnets, subject, 'subnets');
  const others = readList(SUBNETS, own.non_local_subnets, subject, 'non_local_subnets');
  const ports = readList(PORTS, own.ports, subject, 'ports');
  const near = withoutUndelegated(subnets.found, ports.found);
  const far = ofOtherSegments(near.subnets);
  const result: Network = {
    ...own,
    ...near,
    subnets: far.length === 0 ? near.subnets : near.subnets.filter((one) => !far.includes(one)),
    non_local_subnets: [...far, ...others.found],
    problems: [
      ...[subnets, others, ports].flatMap(({ problems }) => problems),
      ...far.map((one) => `${subject}: subnet ${one.id}: ${SECOND_SEGMENT}`),
    ],
    unread: { subnets: [...subnets.lost, ...others.lost], ports: ports.lost },
  };
  if (key) known.set(key, result);
  return result;
}

const SECOND_SEGMENT =
  'this host is in several segments of the network, of which this version serves one: clients in the segment of this subnet are not served';

/** null: not part of a routed network */
export const segmentOf = ({ segment_id }: Subnet): string | null =>
  typeof segment_id === 'string' ? segment_id : null;

/** Subnets of other segments than the first (so that it stays the same one whatever else comes and goes). */
function ofOtherSegments(subnets: readonly Subnet[]): Subnet[] {
  const segments = new Set(subnets.map(segmentOf).filter((one) => one !== null));
  if (segments.size < 2) return [];
  const [served] = [...segments].sort();
  return subnets.filter((one) => ![served, null].includes(segmentOf(one)));
}

/** A subnet that waits for its prefix is not there yet, and nobody has an address on it. */
function withoutUndelegated(
  subnets: readonly Subnet[],
  ports: readonly Port[],
): Pick<Network, 'subnets' | 'ports'> {
  const waiting = new Set(subnets.filter(({ cidr }) => cidr === UNDELEGATED).map(({ id }) => id));
  if (waiting.size === 0) return { subnets, ports };
  return {
    subnets: subnets.filter(({ id }) => !waiting.has(id)),
    ports: ports.map((one) =>
      one.fixed_ips.some(({ subnet_id }) => waiting.has(subnet_id))
        ? { ...one, fixed_ips: one.fixed_ips.filter(({ subnet_id }) => !waiting.has(subnet_id)) }
        : one,
    ),
  };
}
