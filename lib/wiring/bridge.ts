import { HOST, link, type NamespaceName, type RowGroup } from '../namespace/rows.ts';

/** What plugging needs to know of a port; every port of a payload has it. */
export interface PluggedPort {
  readonly id: string;
  readonly network_id: string;
  readonly mac_address: string;
}

export interface Plug {
  /** namespace of the agent's end */
  readonly ns: NamespaceName;
  /** name of the agent's end, from `deviceName` */
  readonly device: string;
  readonly port: PluggedPort;
  readonly mtu: number;
}

/** Neutron cuts device names to 14 characters: a prefix of three or four and the first 11 of the id. */
const ID_CHARACTERS = 11;
const LONGEST_PREFIX = 4;

/**
 * Name of a device of a port: `qr-`, `qg-`, `ns-`, `tap` + the first 11 characters of its id.
 * Throws RangeError when the prefix is too long or the id too short or holds anything but letters, digits and dashes.
 */
export function deviceName(prefix: string, id: string): string {
  if (prefix.length === 0 || prefix.length > LONGEST_PREFIX)
    throw new RangeError(`device prefix "${prefix}" must have 1 to ${LONGEST_PREFIX} characters`);
  const start = id.slice(0, ID_CHARACTERS);
  if (!/^[0-9A-Za-z-]{11}$/.test(start))
    throw new RangeError(
      `id "${id}" can't name a device: its first ${ID_CHARACTERS} characters must be letters, digits and dashes`,
    );
  return prefix + start;
}

/** The bridge of a network, where all its ports of this host meet. */
export const bridgeName = (networkId: string): string => deviceName('brq', networkId);

/** The root end of a port's veth pair. */
export const tapName = (portId: string): string => deviceName('tap', portId);

/**
 * Rows that connect a port to its network's bridge: the bridge, the root end of a veth pair in it, and
 * the agent's end in its namespace. Everyone who plugs into a network wants the same bridge row; it goes with
 * the last of them. The agent's end creates the pair and carries the port's MAC. Without `bridge` somebody else
 * makes it and puts the root end into it.
 */
export function plugBridge(
  { ns, device, port, mtu }: Plug,
  { bridge: own }: { readonly bridge: boolean } = { bridge: true },
): RowGroup {
  const bridge = bridgeName(port.network_id);
  const tap = tapName(port.id);
  return [
    ...(own ? [link({ ns: HOST, name: bridge, type: 'bridge', addrGenMode: 'none' })] : []),
    link({ ns: HOST, name: tap, type: 'veth', mtu, ...(own ? { master: bridge } : {}), addrGenMode: 'none' }),
    link({
      ns,
      name: device,
      type: 'veth',
      mac: port.mac_address.toLowerCase(),
      mtu,
      peer: { ns: HOST, name: tap },
    }),
  ];
}
