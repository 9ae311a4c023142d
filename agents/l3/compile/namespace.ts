import { link, netns, type RowGroup, sysctl } from '../../../lib/namespace/rows.ts';
import { byValue } from './memo.ts';

/** `qrouter-<id>`; Neutron and its tools know routers by this name. */
export const routerNamespace = (routerId: string, suffix = ''): string => `qrouter-${routerId}${suffix}`;

/**
 * The namespace of a router: loopback, and how the kernel forwards and answers ARP in it
 * (`neutron/agent/l3/namespaces.py`, `ip_lib.ensure_namespace`).
 */
export const namespace: (ns: string) => RowGroup = byValue((ns) => [
  netns(ns),
  link({ ns, name: 'lo', type: 'loopback' }),
  sysctl({ ns, name: 'net/ipv4/conf/all/promote_secondaries', value: '1' }),
  sysctl({ ns, name: 'net/ipv4/ip_forward', value: '1' }),
  sysctl({ ns, name: 'net/ipv4/conf/all/arp_ignore', value: '1' }),
  sysctl({ ns, name: 'net/ipv4/conf/all/arp_announce', value: '2' }),
  sysctl({ ns, name: 'net/ipv6/conf/all/forwarding', value: '1', optional: true }),
  sysctl({ ns, name: 'net/netfilter/nf_conntrack_tcp_be_liberal', value: '1', optional: true }),
]);
