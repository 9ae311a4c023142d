/**
 * The metadata agent of a Neutron node: which namespaces want a listener is known from the records of this host's L3
 * and DHCP agents, who is behind an address from them or from the server.
 */
import fs from 'node:fs';
import { userInfo } from 'node:os';
import { toMetadataOptions } from '../../lib/config/agent-options.ts';
import type { ConfigValues } from '../../lib/config/resolve.ts';
import { dhcpHostId } from '../../lib/model/dhcp-host.ts';
import { fields, guarded, number, optional, readIf, truth } from '../../lib/model/reader.ts';
import { neutronPaths } from '../../lib/neutron/leftovers.ts';
import type { NeutronNode } from '../../lib/neutron/node.ts';
import { Reporting } from '../../lib/neutron/reporting.ts';
import type { Part } from '../../lib/process/agent-process.ts';
import { runStatus } from '../../lib/process/roles.ts';
import { MetadataPluginApi } from '../../lib/rpc/plugins/metadata.ts';
import { METADATA_AGENT } from '../../lib/rpc/plugins/state-reports.ts';
import { readFacts } from '../../lib/standalone/deployment.ts';
import { dhcpPrefix, isWiring } from '../../lib/wiring/wiring.ts';
import { createMetadataAgent } from './agent.ts';
import type { ListenerOptions } from './compile/listeners.ts';
import { KnownPorts } from './known-ports.ts';
import { type MetadataOptions, parseMetadataOptions } from './options.ts';
import { Predecessors } from './predecessors.ts';
import { type Account, socketMode } from './proxy-socket.ts';
import { RecordsView } from './records-view.ts';

/** As Neutron's agent reports them. */
export const metadataConfigurations = (values: ConfigValues, options: MetadataOptions) => ({
  metadata_proxy_socket: values.DEFAULT?.metadata_proxy_socket,
  nova_metadata_host: options.nova_metadata_host,
  nova_metadata_port: options.nova_metadata_port,
});

function thisAccount(): Account {
  const { username, uid, gid } = userInfo();
  return { user: [username, String(uid)], group: [String(gid), ...(gid === 0 ? ['root'] : [])] };
}

const decisions = fields({
  l3: optional(fields({ enable_metadata_proxy: truth, metadata_port: number })),
  dhcp: optional(
    fields({
      enable_isolated_metadata: truth,
      force_metadata: truth,
      enable_metadata_network: truth,
      wiring: guarded(isWiring, 'is not a wiring'),
    }),
  ),
});

/** Options of the L3 and DHCP agents' own files that say where metadata is served; {} before they ever ran. */
export function decidedElsewhere(
  options: Readonly<Record<string, unknown>>,
  host: string,
): Partial<ListenerOptions> {
  const read = readIf(decisions, options);
  if (!read) return {};
  const { l3, dhcp } = read;
  const { wiring, ...isolated } = dhcp ?? {};
  return {
    ...l3,
    ...isolated,
    ...(wiring ? { dhcpDevicePrefix: dhcpPrefix(wiring) } : {}),
    dhcpHostId: dhcpHostId(host),
  };
}

export function createMetadataNeutronPart(node: NeutronNode): {
  part: Part;
  options: Partial<MetadataOptions>;
} {
  const { rpc, log, values, directory, host } = node;
  const options = parseMetadataOptions(toMetadataOptions(values));
  const view = new RecordsView(node.records.directory);
  const ports = new KnownPorts(
    {
      payload: (kind, id) => view.payload(kind, id),
      isCurrent() {
        const dhcp = runStatus(directory, 'dhcp');
        return dhcp?.converged === true && dhcp.server?.connected === true;
      },
    },
    new MetadataPluginApi(rpc),
  );
  const text = (name: string): string => String(values.DEFAULT?.[name] ?? '');
  const agent = createMetadataAgent({
    plugin: ports,
    inventory: {
      routers: () => view.routers(),
      networks: () => view.networks(),
      subscribe(changed) {
        const endView = view.subscribe(() => {
          ports.forget();
          changed();
          node.touch();
        });
        const facts = fs.watch(directory, (_event, name) => {
          if (name === 'deployment.json') changed();
        });
        return () => {
          endView();
          facts.close();
        };
      },
    },
    options,
    listenerOptions: () => decidedElsewhere(readFacts(directory)?.options ?? {}, host),
    logger: log,
    predecessors: new Predecessors(neutronPaths(values), log),
    socket: {
      path: text('metadata_proxy_socket'),
      mode: socketMode(
        {
          metadata_proxy_socket_mode: text('metadata_proxy_socket_mode'),
          metadata_proxy_user: text('metadata_proxy_user'),
          metadata_proxy_group: text('metadata_proxy_group'),
        },
        thisAccount(),
      ),
      backlog: options.metadata_backlog,
      logger: log,
    },
  });
  const reporting = new Reporting(node, {
    agent: METADATA_AGENT,
    configurations: () => metadataConfigurations(values, options),
    castLater: true,
  });
  const part: Part = {
    role: 'metadata',
    async start() {
      reporting.start();
      await agent.start();
    },
    async stop() {
      await Promise.all([agent.stop(), reporting.stop()]);
    },
    status() {
      const { converged, error, listeners } = agent.state();
      const waiting = listeners.waiting.map(({ key, reason }) => [key, reason] as const);
      const problems = { ...Object.fromEntries(waiting), ...(error ? { metadata: error } : {}) };
      return { settled: converged, problems, server: reporting.status() };
    },
  };
  const { metadata_proxy_shared_secret: _secret, ...shown } = options;
  return { part, options: shown };
}
