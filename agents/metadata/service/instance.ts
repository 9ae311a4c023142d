/** What the built-in metadata service must know of an instance. */
export interface Instance {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  /** in the order of its network devices */
  readonly ports: readonly InstancePort[];
  readonly availability_zone?: string;
  readonly user_data?: string | Uint8Array;
  /** public SSH keys by name */
  readonly public_keys?: Readonly<Record<string, string>>;
  /** the instance's own key-value pairs */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface InstancePort {
  readonly id: string;
  readonly network_id: string;
  readonly mac_address: string;
  readonly mtu?: number | null;
  readonly fixed_ips: readonly { readonly ip_address: string; readonly subnet_id?: string }[];
  readonly floating_ip_address?: string;
}

/** undefined if there is no such instance. */
export type Instances = (instanceId: string) => Instance | undefined | Promise<Instance | undefined>;

/** A host name of letters, digits and dashes (RFC 1123), from whatever the instance is called. */
export function hostname({ name, id }: Instance): string {
  const label = name
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 63);
  return label || `host-${id}`;
}
