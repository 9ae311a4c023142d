/** How the ports of an agent meet the L2 fabric, chosen by the operator's options. Pure. */
import { HOST, link, ovsPort, type RowGroup } from '../namespace/rows.ts';
import { type Plug, plugBridge, rootEnd, tapName, vethEnd } from './bridge.ts';

export type Datapath = 'system' | 'netdev';

/**
 * 'own-bridge': a bridge of ours for each network (standalone). 'linuxbridge': Neutron's Linux bridge agent finds the
 * tap by its name and puts it into its own bridge. 'null': no devices at all. Open vSwitch, by integration bridge and
 * kind of datapath: internal ports ('openvswitch'), or veth pairs with one end in the bridge ('openvswitch-veth').
 */
export type Wiring =
  | 'own-bridge'
  | 'linuxbridge'
  | 'null'
  | `openvswitch${'' | '-veth'}:${string}:${Datapath}`;

/** `bridge` becomes an interface's name and a value in the switch's database. */
const OPENVSWITCH = /^openvswitch(?<veth>-veth)?:(?<bridge>[A-Za-z0-9_.-]{1,15}):(?<datapath>system|netdev)$/;

export const isWiring = (value: unknown): value is Wiring =>
  typeof value === 'string' &&
  (['own-bridge', 'linuxbridge', 'null'].includes(value) || OPENVSWITCH.test(value));

/**
 * A port of the integration bridge; its tag and flows belong to the L2 agent from then on. Under its name comes the
 * switch's own device, which moves into the namespace, or the root end of a veth pair.
 */
function plugOpenVswitch(plug: Plug, bridge: string, datapath: string, veth: boolean): RowGroup {
  const { ns, device, port, mtu } = plug;
  const mac = port.mac_address.toLowerCase();
  const ofPort = { ns: HOST, bridge, ifaceId: port.id, mac };
  if (!veth)
    return [
      ovsPort({ ...ofPort, name: device, type: 'internal' }),
      link({ ns, name: device, type: 'internal', mac, mtu }),
    ];
  const end = vethEnd(plug);
  return [
    ...rootEnd(plug),
    ovsPort({ ...ofPort, name: tapName(port.id), type: 'system' }),
    // A switch in user space reads packets before the kernel would compute their checksums.
    datapath === 'netdev' ? { ...end, checksumOffload: false } : end,
  ];
}

/** Rows that bring a port into its namespace, up to the place where the L2 fabric takes over. */
export function plugPort(plug: Plug, wiring: Wiring): RowGroup {
  if (wiring === 'own-bridge') return plugBridge(plug);
  if (wiring === 'linuxbridge') return [...rootEnd(plug), vethEnd(plug)];
  if (wiring === 'null') return [];
  const { bridge, datapath, veth } = OPENVSWITCH.exec(wiring)!.groups!;
  return plugOpenVswitch(plug, bridge!, datapath!, veth !== undefined);
}

/** Prefix of the DHCP agent's devices (`DEV_NAME_PREFIX`); those of the L3 agent are always the same. */
export const dhcpPrefix = (wiring: Wiring): 'tap' | 'ns-' =>
  wiring === 'null' || wiring.startsWith('openvswitch:') ? 'tap' : 'ns-';

export interface OpenVswitchOptions {
  /** `[OVS] integration_bridge` */
  readonly integration_bridge: string;
  /** `[OVS] datapath_type` */
  readonly datapath_type: Datapath;
  readonly ovs_use_veth: boolean;
}

/** Names of option `interface_driver`: Neutron's entry points, the class paths behind them, and our own. */
const DRIVERS = new Map<string, 'openvswitch' | 'linuxbridge' | 'null'>([
  ['openvswitch', 'openvswitch'],
  ['neutron.agent.linux.interface.OVSInterfaceDriver', 'openvswitch'],
  ['linuxbridge', 'linuxbridge'],
  ['bridge', 'linuxbridge'],
  ['neutron.agent.linux.interface.BridgeInterfaceDriver', 'linuxbridge'],
  ['null', 'null'],
  ['neutron.agent.linux.interface.NullDriver', 'null'],
]);

/** @throws TypeError naming option and value */
export function wiringOf(interfaceDriver: string, options: Partial<OpenVswitchOptions> = {}): Wiring {
  const driver = DRIVERS.get(interfaceDriver);
  if (driver === undefined)
    throw new TypeError(
      `interface_driver = ${JSON.stringify(interfaceDriver)}: use openvswitch, linuxbridge or null ` +
        "(drivers in Python can't be loaded)",
    );
  if (driver !== 'openvswitch') return driver;
  const { integration_bridge = 'br-int', datapath_type = 'system', ovs_use_veth = false } = options;
  const wiring = `openvswitch${ovs_use_veth ? '-veth' : ''}:${integration_bridge}:${datapath_type}` as const;
  if (!isWiring(wiring))
    throw new TypeError(
      `[OVS] integration_bridge = ${JSON.stringify(integration_bridge)}: must be the name of a bridge, ` +
        '1 to 15 letters, digits, dots, dashes and underscores',
    );
  return wiring;
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
