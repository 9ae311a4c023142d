import { HOST, type LinkRow, link, type NamespaceName, type RowGroup, sysctl } from '../namespace/rows.ts';

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

/** The agent's end of a port's veth pair: it makes the pair and carries the port's MAC. */
export const vethEnd = ({ ns, device, port, mtu }: Plug): LinkRow =>
  link({
    ns,
    name: device,
    type: 'veth',
    mac: port.mac_address.toLowerCase(),
    mtu,
    peer: { ns: HOST, name: tapName(port.id) },
  });

/** The root end for another agent to wire. The host must not speak IPv6 on a tenant's network. */
export const rootEnd = ({ port, mtu }: Plug): RowGroup => {
  const name = tapName(port.id);
  return [
    link({ ns: HOST, name, type: 'veth', mtu }),
    sysctl({ ns: HOST, name: `net/ipv6/conf/${name}/disable_ipv6`, value: '1', optional: true }),
  ];
};

/**
 * Rows that connect a port to its network's bridge: the bridge, the root end of a veth pair in it, and
 * the agent's end in its namespace. Everyone who plugs into a network wants the same bridge row; it goes with
 * the last of them.
 */
export function plugBridge(plug: Plug): RowGroup {
  const { port, mtu } = plug;
  const bridge = bridgeName(port.network_id);
  return [
    link({ ns: HOST, name: bridge, type: 'bridge', addrGenMode: 'none' }),
    link({ ns: HOST, name: tapName(port.id), type: 'veth', mtu, master: bridge, addrGenMode: 'none' }),
    vethEnd(plug),
  ];
}
