/** The EC2 half of the metadata tree, as Nova lays it out (nova/api/metadata/base.py, get_ec2_metadata). */
import { ipFamily } from '../../../lib/model/ip.ts';
import { hostname, type Instance } from './instance.ts';

/** A leaf is text or bytes; a directory's listing shows `/` behind the names of directories. */
export type Node = string | Uint8Array | Directory;

export interface Directory {
  readonly entries: Readonly<Record<string, Node>>;
  /** listing instead of the names (public-keys) */
  readonly listing?: string;
}

export const EC2_VERSIONS = ['2007-01-19', '2008-02-01', '2009-04-04', 'latest'];

/** The tree under a version: `meta-data/` and, if there is some, `user-data`. */
export function ec2Tree(instance: Instance): Directory {
  const entries: Record<string, Node> = { 'meta-data': metaData(instance) };
  if (instance.user_data !== undefined) entries['user-data'] = instance.user_data;
  return { entries };
}

function metaData(instance: Instance): Directory {
  const name = hostname(instance);
  const [port] = instance.ports;
  const fixed = instance.ports.flatMap((one) => one.fixed_ips.map((ip) => ip.ip_address));
  const floating = instance.ports.find((one) => one.floating_ip_address)?.floating_ip_address;
  const entries: Record<string, Node> = {
    'ami-launch-index': '0',
    hostname: name,
    'instance-id': instance.id,
    'local-hostname': name,
    'local-ipv4': fixed.find((ip) => ipFamily(ip) === 4) ?? '',
    mac: port?.mac_address ?? '',
    placement: { entries: { 'availability-zone': instance.availability_zone ?? 'nova' } },
    'public-hostname': name,
    'public-ipv4': floating ?? '',
  };
  const keys = Object.entries(instance.public_keys ?? {});
  if (keys.length > 0) entries['public-keys'] = publicKeys(keys);
  return { entries };
}

/** `public-keys/` lists `0=name`; the key itself is `public-keys/0/openssh-key`. */
function publicKeys(keys: readonly (readonly [string, string])[]): Directory {
  return {
    listing: keys.map(([name], i) => `${i}=${name}`).join('\n'),
    entries: Object.fromEntries(keys.map(([, key], i) => [String(i), { entries: { 'openssh-key': key } }])),
  };
}
