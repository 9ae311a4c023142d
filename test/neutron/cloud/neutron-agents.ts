/** Neutron's own agents (Debian's packages), on the same node and with the same configuration files as Viaduct's. */
import { join } from 'node:path';
import { AgentGroup } from './agent-group.ts';
import { type Ini, writeIni } from './ini.ts';
import type { NetworkNode } from './node.ts';

const PRIVSEP_SECTIONS = [
  'privsep',
  'privsep_dhcp_release',
  'privsep_ovs_vsctl',
  'privsep_namespace',
  'privsep_conntrack',
  'privsep_link',
];

/**
 * With as many privsep threads as processors (the default) their L3 agent stalls for minutes when several routers come
 * at once. Viaduct's agents would only name these options as unknown.
 */
const PRIVSEP: Ini = Object.fromEntries(PRIVSEP_SECTIONS.map((name) => [name, { thread_pool_size: 32 }]));

/**
 * They run as root: `root_helper = env` of the node's configuration stands where an installation has sudo and rootwrap,
 * which only costs them less.
 */
export class NeutronAgents extends AgentGroup {
  /** @param more options for these agents only */
  constructor(node: NetworkNode, more: Ini = {}) {
    const { directory, statePath } = node;
    const only = writeIni(join(directory, 'neutron-agents-only.ini'), PRIVSEP, more);
    super({
      name: 'neutron',
      directory,
      statePath,
      finished: (log, id) => log.includes(`Finished a router update for ${id}`),
      argv: (role) => [
        `neutron-${role}-agent`,
        ...[...node.configFiles(role), only].flatMap((file) => ['--config-file', file]),
      ],
    });
  }
}
