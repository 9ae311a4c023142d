import { cidrContains, isIp, parseIp } from '../../model/ip.ts';
import { fields, list, nullish, text } from '../../model/reader.ts';
import type { MetadataIdentity, MetadataPlugin, MetadataPort } from '../../model/source.ts';
import type { RpcCaller } from '../rpc.ts';
import { checked } from './answer.ts';

const ROUTER_INTERFACES = [
  'network:router_interface',
  'network:ha_router_replicated_interface',
  'network:router_interface_distributed',
];

const interfaces = list(fields({ network_id: text }));
const owners = list(
  fields({ device_id: nullish(text), project_id: nullish(text), tenant_id: nullish(text) }),
);

/**
 * What the metadata agent asks the server: `get_ports` (`neutron/agent/metadata/agent.py`). Throws what `call` of
 * rpc.ts throws, or AnswerError.
 */
export class MetadataPluginApi implements MetadataPlugin {
  readonly #rpc: RpcCaller;

  constructor(rpc: RpcCaller) {
    this.#rpc = rpc;
  }

  async portOf(identity: MetadataIdentity, peerAddress: string): Promise<MetadataPort[]> {
    const networks = 'network' in identity ? [identity.network] : await this.networksOf(identity.router);
    // Without networks the server would search everyone's ports.
    const address = addressFilter(peerAddress);
    if (networks.length === 0 || !address) return [];
    const answer = await this.#getPorts({ network_id: networks, ...address });
    return checked('get_ports', owners, answer).map((port) => ({
      device_id: port.device_id ?? '',
      project_id: port.project_id ?? port.tenant_id ?? '',
    }));
  }

  /** Ids of the networks with an interface of this router. */
  async networksOf(routerId: string): Promise<string[]> {
    const answer = await this.#getPorts({ device_id: [routerId], device_owner: ROUTER_INTERFACES });
    return [...new Set(checked('get_ports', interfaces, answer).map((port) => port.network_id))];
  }

  #getPorts(filters: Readonly<Record<string, unknown>>): Promise<unknown> {
    return this.#rpc.call({ topic: 'q-plugin', method: 'get_ports', version: '1.0', args: { filters } });
  }
}

/**
 * A link-local IPv6 address stands for the MAC it was made from, because ports do not list it; undefined: it was made
 * from no MAC, so no port can be known by it.
 */
function addressFilter(address: string): Record<string, unknown> | undefined {
  if (!isIp(address)) throw new TypeError(`peer address ${JSON.stringify(address)} is not an IP address`);
  const { text, value } = parseIp(address);
  if (!text.includes(':') || !cidrContains('fe80::/10', text)) return { fixed_ips: { ip_address: [text] } };
  const mac = macOfInterfaceId(value & 0xffff_ffff_ffff_ffffn);
  return mac === undefined ? undefined : { mac_address: [mac] };
}

/** Modified EUI-64 backwards (RFC 4291, appendix A). */
function macOfInterfaceId(id: bigint): string | undefined {
  const digits = (id ^ (1n << 57n)).toString(16).padStart(16, '0');
  if (digits.slice(6, 10) !== 'fffe') return undefined;
  return (digits.slice(0, 6) + digits.slice(10)).replace(/(..)(?=.)/g, '$1:');
}
