/**
 * The L2 fabric of the standalone mode as rows: a bridge for each network (with the physical interface, if it
 * has one), and a namespace for each instance, joined to its networks by veth pairs with Neutron's tap
 * names. Against Neutron this is the L2 agent's and the hypervisor's work. Pure.
 */
import {
  address,
  daemon,
  file,
  HOST,
  link,
  netns,
  type Row,
  type RowGroup,
  route,
} from '../../../lib/namespace/rows.ts';
import type { Instance, InstancePort } from '../../../lib/standalone/instance-view.ts';
import { bridgeName, plugBridge } from '../../../lib/wiring/bridge.ts';

export interface SegmentSource {
  readonly id: string;
  readonly physical_interface?: string | undefined;
}

/** The bridge of a network, and the host's device that leads outside. */
export function compileSegment(network: SegmentSource): RowGroup[] {
  const bridge = bridgeName(network.id);
  const rows: Row[] = [link({ ns: HOST, name: bridge, type: 'bridge', addrGenMode: 'none' })];
  if (network.physical_interface)
    rows.push(link({ ns: HOST, name: network.physical_interface, type: 'physical', master: bridge }));
  return [rows];
}

export interface InstanceHost {
  /** where its DHCP clients keep their files: <directory>/<instance id>/ */
  readonly directory: string;
  /** the program that puts a lease on a device (dhclient-script(8)) */
  readonly leaseScript: string;
  /** dhclient.conf of a device of an instance */
  readonly clientConfiguration: (values: { readonly instance: string; readonly device: string }) => string;
}

const device = (position: number): string => `eth${position}`;

function configureStatic(ns: string, port: InstancePort, dev: string): Row[] {
  const rows: Row[] = [];
  for (const fixed of port.fixed_ips) {
    const { ip_address: ip, prefixlen: prefix, ip_version: family, gateway_ip: via } = fixed;
    rows.push(address({ ns, dev, ip, prefix, family, broadcast: family === 4, announce: true }));
    if (via) {
      const destination = family === 4 ? '0.0.0.0/0' : '::/0';
      rows.push(route({ ns, family, destination, nexthops: [{ via, dev, weight: 1 }] }));
    }
    for (const { destination, nexthop } of fixed.host_routes ?? [])
      rows.push(route({ ns, family, destination, nexthops: [{ via: nexthop, dev, weight: 1 }] }));
  }
  for (const { ip_address } of port.allowed_address_pairs) {
    const [ip, prefix] = ip_address.split('/') as [string, string?];
    const family = ip.includes(':') ? 6 : 4;
    const whole = family === 4 ? 32 : 128;
    if (prefix === undefined || Number(prefix) === whole)
      rows.push(address({ ns, dev, ip, prefix: whole, family, announce: true }));
  }
  return rows;
}

/** One client for each IP version: dhclient can't do both. Their files are told apart by `6`. */
function dhcpClient(instance: Instance, dev: string, version: 4 | 6, host: InstanceHost): Row[] {
  const ns = instance.namespace;
  const directory = `${host.directory}/${instance.id}`;
  const at = (suffix: string): string => `${directory}/${dev}.${suffix}`;
  const ending = version === 6 ? '6' : '';
  const files = ['-cf', at('conf'), '-pf', at(`pid${ending}`), '-lf', at(`leases${ending}`)];
  return [
    file({ ns, path: at('conf'), content: host.clientConfiguration({ instance: instance.id, device: dev }) }),
    daemon({
      ns,
      service: `dhclient${ending}`,
      id: `${instance.id}/${dev}`,
      argv: ['dhclient', `-${version}`, '-nw', ...files, '-sf', host.leaseScript, dev],
      pidFile: at(`pid${ending}`),
      directory,
    }),
  ];
}

/** IP versions of which a port's addresses come by DHCP: not those made from router advertisements. */
const versionsByDhcp = ({ fixed_ips }: InstancePort): (4 | 6)[] =>
  ([4, 6] as const).filter((version) => fixed_ips.some((ip) => ip.ip_version === version && !ip.auto));

/** A namespace that stands for a virtual machine. Its first port is eth0, the next eth1, … */
export function compileInstance(instance: Instance, host: InstanceHost): RowGroup[] {
  const ns = instance.namespace;
  const groups: RowGroup[] = [[netns(ns), link({ ns, name: 'lo', type: 'loopback' })]];
  const ports = instance.ports.filter((port) => port.admin_state_up);
  for (const [position, port] of ports.entries()) {
    const dev = device(position);
    groups.push(plugBridge({ ns, device: dev, port, mtu: port.mtu }));
    if (instance.configure === 'static') groups.push(configureStatic(ns, port, dev));
    else if (instance.configure === 'dhcp')
      for (const version of versionsByDhcp(port)) groups.push(dhcpClient(instance, dev, version, host));
  }
  return groups;
}
