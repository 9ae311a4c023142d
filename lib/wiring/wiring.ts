/** How the ports of an agent meet the L2 fabric, chosen by the operator's options. Pure. */
import { HOST, link, ovsPort, type RowGroup, sysctl } from '../namespace/rows.ts';
import { type Plug, plugBridge, tapName } from './bridge.ts';

export interface Wiring {
  /** distinguishes wirings that give other rows for the same port */
  readonly name: string;
  /** prefix of the DHCP agent's devices (`DEV_NAME_PREFIX`); those of the L3 agent are always the same */
  readonly dhcpPrefix: 'tap' | 'ns-';
  /** false: devices are nobody's (null driver), and nothing may be built on them */
  readonly plugs: boolean;
  /** the rows that put a port's device into its namespace; the device's own row among them */
  plug(plug: Plug): RowGroup;
}

/** Standalone: the networks' bridges are ours too. */
export const fabricWiring: Wiring = { name: 'fabric', dhcpPrefix: 'ns-', plugs: true, plug: plugBridge };

/** The agent's end of a veth pair: it makes the pair and has the port's MAC. */
const vethEnd = ({ ns, device, port, mtu }: Plug) =>
  ({
    ns,
    name: device,
    type: 'veth',
    mac: port.mac_address.toLowerCase(),
    mtu,
    peer: { ns: HOST, name: tapName(port.id) },
  }) as const;

/** The root end must not become an IPv6 host of its own on the tenant's network. */
const rootEnd = ({ port, mtu }: Plug): RowGroup => {
  const name = tapName(port.id);
  return [
    link({ ns: HOST, name, type: 'veth', mtu }),
    sysctl({ ns: HOST, name: `net/ipv6/conf/${name}/disable_ipv6`, value: '1', optional: true }),
  ];
};

/** The Linux bridge agent finds the tap by its name and puts it into its bridge: neither is ours to touch. */
export const linuxBridgeWiring: Wiring = {
  name: 'linuxbridge',
  dhcpPrefix: 'ns-',
  plugs: true,
  plug: (plug) => [...rootEnd(plug), link(vethEnd(plug))],
};

export const nullWiring: Wiring = { name: 'null', dhcpPrefix: 'tap', plugs: false, plug: () => [] };

export interface OpenVswitchOptions {
  /** `[OVS] integration_bridge` */
  readonly integration_bridge: string;
  /** `[OVS] datapath_type` */
  readonly datapath_type: 'system' | 'netdev';
  readonly ovs_use_veth: boolean;
}

/** The port belongs to the L2 agent from now on: its tag and flows are not ours. */
const openVswitchWiring = (options: OpenVswitchOptions): Wiring => {
  const { integration_bridge: bridge, datapath_type, ovs_use_veth: veth } = options;
  const ofPort = ({ port }: Plug) =>
    ({ ns: HOST, bridge, ifaceId: port.id, mac: port.mac_address.toLowerCase() }) as const;
  const internal = (plug: Plug): RowGroup => {
    const { ns, device: name, mtu, port } = plug;
    return [
      ovsPort({ ...ofPort(plug), name, type: 'internal' }),
      link({ ns, name, type: 'internal', mac: port.mac_address.toLowerCase(), mtu }),
    ];
  };
  // A switch in user space reads packets before the kernel would compute their checksums.
  const checksums = datapath_type === 'netdev' ? ({ checksumOffload: false } as const) : {};
  const pair = (plug: Plug): RowGroup => [
    ...rootEnd(plug),
    ovsPort({ ...ofPort(plug), name: tapName(plug.port.id), type: 'system' }),
    link({ ...vethEnd(plug), ...checksums }),
  ];
  return {
    name: `openvswitch ${bridge} ${datapath_type}${veth ? ' veth' : ''}`,
    dhcpPrefix: veth ? 'ns-' : 'tap',
    plugs: true,
    plug: veth ? pair : internal,
  };
};

/** Names of option `interface_driver`: Neutron's entry points and the class paths behind them, and our own. */
const DRIVERS = new Map<string, 'openvswitch' | 'linuxbridge' | 'null'>([
  ['openvswitch', 'openvswitch'],
  ['neutron.agent.linux.interface.OVSInterfaceDriver', 'openvswitch'],
  ['linuxbridge', 'linuxbridge'],
  ['bridge', 'linuxbridge'],
  ['neutron.agent.linux.interface.BridgeInterfaceDriver', 'linuxbridge'],
  ['null', 'null'],
  ['neutron.agent.linux.interface.NullDriver', 'null'],
]);

const BRIDGE_NAME = /^[A-Za-z0-9_.-]{1,15}$/;

/** @throws TypeError naming option and value */
export function wiringOf(interfaceDriver: string, options: Partial<OpenVswitchOptions> = {}): Wiring {
  const driver = DRIVERS.get(interfaceDriver);
  if (driver === 'linuxbridge') return linuxBridgeWiring;
  if (driver === 'null') return nullWiring;
  if (driver === undefined)
    throw new TypeError(
      `interface_driver = ${interfaceDriver}: use openvswitch, linuxbridge or null (drivers in Python can't be loaded)`,
    );
  const { integration_bridge = 'br-int', datapath_type = 'system', ovs_use_veth = false } = options;
  if (!BRIDGE_NAME.test(integration_bridge))
    throw new TypeError(`integration_bridge = ${JSON.stringify(integration_bridge)}: not a bridge's name`);
  return openVswitchWiring({ integration_bridge, datapath_type, ovs_use_veth });
}

const NEUTRONS_DEFAULT = /^tcp:(127\.0\.0\.1|\[?::1\]?|localhost):6640$/;
const USUAL_SOCKET = 'unix:/run/openvswitch/db.sock';

/**
 * Remotes of option `ovsdb_connection` (a list with commas for a cluster). Nobody may listen at Neutron's default:
 * its agents have a manager added to the database then. The socket every switch has serves as well.
 */
export function ovsdbRemotes(connection: string): string[] {
  const remotes = connection.split(',').map((remote) => remote.trim());
  return remotes.some((remote) => NEUTRONS_DEFAULT.test(remote)) ? [...remotes, USUAL_SOCKET] : remotes;
}
