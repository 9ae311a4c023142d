/** The L3 agent of a Neutron node: neutron-server's notifications and answers in, state reports out. */

import { Withdrawals } from '../../lib/announcement/farewell.ts';
import { toL3Options } from '../../lib/config/agent-options.ts';
import type { ConfigValues } from '../../lib/config/resolve.ts';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { legacyTables } from '../../lib/kernel/xtables.ts';
import type { L3Plugin } from '../../lib/model/source.ts';
import { withOwnUser } from '../../lib/neutron/daemon-policy.ts';
import { neutronPaths, routerLeftovers } from '../../lib/neutron/leftovers.ts';
import type { NeutronNode } from '../../lib/neutron/node.ts';
import { neutronWiring } from '../../lib/neutron/port-switch.ts';
import { Reporting } from '../../lib/neutron/reporting.ts';
import type { Part } from '../../lib/process/agent-process.ts';
import { basisOf } from '../../lib/process/basis.ts';
import { withLeftovers } from '../../lib/process/leftovers.ts';
import { isSettled, messageOf } from '../../lib/process/owner-queue.ts';
import { L3PluginApi } from '../../lib/rpc/plugins/l3.ts';
import {
  L3_TOPIC,
  type L3Notifications,
  l3Endpoints,
  NETWORK_UPDATE_TOPIC,
  networkUpdateEndpoints,
} from '../../lib/rpc/plugins/l3-notifications.ts';
import { L3_AGENT } from '../../lib/rpc/plugins/state-reports.ts';
import { createL3Agent } from './agent.ts';
import { routerNamespace } from './compile/namespace.ts';
import { type L3Options, l3Options } from './options.ts';
import { RouterIndex } from './router-index.ts';
import { compileRouterRecord, delegationOf, l3Host } from './standalone.ts';
import { unbuiltFeatures } from './unbuilt-features.ts';

export const neutronL3Options = (values: ConfigValues): L3Options =>
  l3Options({ ...toL3Options(values), wiring: neutronWiring(values) });

/** Extensions that this version has, by their names in Neutron. */
const EXTENSIONS: ReadonlySet<string> = new Set();

const wantedExtensions = (values: ConfigValues): string[] => {
  const names = values.AGENT?.extensions;
  return Array.isArray(names) ? names.map(String) : [];
};
const loadedExtensions = (values: ConfigValues): string[] =>
  wantedExtensions(values).filter((name) => EXTENSIONS.has(name));

/** As Neutron's agent reports them; the scheduler reads agent_mode and handle_internal_only_routers. */
export const l3Configurations = (values: ConfigValues, options: L3Options, index: RouterIndex) => ({
  agent_mode: options.agent_mode,
  handle_internal_only_routers: options.handle_internal_only_routers,
  interface_driver: values.DEFAULT?.interface_driver,
  extensions: loadedExtensions(values),
  ...index.counters(),
});

