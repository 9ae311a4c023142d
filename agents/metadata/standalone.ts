/** The metadata agent on a topology file: ports from the topology, answers from the built-in service or Nova. */
import type { Part, Site } from '../../lib/standalone/site.ts';
import { createMetadataAgent } from './agent.ts';
import { type MetadataOptions, parseMetadataOptions } from './options.ts';
import { createLocalForwarder, createMetadataService } from './service/service.ts';
import { topologyInstances } from './service/topology.ts';

/** The secret only signs requests from this process to itself when the built-in service answers them. */
const BUILT_IN_SECRET = 'built-in';

export function createMetadataPart(site: Site): { part: Part; options: Partial<MetadataOptions> } {
  const { controller } = site;
  const { dhcp, metadata } = controller.topology;
  const given = Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined));
  const builtIn = metadata.nova_metadata_host === undefined;
  const options = parseMetadataOptions({
    enable_isolated_metadata: dhcp.enable_isolated_metadata,
    force_metadata: dhcp.force_metadata,
    enable_metadata_network: dhcp.enable_metadata_network,
    ...given,
    ...(builtIn ? { metadata_proxy_shared_secret: BUILT_IN_SECRET } : {}),
  });
  const service = createMetadataService({
    secret: BUILT_IN_SECRET,
    instances: topologyInstances(() => controller.topology),
  });
  const agent = createMetadataAgent({
    plugin: controller,
    inventory: {
      routers: () => controller.syncRouters(),
      networks: () => controller.getActiveNetworksInfo(),
      subscribe(changed) {
        return controller.follow({
          routersUpdated: changed,
          routersDeleted: changed,
          networksUpdated: changed,
          networksDeleted: changed,
        });
      },
    },
    options,
    logger: site.log,
    ...(builtIn ? { forwarder: createLocalForwarder(service) } : {}),
  });
  const part: Part = {
    role: 'metadata',
    start: () => agent.start(),
    stop: () => agent.stop(),
    status() {
      const { converged, error, listeners } = agent.state();
      const waiting = listeners.waiting.map(({ key, reason }) => [key, reason] as const);
      const problems = { ...Object.fromEntries(waiting), ...(error ? { metadata: error } : {}) };
      return { settled: converged, problems };
    },
  };
  const { metadata_proxy_shared_secret: _secret, ...shown } = options;
  return { part, options: shown };
}
