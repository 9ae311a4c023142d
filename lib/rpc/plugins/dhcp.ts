import type { DhcpPlugin } from '../../model/source.ts';
import type { RpcCaller } from '../rpc.ts';
import { AnswerError, checked, payloadOrNull, payloads } from './answer.ts';

/** Body of a port that the DHCP agent asks for. */
export interface DhcpPortRequest {
  readonly network_id: string;
  readonly device_id: string;
  readonly project_id: string;
  readonly fixed_ips: readonly { readonly subnet_id: string; readonly ip_address?: string }[];
}

/** What is to change of a DHCP port; `network_id` is always said. */
export interface DhcpPortUpdate {
  readonly network_id: string;
  readonly device_id?: string;
  readonly fixed_ips?: readonly { readonly subnet_id: string; readonly ip_address?: string }[];
}

/**
 * What the DHCP agent asks the server (`neutron/agent/dhcp/agent.py`, DhcpPluginApi). Every method throws what `call`
 * of rpc.ts throws (RemoteError of class NetworkNotFound, IpAddressGenerationFailure, PortNotFound), or AnswerError.
 */
export class DhcpPluginApi implements DhcpPlugin {
  readonly #rpc: RpcCaller;
  readonly #host: string;

  constructor(rpc: RpcCaller, host: string) {
    this.#rpc = rpc;
    this.#host = host;
  }

  /** All networks of this host with all subnets and ports; [] also for an agent that is unknown or counts as down. */
  async getActiveNetworksInfo(): Promise<unknown[]> {
    const args = { host: this.#host, enable_dhcp_filter: false };
    return checked(
      'get_active_networks_info',
      payloads,
      await this.#call('get_active_networks_info', '1.1', args),
    );
  }

  /** One network with its DHCP-enabled subnets; null: it is gone. */
  async getNetworkInfo(networkId: string): Promise<unknown | null> {
    const args = { network_id: networkId, host: this.#host };
    const answer = await this.#call('get_network_info', '1.0', args);
    const network = checked('get_network_info', payloadOrNull, answer);
    if (network && network.id !== networkId)
      throw new AnswerError(
        `get_network_info: asked for network ${networkId}, the answer is about another one`,
      );
    return network;
  }

  /** null: the network or subnet is gone. */
  async createDhcpPort(port: DhcpPortRequest): Promise<unknown | null> {
    const body = { name: '', admin_state_up: true, ...port };
    const answer = await this.#call('create_dhcp_port', '1.1', { port: { port: body }, host: this.#host });
    return checked('create_dhcp_port', payloadOrNull, answer);
  }

  /** null: the port is gone or another agent's by now. */
  async updateDhcpPort(portId: string, port: DhcpPortUpdate): Promise<unknown | null> {
    const args = { port_id: portId, port: { port }, host: this.#host };
    return checked('update_dhcp_port', payloadOrNull, await this.#call('update_dhcp_port', '1.1', args));
  }

  /** Deletes every port of the device on the network. */
  async releaseDhcpPort(networkId: string, deviceId: string): Promise<void> {
    const args = { network_id: networkId, device_id: deviceId, host: this.#host };
    await this.#call('release_dhcp_port', '1.0', args);
  }

  async getDhcpPort(portId: string): Promise<unknown | null> {
    return checked(
      'get_dhcp_port',
      payloadOrNull,
      await this.#call('get_dhcp_port', '1.8', { port_id: portId }),
    );
  }

  /** These ports may go ACTIVE as far as DHCP is concerned. */
  async dhcpReadyOnPorts(portIds: readonly string[]): Promise<void> {
    if (portIds.length > 0) await this.#call('dhcp_ready_on_ports', '1.5', { port_ids: portIds });
  }

  #call(method: string, version: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#rpc.call({ topic: 'q-plugin', method, version, args });
  }
}
