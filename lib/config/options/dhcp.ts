import { isForwarder } from '../../model/forwarder.ts';
import { boolean, declaring, integer, list, oneOf, string } from '../option.ts';

const option = declaring('DEFAULT', 'neutron/conf/agent/dhcp.py');
const common = declaring('DEFAULT', 'neutron/conf/common.py');
const times = declaring('DEFAULT', 'neutron/conf/agent/common.py');

const DUE = 'a resync begins when there is a reason, and again with growing pauses when it fails';

const resolver = string({
  check: (text) => (isForwarder(text) ? undefined : 'an IP address (with #port, if need be)'),
});

/** Where the DHCP agent answers metadata requests. */
export const isolatedMetadataOptions = [
  option('enable_isolated_metadata', boolean, false, 'answer metadata in networks without a router'),
  option('force_metadata', boolean, false, 'answer metadata in every network'),
  option('enable_metadata_network', boolean, false, 'answer metadata for routers of 169.254.0.0/16 networks'),
];

export const dhcpOptions = [
  option('resync_interval', integer(1), 5, 'seconds between looks whether a resync is due', { unused: DUE }),
  option('resync_throttle', integer(0), 1, 'seconds between resyncs, at least', { unused: DUE }),
  option(
    'dhcp_driver',
    oneOf('neutron.agent.linux.dhcp.Dnsmasq'),
    'neutron.agent.linux.dhcp.Dnsmasq',
    'DHCP server; reported',
  ),
  option('num_sync_threads', integer(1), 4, 'networks configured at the same time'),
  option('bulk_reload_interval', integer(0), 0, 'seconds in which reloads are collected; 0: at once'),
  option('dhcp_confs', string(), '$state_path/dhcp', 'directory of the files of each network'),
  option('dnsmasq_config_file', string(), '', 'file with more configuration of dnsmasq'),
  option('dnsmasq_dns_servers', list(resolver), [], 'resolvers that dnsmasq asks'),
  option('dnsmasq_base_log_dir', string(), null, 'directory of logs of dnsmasq; unset: none'),
  option('dnsmasq_local_resolv', boolean, false, "dnsmasq asks the host's resolvers"),
  option('dnsmasq_lease_max', integer(1), 16777216, 'leases of a network, at most'),
  option('dhcp_broadcast_reply', boolean, false, 'answer by broadcast'),
  option('dnsmasq_enable_addr6_list', boolean, false, 'several IPv6 addresses in one entry of a port'),
  option('dnsmasq_txt_record', string(), '', 'TXT record: name,text,…'),
  times('dhcp_renewal_time', integer(0), 0, "seconds until a client renews (T1); 0: dnsmasq's default"),
  times('dhcp_rebinding_time', integer(0), 0, "seconds until it rebinds (T2); 0: dnsmasq's default"),
  common('dhcp_lease_duration', integer(-1), 86400, 'seconds of a lease; -1: for ever'),
  common('dns_domain', string(), 'openstacklocal', 'domain of names made for ports'),
];
