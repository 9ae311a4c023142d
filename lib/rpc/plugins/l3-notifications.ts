/**
 * What the server tells an L3 agent (`neutron/api/rpc/agentnotifiers/l3_rpc_agent_api.py`). A notification is only a
 * hint: ids of routers this host does not have are common (fanout), and one may be lost.
 */
import { z } from 'zod';
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

const list = z.array(z.unknown());
const arp = z.object({
  payload: z.object({
    router_id: id,
    arp_table: z.object({ ip_address: z.string(), mac_address: z.string(), subnet_id: z.string() }),
  }),
});

/** Endpoints for `serve` on L3_TOPIC. A call among them (router_added_to_agent) is answered at once. */
export function l3Endpoints(heard: L3Notifications): Endpoint[] {
  return [
    {
      version: '1.4',
      methods: {
        routers_updated: taking(z.object({ routers: list }), ({ routers }) =>
          takeIds('routers', routers, (ids) => heard.routersUpdated(ids)),
        ),
        router_deleted: taking(z.object({ router_id: id }), (args) => heard.routersDeleted([args.router_id])),
        router_removed_from_agent: taking(z.object({ payload: z.object({ router_id: id }) }), (args) =>
          heard.routersDeleted([args.payload.router_id]),
        ),
        router_added_to_agent: taking(z.object({ payload: list }), ({ payload }) =>
          takeIds('payload', payload, (ids) => heard.routersUpdated(ids)),
        ),
        add_arp_entry: taking(arp, ({ payload }) =>
          heard.arpEntryAdded(payload.router_id, payload.arp_table),
        ),
        del_arp_entry: taking(arp, ({ payload }) =>
          heard.arpEntryDeleted(payload.router_id, payload.arp_table),
        ),
        fipnamespace_delete_on_ext_net: taking(z.object({ ext_net_id: id }), (args) =>
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
  const mtu = z
    .number()
    .int()
    .nullish()
    .transform((value) => value ?? null);
  const args = z.object({ network: z.looseObject({ id, mtu }) });
  const update = taking(args, ({ network }) => networkUpdated({ id: network.id, mtu: network.mtu }));
  return [{ version: '1.4', methods: { network_update: update } }];
}
