/** Options that Neutron's agents had once; files of long-lived installations still have them. */
import { normalGroup } from '../option.ts';

/** Of [DEFAULT]: what became of each. */
const REMOVED: Readonly<Record<string, string>> = {
  external_network_bridge: 'removed in Neutron 14: bridge_mappings of the L2 agent say it',
  use_namespaces: 'removed in Neutron 8: there is always a namespace',
  gateway_external_network_id: 'removed in Neutron 15: one agent serves all external networks',
  router_id: 'removed from Neutron: there is always a namespace, for any number of routers',
  send_arp_for_ha: 'removed from Neutron: addresses are always announced',
  dhcp_delete_namespaces: 'removed from Neutron: a namespace always goes with its network',
  router_delete_namespaces: 'removed from Neutron: a namespace always goes with its router',
};

/** One sentence, or undefined. */
export const removedOption = (group: string, name: string): string | undefined =>
  normalGroup(group) === 'DEFAULT' && Object.hasOwn(REMOVED, name) ? REMOVED[name] : undefined;
