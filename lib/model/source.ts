/**
 * What an agent asks and hears of the controller, the same whether that is a neutron-server (AMQP) or
 * the topology file (in-process). Payloads are `unknown` here: they are validated in lib/model.
 */

/** Status of a floating IP as Neutron shows it. */
export type FloatingIpStatus = 'ACTIVE' | 'DOWN' | 'ERROR';

export interface L3Plugin {
  /** Routers of this host, all or those asked for; what is not in the answer is not (any more) for this host. */
  syncRouters(ids?: readonly string[]): Promise<unknown[]>;
  /**
   * All routers of this host by and by, so that the first are built while the rest is still asked for; nothing is
   * known to be absent before it has ended well. Without it syncRouters is asked.
   */
  allRouters?(): AsyncIterable<readonly unknown[]>;
  /** `statuses` by floating IP id. */
  updateFloatingIpStatuses(
    routerId: string,
    statuses: Readonly<Record<string, FloatingIpStatus>>,
  ): Promise<void>;
  /** CIDRs by subnet id: prefixes that were delegated, or UNDELEGATED where one is none any more. */
  updatePrefixes(prefixes: Readonly<Record<string, string>>): Promise<void>;
}

export interface L3Events {
  routersUpdated(ids: string[]): void;
  routersDeleted(ids: string[]): void;
}

export interface DhcpPlugin {
  /** Every network of this host with all its subnets (DHCP-enabled or not) and ports. */
  getActiveNetworksInfo(): Promise<unknown[]>;
  /** null if there is no such network (any more). */
  getNetworkInfo(id: string): Promise<unknown | null>;
  dhcpReadyOnPorts(ids: string[]): Promise<void>;
  /**
   * The network with this host's DHCP port in it, made or changed to have an address in each served subnet; null: there
   * is no such network (any more). Without it networks come with their port.
   */
  withDhcpPort?(network: unknown): Promise<unknown | null>;
  /** This host serves the network no more. */
  notServed?(networkId: string): Promise<void>;
}

export interface DhcpEvents {
  networksUpdated(ids: string[]): void;
  networksDeleted(ids: string[]): void;
}

/** Where a metadata request came in: the router's or the network's namespace. */
export type MetadataIdentity = { readonly router: string } | { readonly network: string };

/** Owner of the port that a metadata request came from. */
export interface MetadataPort {
  /** instance id */
  readonly device_id: string;
  readonly project_id: string;
}

export interface MetadataPlugin {
  /** Ports with that address (a link-local IPv6 address stands for its MAC): exactly one is a hit. */
  portOf(identity: MetadataIdentity, peerAddress: string): Promise<MetadataPort[]>;
}
