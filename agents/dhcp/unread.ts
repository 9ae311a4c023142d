import type { Network } from '../../lib/model/network.ts';
import { PayloadError } from '../../lib/model/payload.ts';

/**
 * What of a network can't be read stays as it was served `before`: clients have addresses in the subnet, or by the
 * port. What was not served is left out.
 * @throws PayloadError if nothing is left of the network that could be served
 */
export function withUnread(before: Network | undefined, network: Network): Network {
  const { unread, problems } = network;
  const lost = new Set([...unread.subnets, ...unread.ports]);
  if (lost.size === 0) return network;
  const isLost = ({ id }: { readonly id: string }): boolean => lost.has(id);
  const subnets = [...network.subnets, ...(before?.subnets.filter(isLost) ?? [])].sort((a, b) =>
    a.id < b.id ? -1 : 1,
  );
  if (!subnets.some(({ enable_dhcp }) => enable_dhcp)) throw new PayloadError(problems.join('; '));
  return { ...network, subnets, ports: [...network.ports, ...(before?.ports.filter(isLost) ?? [])] };
}
