/** The DHCP agent of a Neutron node: neutron-server's notifications and answers in, state reports out. */
import { Withdrawals } from '../../lib/announcement/farewell.ts';
import { toDhcpOptions } from '../../lib/config/agent-options.ts';
import type { ConfigValues } from '../../lib/config/resolve.ts';
import type { DhcpPlugin } from '../../lib/model/source.ts';
import { PRIORITY } from '../../lib/namespace/queue.ts';
import { daemonPolicy, withOwnUser } from '../../lib/neutron/daemon-policy.ts';
import { networkLeftovers, neutronPaths } from '../../lib/neutron/leftovers.ts';
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
import { createDhcpAgent, type DhcpAgent } from './agent.ts';
import { dhcpDeviceId, dhcpNamespace } from './compile/identity.ts';
import { withDhcpPort } from './dhcp-port.ts';
import { networksOnDisk } from './directory.ts';
import { dnsmasqProcess } from './dnsmasq-process.ts';
import { type DhcpOptions, dhcpOptions } from './options.ts';
import { compileNetworkRecord, standaloneHost } from './standalone.ts';

/** Priorities of notifications are 0 … 6; a server's nonsense must not reach those of a full sync. */
const MOST_PATIENT = 10;

export const neutronDhcpOptions = (values: ConfigValues): DhcpOptions =>
  dhcpOptions({ ...toDhcpOptions(values), wiring: neutronWiring(values) });

/** As Neutron's agent reports them; a server may read its load from the counters (dhcp_load_type). */
export const dhcpConfigurations = (values: ConfigValues, options: DhcpOptions, agent: DhcpAgent) => ({
  dhcp_driver: values.DEFAULT?.dhcp_driver,
  dhcp_lease_duration: options.dhcp_lease_duration,
  ...agent.state().counters,
});

export function createDhcpNeutronPart(node: NeutronNode): { part: Part; options: DhcpOptions } {
  const { rpc, host, log, values } = node;
  const options = withOwnUser(neutronDhcpOptions(values), log);
  const machine = standaloneHost(host, node.packageRoot);
  node.adopt(['network'], (record) => compileNetworkRecord(record, machine, options));
  const known = node.recorded(['network']);
  const paths = neutronPaths(values);
  const agent = createDhcpAgent({
    plugin: confirming(new DhcpPluginApi(rpc, host), host, () => reporting.confirm()),
    reconciler: node.reconciler,
    process: dnsmasqProcess(daemonPolicy(values, log).killScripts),
    options,
    host: machine,
    logger: log,
    knownNetworks: known,
    leftNetworks: networksOnDisk(options.dhcp_confs),
    farewell: new Withdrawals((network, message) => log.warn({ network }, message)),
    leftBehind: (id) => networkLeftovers(dhcpNamespace(id, options.namespace_suffix), id, paths),
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
    configurations: () => dhcpConfigurations(values, options, agent),
    servers: [server],
    resync: () => {
      agent.resync();
      node.touch();
    },
  });

  /** Less urgent notifications wait for more urgent ones; all of them come before a full sync. */
  function follow({ method, networkId, priority: given, payload }: DhcpNotification): void {
    const priority = PRIORITY.userChange + Math.min(Math.max(given, 0), MOST_PATIENT);
    const about = { networkId: networkId ?? undefined, priority };
    if (method === 'port_create_end' || method === 'port_update_end')
      agent.portChanged({ ...about, port: payload.port, created: method === 'port_create_end' });
    else if (method === 'port_delete_end') agent.portDeleted({ ...about, portId: String(payload.port_id) });
    else if (method === 'subnet_delete_end')
      agent.subnetDeleted({ ...about, subnetId: String(payload.subnet_id) });
    else if (networkId === null) reporting.resync(`${method} of a network the server does not name`);
    else if (method === 'network_delete_end') agent.networksDeleted([networkId], priority);
    else agent.networksUpdated([networkId], priority);
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

/** The server, asked for everything only when its answer can be trusted: see Reporting. */
function confirming(server: DhcpPluginApi, host: string, confirm: () => Promise<void>): DhcpPlugin {
  return {
    async getActiveNetworksInfo() {
      await confirm();
      return await server.getActiveNetworksInfo();
    },
    getNetworkInfo: (id) => server.getNetworkInfo(id),
    dhcpReadyOnPorts: (ids) => server.dhcpReadyOnPorts(ids),
    withDhcpPort: (network) => withDhcpPort(server, host, network),
    notServed: (id) => server.releaseDhcpPort(id, dhcpDeviceId(host, id)),
  };
}
