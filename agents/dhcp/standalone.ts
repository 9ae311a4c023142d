/** The DHCP agent on a topology file, without a server. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Withdrawals } from '../../lib/announcement/farewell.ts';
import { RADVD_TEMPLATE } from '../../lib/announcement/radvd.ts';
import { readTemplate } from '../../lib/daemon/template.ts';
import { parseNetwork } from '../../lib/model/network.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { agentPart } from '../../lib/standalone/agent-part.ts';
import type { OwnerRecord, Part, Site } from '../../lib/standalone/site.ts';
import type { Topology } from '../../lib/standalone/topology.ts';
import { createDhcpAgent } from './agent.ts';
import { compileNetwork, type DhcpHost } from './compile/network.ts';
import { closedDirectory, networksOnDisk } from './directory.ts';
import { type DhcpOptions, dhcpOptions } from './options.ts';

/** dnsmasq is Debian's (2.90): it knows tags in host lines and watches directories. */
export const standaloneHost = (name: string, packageRoot: string): DhcpHost => {
  const ipv6 = existsSync('/proc/net/if_inet6');
  const radvd = ipv6 ? { radvd: readTemplate(packageRoot, RADVD_TEMPLATE) } : {};
  return { name, ipv6, hostTags: true, inotify: true, ...radvd };
};

/**
 * Options for a deployment: those of its topology file, where section l3 says how advertisements are sent, whoever
 * does; files are in its state directory.
 */
export const standaloneDhcpOptions = (
  { l3, dhcp }: Pick<Topology, 'l3' | 'dhcp'>,
  directory: string,
): DhcpOptions => dhcpOptions({ ...l3, ...dhcp, dhcp_confs: join(directory, 'dhcp') });

/** Rows of a recorded network, as it was last asked for; undefined: the record is another agent's. */
export function compileNetworkRecord(
  record: OwnerRecord,
  host: DhcpHost,
  options: DhcpOptions,
): RowGroup[] | undefined {
  if (record.kind !== 'network') return undefined;
  return compileNetwork({ network: parseNetwork(record.payload), host, options }).groups;
}

export function createDhcpPart(site: Site): { part: Part; options: DhcpOptions } {
  const { topology } = site.controller;
  const { host: name } = topology;
  const host = standaloneHost(name, site.packageRoot);
  const options = standaloneDhcpOptions(topology, site.directory);
  site.adopt(['network'], (record) => compileNetworkRecord(record, host, options));
  const closed = closedDirectory(options.dhcp_confs);
  if (closed)
    site.log.warn(
      `dnsmasq can't read below ${closed}, so changes will not reach it: chmod o+x ${closed}, or take another --state-dir`,
    );
  const agent = createDhcpAgent({
    plugin: site.controller,
    reconciler: site.reconciler,
    options,
    host,
    logger: site.log,
    knownNetworks: site.recorded(['network']),
    leftNetworks: networksOnDisk(options.dhcp_confs),
    farewell: new Withdrawals((network, message) => site.log.warn({ network }, message)),
    // A network that is not in the file any more is not served elsewhere either.
    removedForGood: true,
  });
  return { part: agentPart(site, 'dhcp', agent), options };
}
