/** The OpenStack half of the metadata tree (nova/api/metadata/base.py, get_openstack_item; virt/netutils.py). */
import { ipFamily } from '../../../lib/model/ip.ts';
import type { Directory, Node } from './ec2.ts';
import { hostname, type Instance, type InstancePort } from './instance.ts';

export const OPENSTACK_VERSIONS = ['2012-08-10', '2013-10-17', '2015-10-15', '2018-08-27', 'latest'];

/** The tree under a version. Every version has all files: clients ignore what they don't know. */
export function openstackTree(instance: Instance): Directory {
  const entries: Record<string, Node> = {
    'meta_data.json': JSON.stringify(metaData(instance)),
    'network_data.json': JSON.stringify(networkData(instance)),
    'vendor_data.json': '{}',
    'vendor_data2.json': '{}',
  };
  if (instance.user_data !== undefined) entries.user_data = instance.user_data;
  return { entries };
}

function metaData(instance: Instance): object {
  const keys = Object.entries(instance.public_keys ?? {});
  return {
    uuid: instance.id,
    name: instance.name,
    hostname: hostname(instance),
    project_id: instance.project_id,
    availability_zone: instance.availability_zone ?? 'nova',
    launch_index: 0,
    meta: instance.metadata ?? {},
    ...(keys.length > 0
      ? {
          public_keys: Object.fromEntries(keys),
          keys: keys.map(([name, data]) => ({ name, type: 'ssh', data })),
        }
      : {}),
  };
}

/** Addresses come by DHCP or router advertisement, as on any network with enable_dhcp. */
function networkData({ ports }: Instance): object {
  return {
    links: ports.map((port, i) => ({
      id: `tap${port.id.slice(0, 11)}`,
      name: `eth${i}`,
      type: 'phy',
      ethernet_mac_address: port.mac_address,
      mtu: port.mtu ?? null,
      vif_id: port.id,
    })),
    networks: ports.flatMap(networksOf),
    services: [],
  };
}

const networksOf = (port: InstancePort): object[] =>
  port.fixed_ips.map(({ ip_address }, i) => ({
    id: `network-${port.id.slice(0, 8)}-${i}`,
    network_id: port.network_id,
    link: `tap${port.id.slice(0, 11)}`,
    type: ipFamily(ip_address) === 4 ? 'ipv4_dhcp' : 'ipv6_dhcp',
  }));
