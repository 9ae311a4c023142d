/** The DHCP port of this host on a network: found, taken over, or made (contract §4). */
import { type Network, parseNetwork } from '../../lib/model/network.ts';
import type { Port } from '../../lib/model/port.ts';
import { RemoteError } from '../../lib/rpc/failures.ts';
import type { DhcpPluginApi } from '../../lib/rpc/plugins/dhcp.ts';
import { dhcpDeviceId, ownPort } from './compile/identity.ts';
import { servesNetwork } from './compile/subnets.ts';

export type DhcpPortServer = Pick<
  DhcpPluginApi,
  'createDhcpPort' | 'updateDhcpPort' | 'getDhcpPort' | 'getNetworkInfo'
>;

/** No port could be had now: somebody else changes the network at the same time. It is tried again. */
export class DhcpPortConflict extends Error {
  override readonly name = 'DhcpPortConflict';
}

/** A subnet has no address left for it: what frees one is told by an event. */
export class NoAddressLeft extends Error {
  override readonly name = 'NoAddressLeft';
}

/** device_id of ports that wait for a DHCP agent to take them (`neutron_lib/constants.py`). */
const RESERVED = 'reserved_dhcp_port';

const wantedSubnets = ({ subnets }: Network): string[] =>
  subnets.filter(({ enable_dhcp }) => enable_dhcp).map(({ id }) => id);

const lacks = (port: Pick<Port, 'fixed_ips'>, wanted: readonly string[]): boolean =>
  wanted.some((id) => !port.fixed_ips.some(({ subnet_id }) => subnet_id === id));

/** Addresses on subnets that could not be read stay: nobody knows what they are good for. */
const isLeft = ({ unread }: Network, subnetId: string, wanted: readonly string[]): boolean =>
  wanted.includes(subnetId) || unread.subnets.includes(subnetId);

const hasOthers = (network: Network, port: Pick<Port, 'fixed_ips'>, wanted: readonly string[]): boolean =>
  port.fixed_ips.some(({ subnet_id }) => !isLeft(network, subnet_id, wanted));

/**
 * The payload with this host's DHCP port among its ports; the same object if nothing had to be done, or nothing is
 * served, or the payload is not understood (which is said where it is compiled). null: the network is gone.
 * @throws DhcpPortConflict, NoAddressLeft, or what a call throws
 */
export async function withDhcpPort(
  server: DhcpPortServer,
  host: string,
  payload: unknown,
): Promise<unknown | null> {
  try {
    const found = await completed(server, host, payload);
    if (found !== undefined) return found;
    // What we go by may be old.
    const id = (payload as { id: string }).id;
    const newest = await server.getNetworkInfo(id);
    const again = newest === null ? null : await completed(server, host, newest);
    if (again !== undefined) return again;
    throw new DhcpPortConflict(`network ${id}: no DHCP port could be had, another process changes its ports`);
  } catch (error) {
    const { className } = error instanceof RemoteError ? error : { className: undefined };
    if (className === 'NetworkNotFound') return null;
    if (className === 'IpAddressGenerationFailure')
      throw new NoAddressLeft(`no address is left for this agent's port: ${(error as Error).message}`);
    throw error;
  }
}

/** undefined: what was to be changed is not there (any more). */
async function completed(
  server: DhcpPortServer,
  host: string,
  payload: unknown,
): Promise<unknown | undefined> {
  const network = understood(payload);
  if (!network || !servesNetwork(network)) return payload;
  const wanted = wantedSubnets(network);
  const own = ownPort(network, host);
  if (own && !lacks(own, wanted) && !hasOthers(network, own, wanted)) return payload;
  const port = own
    ? await readdressed(server, network, own, wanted)
    : ((await reserved(server, host, network, wanted)) ?? (await made(server, host, network, wanted)));
  if (port === null) return undefined;
  const complete = lacks(addressed(port), wanted) ? await later(server, network, port, wanted) : port;
  const others = (payload as { ports: { id?: unknown }[] }).ports.filter(({ id }) => id !== complete.id);
  return { ...(payload as object), ports: [...others, complete] };
}

const understood = (payload: unknown): Network | undefined => {
  try {
    return parseNetwork(payload);
  } catch {
    return undefined;
  }
};

/** A port as the server answers: validated with the network it becomes part of. */
type Answered = Readonly<Record<string, unknown>>;

const addressed = (port: Answered): Pick<Port, 'fixed_ips'> => ({
  fixed_ips: Array.isArray(port.fixed_ips) ? (port.fixed_ips as Port['fixed_ips']) : [],
});

async function readdressed(
  server: DhcpPortServer,
  network: Network,
  port: Port,
  wanted: readonly string[],
): Promise<Answered | null> {
  const kept = port.fixed_ips.filter(({ subnet_id }) => isLeft(network, subnet_id, wanted));
  const missing = wanted.filter((id) => !kept.some(({ subnet_id }) => subnet_id === id));
  const fixed_ips = [
    ...kept.map(({ subnet_id, ip_address }) => ({ subnet_id, ip_address })),
    ...missing.map((subnet_id) => ({ subnet_id })),
  ];
  const answer = await server.updateDhcpPort(port.id, { network_id: network.id, fixed_ips });
  return answer as Answered | null;
}

/** The first reserved port that nobody else is quicker to take. */
async function reserved(
  server: DhcpPortServer,
  host: string,
  network: Network,
  wanted: readonly string[],
): Promise<Answered | null> {
  const device_id = dhcpDeviceId(host, network.id);
  for (const port of network.ports.filter((one) => one.device_id === RESERVED)) {
    const taken = (await server.updateDhcpPort(port.id, {
      network_id: network.id,
      device_id,
    })) as Answered | null;
    if (taken === null) continue;
    const { fixed_ips } = addressed(taken);
    if (!lacks({ fixed_ips }, wanted) && !hasOthers(network, { fixed_ips }, wanted)) return taken;
    return await readdressed(server, network, { ...port, fixed_ips }, wanted);
  }
  return null;
}

async function made(
  server: DhcpPortServer,
  host: string,
  network: Network,
  wanted: readonly string[],
): Promise<Answered | null> {
  const answer = await server.createDhcpPort({
    network_id: network.id,
    device_id: dhcpDeviceId(host, network.id),
    project_id: network.project_id,
    fixed_ips: wanted.map((subnet_id) => ({ subnet_id })),
  });
  return answer as Answered | null;
}

/** An answer may be older than its addresses. */
async function later(
  server: DhcpPortServer,
  network: Network,
  { id }: Answered,
  wanted: readonly string[],
): Promise<Answered> {
  const port = (await server.getDhcpPort(String(id))) as Answered | null;
  if (port !== null && !lacks(addressed(port), wanted)) return port;
  throw new DhcpPortConflict(`network ${network.id}: DHCP port ${String(id)} has no address in some subnets`);
}
