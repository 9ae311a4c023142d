/** What the server tells a DHCP agent (`neutron/api/rpc/agentnotifiers/dhcp_rpc_agent_api.py`). */
import { having, nullish, number, type Reader } from '../../model/reader.ts';
import type { Endpoint, Handler } from '../dispatch.ts';
import { agentUpdate, id, taking, validated } from './arguments.ts';

export const DHCP_TOPIC = 'dhcp_agent';

export type DhcpMethod = keyof typeof DEFAULT_PRIORITIES;

export interface DhcpNotification {
  readonly method: DhcpMethod;
  /** null: the server does not say it (a deleted subnet or port of an old server): look it up by the id */
  readonly networkId: string | null;
  /** smaller runs first */
  readonly priority: number;
  /** `network`, `subnet` or `port` in full, or `network_id`, `subnet_id`, `port_id`, `fixed_ips`; as on the wire */
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Handlers only take note: they return at once. */
export interface DhcpNotifications {
  notified(notification: DhcpNotification): void;
  /** an operator enabled or disabled the agent: everything is to be synchronised */
  agentUpdated(adminStateUp: boolean): void;
}

const DEFAULT_PRIORITIES = {
  network_create_end: 0,
  network_update_end: 1,
  network_delete_end: 2,
  subnet_create_end: 3,
  subnet_update_end: 3,
  subnet_delete_end: 4,
  port_create_end: 6,
  port_update_end: 6,
  port_delete_end: 6,
} as const;

const priority = nullish(number);
const network = having({ priority, network: having({ id }) });
const part = having({ id, network_id: id });
const subnet = having({ priority, subnet: part });
const port = having({ priority, port: part });
const gone = (key: 'subnet_id' | 'port_id') => having({ priority, [key]: id, network_id: nullish(id) });

type Payload = Readonly<Record<string, unknown>> & { readonly priority?: number | null | undefined };

/** Endpoints for `serve` on DHCP_TOPIC. */
export function dhcpEndpoints(heard: DhcpNotifications): Endpoint[] {
  /** @param networkOf where the payload says its network */
  const on =
    <T extends Payload>(
      method: DhcpMethod,
      reader: Reader<T>,
      networkOf: (payload: T) => string | null | undefined,
    ): Handler =>
    (args) => {
      const payload = validated(reader, args.payload);
      heard.notified({
        method,
        networkId: networkOf(payload) ?? null,
        priority: payload.priority ?? DEFAULT_PRIORITIES[method],
        payload: { ...payload },
      });
      return null;
    };
  const networkId = (payload: Readonly<Record<string, unknown>>): string | null =>
    typeof payload.network_id === 'string' ? payload.network_id : null;
  return [
    {
      version: '1.0',
      methods: {
        network_create_end: on('network_create_end', network, (payload) => payload.network.id),
        network_update_end: on('network_update_end', network, (payload) => payload.network.id),
        network_delete_end: on('network_delete_end', having({ priority, network_id: id }), networkId),
        subnet_create_end: on('subnet_create_end', subnet, (payload) => payload.subnet.network_id),
        subnet_update_end: on('subnet_update_end', subnet, (payload) => payload.subnet.network_id),
        subnet_delete_end: on('subnet_delete_end', gone('subnet_id'), networkId),
        port_create_end: on('port_create_end', port, (payload) => payload.port.network_id),
        port_update_end: on('port_update_end', port, (payload) => payload.port.network_id),
        port_delete_end: on('port_delete_end', gone('port_id'), networkId),
        agent_updated: taking(agentUpdate, (args) => heard.agentUpdated(args.payload.admin_state_up)),
      },
    },
  ];
}
