import { integer } from '../../model/reader.ts';
import type { FloatingIpStatus, L3Plugin } from '../../model/source.ts';
import { MessagingTimeout } from '../failures.ts';
import type { RpcCaller } from '../rpc.ts';
import { checked, ids, payloadOrNull, payloads } from './answer.ts';

export type HaState = 'active' | 'standby' | 'unknown';

/** Routers of one question of a full sync. Ids that are asked for and not in it are not (any more) for this host. */
export interface RouterChunk {
  readonly ids: readonly string[];
  readonly routers: readonly unknown[];
}

const CHUNK = { most: 256, least: 32, step: 32 };

/**
 * What the L3 agent asks the server (`neutron/agent/l3/agent.py`, L3PluginApi). Every method throws what `call` of
 * rpc.ts throws, or AnswerError.
 */
export class L3PluginApi implements L3Plugin {
  readonly #rpc: RpcCaller;
  readonly #host: string;
  #chunk = CHUNK.most;

  constructor(rpc: RpcCaller, host: string) {
    this.#rpc = rpc;
    this.#host = host;
  }

  /** All routers of this host (asked for in chunks), or those of `ids` that are; of no ids, none. */
  async syncRouters(wanted?: readonly string[]): Promise<unknown[]> {
    if (wanted?.length === 0) return [];
    if (wanted) return this.#sync(wanted);
    const routers: unknown[] = [];
    for await (const chunk of this.routersInChunks(await this.getRouterIds())) routers.push(...chunk.routers);
    return routers;
  }

  /**
   * Routers by and by, so that the first are built while the server still works on the next. A time-out ends it by
   * throwing; the next sync then asks for half as many at once (at least 32), and each success for 32 more (at most 256).
   */
  async *routersInChunks(all: readonly string[]): AsyncGenerator<RouterChunk, void, undefined> {
    for (let start = 0; start < all.length; ) {
      const chunk = all.slice(start, start + this.#chunk);
      start += chunk.length;
      try {
        const routers = await this.#sync(chunk);
        this.#chunk = Math.min(this.#chunk + CHUNK.step, CHUNK.most);
        yield { ids: chunk, routers };
      } catch (error) {
        if (error instanceof MessagingTimeout) {
          this.#chunk = Math.max(Math.trunc(this.#chunk / 2), CHUNK.least);
        }
        throw error;
      }
    }
  }

  /** Ids of this host's routers; the server first schedules to it what nobody hosts. [] also for an unknown agent. */
  async getRouterIds(): Promise<string[]> {
    return checked('get_router_ids', ids, await this.#call('get_router_ids', '1.9', { host: this.#host }));
  }

  async updateFloatingIpStatuses(
    routerId: string,
    statuses: Readonly<Record<string, FloatingIpStatus>>,
  ): Promise<void> {
    await this.#call('update_floatingip_statuses', '1.1', { router_id: routerId, fip_statuses: statuses });
  }

  /** CIDRs by subnet id. Servers since Neutron 26 do not have this, nor subnets that need it. */
  async updatePrefixes(prefixes: Readonly<Record<string, string>>): Promise<void> {
    await this.#call('process_prefix_update', '1.6', { subnets: prefixes });
  }

  /** Aliases of the server's service plugins, such as 'L3_ROUTER_NAT'. */
  async getServicePluginList(): Promise<string[]> {
    return checked('get_service_plugin_list', ids, await this.#call('get_service_plugin_list', '1.3', {}));
  }

  /** Ports that DVR needs as neighbours in this subnet. */
  async getPortsBySubnet(subnetId: string): Promise<unknown[]> {
    const args = { host: this.#host, subnet_id: subnetId };
    return checked('get_ports_by_subnet', payloads, await this.#call('get_ports_by_subnet', '1.2', args));
  }

  /** The floating IP agent gateway port of this host, made if missing; null: not for this agent. */
  async getAgentGatewayPort(networkId: string): Promise<unknown | null> {
    const args = { network_id: networkId, host: this.#host };
    return checked(
      'get_agent_gateway_port',
      payloadOrNull,
      await this.#call('get_agent_gateway_port', '1.2', args),
    );
  }

  async deleteAgentGatewayPort(networkId: string): Promise<void> {
    await this.#call('delete_agent_gateway_port', '1.7', { host: this.#host, network_id: networkId });
  }

  /** A cast: resolves when the broker has it. */
  async updateHaRoutersStates(states: Readonly<Record<string, HaState>>): Promise<void> {
    const args = { host: this.#host, states };
    await this.#rpc.cast({ topic: 'q-l3-plugin', method: 'update_ha_routers_states', version: '1.5', args });
  }

  /** Has the server mark the HA ports of this host DOWN until the L2 agent has wired them anew. */
  async updateAllHaNetworkPortStatuses(): Promise<void> {
    await this.#call('update_all_ha_network_port_statuses', '1.10', { host: this.#host });
  }

  async getHostHaRouterCount(): Promise<number> {
    const answer = await this.#call('get_host_ha_router_count', '1.11', { host: this.#host });
    return checked('get_host_ha_router_count', integer(0, Number.MAX_SAFE_INTEGER), answer);
  }

  async #sync(wanted: readonly string[]): Promise<unknown[]> {
    const args = { host: this.#host, router_ids: wanted };
    return checked('sync_routers', payloads, await this.#call('sync_routers', '1.0', args));
  }

  #call(method: string, version: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#rpc.call({ topic: 'q-l3-plugin', method, version, args });
  }
}
