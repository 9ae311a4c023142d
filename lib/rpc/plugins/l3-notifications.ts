/**
 * What the server tells an L3 agent (`neutron/api/rpc/agentnotifiers/l3_rpc_agent_api.py`). A notification is only a
 * hint: ids of routers this host does not have are common (fanout), and one may be lost.
 */
import { anything, fields, integer, list, orNull, text } from '../../model/reader.ts';
import type { L3Events } from '../../model/source.ts';
import type { Endpoint } from '../dispatch.ts';
import { agentUpdate, id, takeIds, taking } from './arguments.ts';

export const L3_TOPIC = 'l3_agent';
export const NETWORK_UPDATE_TOPIC = 'q-agent-notifier-network-update';

export interface ArpEntry {
  readonly ip_address: string;
  readonly mac_address: string;
  readonly subnet_id: string;
}

/** Handlers only take note: they return at once. */
export interface L3Notifications extends L3Events {
  /** an operator enabled or disabled the agent: everything is to be synchronised */
  agentUpdated(adminStateUp: boolean): void;
  /** DVR: a neighbour of this router appeared */
  arpEntryAdded(routerId: string, entry: ArpEntry): void;
  arpEntryDeleted(routerId: string, entry: ArpEntry): void;
  /** DVR: the external network is gone, and with it its floating IP namespace */
  externalNetworkDeleted(networkId: string): void;
}

const entries = list(anything);
const arp = fields({
  payload: fields({
    router_id: id,
    arp_table: fields({ ip_address: text, mac_address: text, subnet_id: text }),
  }),
});

/** Endpoints for `serve` on L3_TOPIC. A call among them (router_added_to_agent) is answered at once. */
export function l3Endpoints(heard: L3Notifications): Endpoint[] {
  return [
    {
      version: '1.4',
      methods: {
        routers_updated: taking(fields({ routers: entries }), ({ routers }) =>
          takeIds('routers', routers, (ids) => heard.routersUpdated(ids)),
        ),
        router_deleted: taking(fields({ router_id: id }), (args) => heard.routersDeleted([args.router_id])),
        router_removed_from_agent: taking(fields({ payload: fields({ router_id: id }) }), (args) =>
          heard.routersDeleted([args.payload.router_id]),
        ),
        router_added_to_agent: taking(fields({ payload: entries }), ({ payload }) =>
          takeIds('payload', payload, (ids) => heard.routersUpdated(ids)),
        ),
        add_arp_entry: taking(arp, ({ payload }) =>
          heard.arpEntryAdded(payload.router_id, payload.arp_table),
        ),
        del_arp_entry: taking(arp, ({ payload }) =>
          heard.arpEntryDeleted(payload.router_id, payload.arp_table),
        ),
        fipnamespace_delete_on_ext_net: taking(fields({ ext_net_id: id }), (args) =>
          heard.externalNetworkDeleted(args.ext_net_id),
        ),
        agent_updated: taking(agentUpdate, (args) => heard.agentUpdated(args.payload.admin_state_up)),
      },
    },
  ];
}

/** What of an updated network matters to routers: their MTU follows it. */
export interface NetworkUpdate {
  readonly id: string;
  readonly mtu: number | null;
}

/** Endpoints for `serve` on NETWORK_UPDATE_TOPIC. */
export function networkUpdateEndpoints(networkUpdated: (network: NetworkUpdate) => void): Endpoint[] {
  const mtu = orNull(integer(0, Number.MAX_SAFE_INTEGER));
  const args = fields({ network: fields({ id, mtu }) });
  const update = taking(args, ({ network }) => networkUpdated(network));
  return [{ version: '1.4', methods: { network_update: update } }];
}
