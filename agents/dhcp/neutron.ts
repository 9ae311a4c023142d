/** The DHCP agent of a Neutron node: neutron-server's notifications and answers in, state reports out. */
import { toDhcpOptions } from '../../lib/config/agent-options.ts';
import type { ConfigValues } from '../../lib/config/resolve.ts';
import type { DhcpPlugin } from '../../lib/model/source.ts';
import type { NeutronNode } from '../../lib/neutron/node.ts';
import { neutronWiring } from '../../lib/neutron/port-switch.ts';
import { Reporting } from '../../lib/neutron/reporting.ts';
import type { Part } from '../../lib/process/agent-process.ts';
import { isSettled } from '../../lib/process/owner-queue.ts';
import { DhcpPluginApi } from '../../lib/rpc/plugins/dhcp.ts';
import {
  DHCP_TOPIC,
  type DhcpNotification,
  dhcpEndpoints,
} from '../../lib/rpc/plugins/dhcp-notifications.ts';
import { DHCP_AGENT } from '../../lib/rpc/plugins/state-reports.ts';
import { createDhcpAgent } from './agent.ts';
import { dhcpDeviceId } from './compile/identity.ts';
import { withDhcpPort } from './dhcp-port.ts';
import { networksOnDisk } from './directory.ts';
import { NetworkIndex } from './network-index.ts';
import { type DhcpOptions, dhcpOptions } from './options.ts';
import { compileNetworkRecord, standaloneHost } from './standalone.ts';

export const neutronDhcpOptions = (values: ConfigValues): DhcpOptions =>
  dhcpOptions({ ...toDhcpOptions(values), wiring: neutronWiring(values) });

/** As Neutron's agent reports them; a server may read its load from the counters (dhcp_load_type). */
export const dhcpConfigurations = (values: ConfigValues, options: DhcpOptions, index: NetworkIndex) => ({
  dhcp_driver: values.DEFAULT?.dhcp_driver,
  dhcp_lease_duration: options.dhcp_lease_duration,
  ...index.counters(),
});

export function createDhcpNeutronPart(node: NeutronNode): { part: Part; options: DhcpOptions } {
  const { rpc, host, log, values } = node;
  const options = neutronDhcpOptions(values);
  node.adopt((record) => compileNetworkRecord(record, host, options));
  const known = node.recorded(['network']);
  const left = networksOnDisk(options.dhcp_confs);
  const index = new NetworkIndex([...known, ...left]);
  const agent = createDhcpAgent({
    plugin: indexing(new DhcpPluginApi(rpc, host), host, index, () => reporting.confirm()),
    reconciler: node.reconciler,
    options,
    host: standaloneHost(host),
    logger: log,
    knownNetworks: known,
    leftNetworks: left,
  });
  const server = rpc.serve({
    topic: DHCP_TOPIC,
    server: host,
    endpoints: dhcpEndpoints({
      notified(notification) {
        follow(notification);
        node.touch();
      },
      agentUpdated: (up) => reporting.resync(`an operator ${up ? 'enabled' : 'disabled'} this agent`),
    }),
  });
  const reporting: Reporting = new Reporting(node, {
    agent: DHCP_AGENT,
    configurations: () => dhcpConfigurations(values, options, index),
    servers: [server],
    resync: () => {
      agent.resync();
      node.touch();
    },
  });

  /** What a notification says is never built: the network is asked for, and the answer is as new as the notification. */
  function follow({ method, networkId: id }: DhcpNotification): void {
    if (id === null) reporting.resync(`${method} of a network the server does not name`);
    else if (method === 'network_delete_end') {
      // Every DHCP agent hears of it.
      if (!index.has(id)) return;
      index.forget(id);
      agent.networksDeleted([id]);
    } else {
      // A port's network was told before, if it is ours.
      if (method.startsWith('port_') && !index.has(id)) return;
      index.add(id);
      agent.networksUpdated([id]);
    }
  }

  const part: Part = {
    role: 'dhcp',
    start() {
      reporting.start();
      agent.start();
    },
    async stop() {
      await Promise.all([agent.stop(), reporting.stop()]);
    },
    status() {
      const state = agent.state();
      return { settled: isSettled(state), problems: state.problems, server: reporting.status() };
    },
  };
  return { part, options };
}

/** The server, with a look at what it answers. `confirm`: see Reporting. */
function indexing(
  server: DhcpPluginApi,
  host: string,
  index: NetworkIndex,
  confirm: () => Promise<void>,
): DhcpPlugin {
  return {
    async getActiveNetworksInfo() {
      await confirm();
      const networks = await server.getActiveNetworksInfo();
      index.list(networks);
      return networks;
    },
    async getNetworkInfo(id) {
      const network = await server.getNetworkInfo(id);
      if (network === null) index.forget(id);
      else if (index.has(id)) index.note(network);
      return network;
    },
    dhcpReadyOnPorts: (ids) => server.dhcpReadyOnPorts(ids),
    withDhcpPort: (network) => withDhcpPort(server, host, network),
    notServed: (id) => server.releaseDhcpPort(id, dhcpDeviceId(host, id)),
  };
}
