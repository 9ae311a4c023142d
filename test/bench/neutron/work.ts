/** The cloud that both sides work in, and the work. */
import { output, until } from '../../e2e/shell.ts';
import type { Cloud } from '../../neutron/cloud/cloud.ts';
import type { ViaductAgents } from '../../neutron/cloud/viaduct-agents.ts';
import { createAssociationSite } from './association.ts';
import { routersComplete } from './completeness.ts';
import { atRest } from './rest.ts';
import type { Work } from './sides.ts';
import { createExternalNetwork, createRouters, createServedNetworks, EXTERNAL } from './site.ts';

const FIRST_BUILD_MS = 300_000;

/**
 * As operators have it: no debug log, a report every 30 s. `agent_down_time` is long, so that agents that are stopped
 * between the measurements keep what they are scheduled for.
 */
export const CLOUD = {
  server: { DEFAULT: { agent_down_time: 86_400 } },
  node: { common: { DEFAULT: { debug: false, rpc_response_timeout: 60 }, AGENT: { report_interval: 30 } } },
};

/** Otherwise they would begin after a random delay. */
export const ONLY_NEUTRON = { DEFAULT: { periodic_fuzzy_delay: 0 } };

/** All agents have reported once: from now on the server gives them work. */
async function introduce(cloud: Cloud, agents: ViaductAgents): Promise<void> {
  cloud.node.start('linuxbridge');
  agents.start();
  await until(
    'all agents are alive',
    async () => (await cloud.server.list('agents')).filter(({ alive }) => alive).length === 4,
    60_000,
  );
  await Promise.all([agents.stop(), cloud.node.agent('linuxbridge').stop()]);
}

/** The work made over REST and done once, so that both sides find the same: all scheduled, every DHCP port there. */
export async function prepare(
  cloud: Cloud,
  agents: ViaductAgents,
  n: number,
  progress: (line: string) => void,
): Promise<Work> {
  await introduce(cloud, agents);
  const { server } = cloud;
  await output('ip', '-n', 'outside', 'addr', 'add', `${EXTERNAL.gateway}/${EXTERNAL.prefix}`, 'dev', 'eth0');
  progress(`making ${n} routers and ${n} networks over REST`);
  const external = await createExternalNetwork(server);
  const routers = await createRouters(cloud, external, n);
  const association = await createAssociationSite(cloud, external, routers[0]!);
  const networks = await createServedNetworks(cloud, n);
  await agents.boot(cloud.broker);
  progress('building all once');
  agents.start();
  await routersComplete(routers, FIRST_BUILD_MS);
  const devices = await until(
    'every network has its DHCP port',
    async () => {
      const ports = await server.list('ports', '?device_owner=network:dhcp');
      const found = new Map(ports.map((port) => [String(port.network_id), `tap${port.id.slice(0, 11)}`]));
      return networks.every(({ id }) => found.has(id)) && found;
    },
    FIRST_BUILD_MS,
  );
  await agents.stop();
  await agents.boot(cloud.broker);
  // Who is measured first must not pay for what the server still has to do.
  await atRest(() => server.processes, FIRST_BUILD_MS);
  return { cloud, routers, association, networks, devices };
}