export function createL3NeutronPart(node: NeutronNode): { part: Part; options: L3Options } {
  const { rpc, log, values } = node;
  const options = withOwnUser(neutronL3Options(values), log);
  const host = l3Host(node.host, node.packageRoot);
  const missing = wantedExtensions(values).filter((name) => !EXTENSIONS.has(name));
  if (missing.length > 0)
    log.warn(
      `[AGENT] extensions: this version does not have ${missing.join(', ')}: routers are built without`,
    );
  const index = new RouterIndex();
  const basis = basisOf(node.packageRoot, { host, options });
  node.adopt(['router'], (record) => compileRouterRecord(record, host, options), basis);
  const known = new Set(node.recorded(['router']));
  const left = routersLeft(options.namespace_suffix).filter((id) => !known.has(id));
  const namespaceOf = (id: string): string => routerNamespace(id, options.namespace_suffix);
  const paths = neutronPaths(values);
  const extensions = [values.AGENT?.extensions ?? []].flat().map(String);
  const agent = createL3Agent({
    plugin: indexing(new L3PluginApi(rpc, node.host), index, () => reporting.confirm()),
    reconciler: withLeftovers(node.reconciler, {
      owners: left,
      namespaceOf,
      rowsOf: (id) => routerLeftovers(namespaceOf(id), id, paths),
    }),
    options,
    host,
    basis,
    logger: log,
    farewell: new Withdrawals((router, message) => log.warn({ router }, message)),
    delegation: delegationOf(options, log),
    knownRouters: [...known, ...left],
    refuse(id, payload) {
      // Without a record it is as Neutron's agent built it.
      if (!left.includes(id) || node.records.has(id)) return undefined;
      const features = unbuiltFeatures(payload, extensions);
      return features.length === 0
        ? undefined
        : `the router has ${features.join(', ')}, which this version does not build: it stays as it is, unmanaged`;
    },
  });

  for (const id of left) {
    const tables = legacyTables(namespaceOf(id));
    if (tables.length > 0)
      log.warn(
        { router: id, tables },
        'Neutron’s agent used iptables-legacy here: its rules stay in force beside ours until they are removed by hand',
      );
  }

  const unbuilt = (what: string) => (routerId: string) =>
    log.debug({ router: routerId }, `${what}: distributed routers are not built by this version`);
  const heard: L3Notifications = {
    routersUpdated(ids) {
      agent.routersUpdated(ids);
      node.touch();
    },
    routersDeleted(ids) {
      index.forget(ids);
      agent.routersDeleted(ids);
      node.touch();
    },
    agentUpdated: (up) => reporting.resync(`an operator ${up ? 'enabled' : 'disabled'} this agent`),
    arpEntryAdded: unbuilt('new neighbour'),
    arpEntryDeleted: unbuilt('neighbour gone'),
    externalNetworkDeleted: () => {},
  };
  const servers = [
    rpc.serve({
      topic: NETWORK_UPDATE_TOPIC,
      server: node.host,
      endpoints: networkUpdateEndpoints(({ id, mtu }) => heard.routersUpdated(index.routersOf(id, mtu))),
    }),
    rpc.serve({ topic: L3_TOPIC, server: node.host, endpoints: l3Endpoints(heard) }),
  ];
  const reporting: Reporting = new Reporting(node, {
    agent: L3_AGENT,
    configurations: () => l3Configurations(values, options, index),
    servers,
    resync: () => {
      agent.resync();
      node.touch();
    },
  });

  /**
   * cleanup_on_shutdown: this host is to forward nothing more. What was built counts, not what the server listed: a
   * router whose removal was still to come, or that no listing of this process has named yet, has a record.
   */
  async function removeAll(): Promise<void> {
    const ids = [...agent.present].filter((id) => node.records.has(id));
    log.info(`cleanup_on_shutdown: removing ${ids.length} routers`);
    for (const id of ids) {
      try {
        node.reconciler.removeOwner(id);
        const { failures } = await node.reconciler.reconcile(id);
        for (const { key, message } of failures) log.warn({ router: id }, `${key}: ${message}`);
      } catch (error) {
        log.warn({ router: id }, `it can't be removed: ${messageOf(error)}`);
      }
    }
  }

  const part: Part = {
    role: 'l3',
    start() {
      reporting.start();
      agent.start();
    },
    async stop() {
      await Promise.all([agent.stop(), reporting.stop()]);
      if (values.DEFAULT?.cleanup_on_shutdown === true) await removeAll();
    },
    status() {
      const state = agent.state();
      return { settled: isSettled(state), problems: state.problems, server: reporting.status() };
    },
  };
  return { part, options };
}

/** The server, with a look at what it answers. `confirm`: see Reporting. */
function indexing(server: L3PluginApi, index: RouterIndex, confirm: () => Promise<void>): L3Plugin {
  return {
    async syncRouters(ids) {
      const routers = await server.syncRouters(ids);
      index.answered(ids ?? [], routers);
      return routers;
    },
    async *allRouters() {
      await confirm();
      const ids = await server.getRouterIds();
      const listed = new Set(ids);
      for await (const chunk of server.routersInChunks(ids)) {
        index.answered(chunk.ids, chunk.routers);
        yield chunk.routers;
      }
      index.forget([...index.ids].filter((id) => !listed.has(id)));
    },
    updateFloatingIpStatuses: (id, statuses) => server.updateFloatingIpStatuses(id, statuses),
    updatePrefixes: (prefixes) => server.updatePrefixes(prefixes),
  };
}

const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

/** Routers that have a namespace: whoever built it, it is for the L3 agent of this host to remove. */
export function routersLeft(suffix: string, namespaces: readonly string[] = listNamespaces()): string[] {
  return namespaces
    .filter((name) => name.endsWith(suffix))
    .map((name) => name.slice(0, name.length - suffix.length))
    .flatMap((name) => new RegExp(`^qrouter-(${UUID})$`).exec(name)?.[1] ?? []);
}
