import { z } from 'zod';
import { flag, freeText, id, mtu, subjectOf, validate, validateAll } from './payload.ts';
import { type Port, port } from './port.ts';
import { type Subnet, subnet } from './subnet.ts';

const network = z.looseObject({
  id,
  name: freeText,
  project_id: freeText,
  /** only a topology says it; '' = the agent's option of that name */
  dns_domain: freeText,
  admin_state_up: flag(true),
  mtu,
});

/** A network as the DHCP agent is told of it: all its ports and (this host's) subnets. */
export type Network = z.output<typeof network> & {
  readonly subnets: readonly Subnet[];
  /** routed networks: subnets of other segments */
  readonly non_local_subnets: readonly Subnet[];
  readonly ports: readonly Port[];
};

const known = new WeakMap<object, Network>();

/**
 * Validates an element of get_active_networks_info or the result of get_network_info. The same payload
 * object, subnet or port gives the same validated object.
 * @throws PayloadError
 */
export function parseNetwork(payload: unknown): Network {
  const key = typeof payload === 'object' && payload !== null ? payload : undefined;
  const before = key && known.get(key);
  if (before) return before;
  const subject = subjectOf('network', payload);
  const own = validate(network, payload, subject);
  const result: Network = {
    ...own,
    subnets: validateAll(subnet, own.subnets, subject, 'subnets'),
    non_local_subnets: validateAll(subnet, own.non_local_subnets, subject, 'non_local_subnets'),
    ports: validateAll(port, own.ports, subject, 'ports'),
  };
  if (key) known.set(key, result);
  return result;
}
