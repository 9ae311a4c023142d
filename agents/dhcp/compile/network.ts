/** Pure: what a network's DHCP service is, as rows. */
import type { Advertisement } from '../../../lib/announcement/advertisement.ts';
import type { Template } from '../../../lib/daemon/template.ts';
import type { Network } from '../../../lib/model/network.ts';
import { type DaemonRow, daemon, file, type LinkRow, type RowGroup } from '../../../lib/namespace/rows.ts';
import { withoutDevices } from '../../../lib/wiring/bare.ts';
import { deviceName } from '../../../lib/wiring/bridge.ts';
import { dhcpPrefix, plugPort } from '../../../lib/wiring/wiring.ts';
import type { DhcpOptions } from '../options.ts';
import { announcement, isolatedAdvertisements } from './announcement.ts';
import { addressRows, namespaceRows, routeRows } from './device.ts';
import { addedOpts, dnsmasqArguments } from './dnsmasq.ts';
import { type HostLines, hostLines } from './hosts.ts';
import { dhcpDeviceId, dhcpNamespace, networkDirectory, ownPort } from './identity.ts';
import { stableFile, stableGroup, stableText } from './memo.ts';
import { optsLines } from './opts.ts';
import { servesNetwork } from './subnets.ts';

/** What compiling needs to know of this machine. */
export interface DhcpHost {
  /** host name as the controller knows it */
  readonly name: string;
  /** the kernel has IPv6 */
  readonly ipv6: boolean;
  /** dnsmasq accepts `tag:` in host lines (`dnsmasq --test --dhcp-host=tag:foo`) */
  readonly hostTags: boolean;
  /** dnsmasq can watch directories (compiled with inotify) */
  readonly inotify: boolean;
  /** templates/radvd.conf.hbs; absent where nothing can be announced */
  readonly radvd?: Template;
}

/** Lines of the files that dnsmasq reads again on a signal. */
export interface ConfigLines extends HostLines {
  readonly opts: readonly string[];
}

/** A network that is served. */
export interface DhcpService {
  readonly ns: string;
  readonly device: string;
  /** the network's configuration directory */
  readonly directory: string;
  readonly daemon: DaemonRow;
  readonly lines: ConfigLines;
  /** what radvd announces; empty: it does not run */
  readonly advertisements: readonly Advertisement[];
}

export interface CompiledNetwork {
  /** empty: nothing is to be served, the namespace goes */
  readonly groups: RowGroup[];
  /** undefined with empty groups */
  readonly service?: DhcpService;
  /** what of the network could not be told to dnsmasq, one sentence each */
  readonly warnings: readonly string[];
}

export interface CompileInput {
  readonly network: Network;
  readonly host: DhcpHost;
  readonly options: DhcpOptions;
  /** start dnsmasq with watched directories; false: exactly Neutron's command line, to adopt its process */
  readonly watch?: boolean;
}

/** The controller has made no DHCP port for this host (yet). */
export class MissingPort extends Error {
  override readonly name = 'MissingPort';
  constructor(networkId: string, deviceId: string) {
    super(
      `network ${networkId} has no DHCP port with device_id ${deviceId}: make one, or check this agent's host name`,
    );
  }
}

const ETHERNET_MTU = 1500;

/**
 * Old DHCP clients read packets before anybody has computed the checksums that a virtual device leaves open. Neutron
 * has iptables fill them in, which nftables can't.
 */
const withChecksums = (device: LinkRow): LinkRow => ({ ...device, checksumOffload: false });

/**
 * Rows of a network. The same inputs give the same group objects, subject by subject.
 * @throws MissingPort
 */
export function compileNetwork(input: CompileInput): CompiledNetwork {
  const { network, host, options } = input;
  if (!servesNetwork(network)) return { groups: [], warnings: [] };
  const port = ownPort(network, host.name);
  if (!port) throw new MissingPort(network.id, dhcpDeviceId(host.name, network.id));

  const ns = dhcpNamespace(network.id, options.namespace_suffix);
  const device = deviceName(dhcpPrefix(options.wiring), port.id);
  const directory = networkDirectory(options.dhcp_confs, network.id);
  const watch = input.watch ?? host.inotify;
  const warnings: string[] = [...network.problems];
  const warn = (message: string): void => {
    warnings.push(`network ${network.id}: ${message}`);
  };
  const lines: ConfigLines = {
    ...hostLines({ network, options, hostTags: host.hostTags, warn }),
    opts: optsLines({ network, host: host.name, options, warn }),
  };
  const dnsmasq = daemon({
    ns,
    service: 'dnsmasq',
    id: network.id,
    argv: dnsmasqArguments({ network, options, directory, watch }),
    pidFile: `${directory}/pid`,
    directory: watch ? addedOpts(directory) : directory,
  });
  const plug = plugPort({ ns, device, port, mtu: network.mtu ?? ETHERNET_MTU }, options.wiring);
  const plugged = plug.map((row) => (row.kind === 'link' && row.ns === ns ? withChecksums(row) : row));
  const on = { ns, device, port, network, options, ipv6: host.ipv6 };
  const group = (subject: string, rows: RowGroup): RowGroup => stableGroup(`${network.id} ${subject}`, rows);
  const written = (name: string, content: string): RowGroup =>
    stableFile(`${network.id} ${name}`, file({ ns, path: `${directory}/${name}`, content }));
  const text = (name: string, of: readonly string[]): string => stableText(`${network.id} ${name}`, of);
  const advertisements = host.radvd
    ? isolatedAdvertisements(network, { device, mac: port.mac_address }, options)
    : [];
  const radvd = host.radvd && announcement(network, advertisements, options, host.radvd);
  const groups = [
    group('namespace', namespaceRows(ns)),
    group('plug', plugged),
    group('addresses', addressRows(on)),
    group('routes', routeRows(on)),
    written('interface', device),
    written('host', text('host', lines.host)),
    written('addn_hosts', text('addn_hosts', lines.names)),
    // Neutron ends this file without a newline.
    written('opts', text('opts', lines.opts).slice(0, -1)),
    group('dnsmasq', [dnsmasq]),
    ...(radvd ? [group('radvd', radvd)] : []),
  ];
  return {
    groups: options.wiring === 'null' ? withoutDevices(groups) : groups,
    service: { ns, device, directory, daemon: dnsmasq, lines, advertisements },
    warnings,
  };
}
