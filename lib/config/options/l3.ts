import { cidrContains, isIp } from '../../model/ip.ts';
import { boolean, declaring, integer, oneOf, port, string } from '../option.ts';

const option = declaring('DEFAULT', 'neutron/conf/agent/l3/config.py');
const common = declaring('DEFAULT', 'neutron/conf/agent/common.py');
const service = declaring('DEFAULT', 'neutron/conf/service.py');
const DUE = 'a full sync begins when there is a reason, and again with growing pauses when it fails';
const PREFIX_DELEGATION = 'the agent asks for prefixes itself, and starts no client for it';

const mark = string({
  check: (text) =>
    /^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(text) && (Number(text) & 0xffff) !== 0
      ? undefined
      : 'a number such as 0x1 with a bit set in its low 16 bits',
});
const enterpriseNumber = string({
  check: (text) =>
    /^[0-9]{1,10}$/.test(text) && Number(text) <= 0xffff_ffff ? undefined : 'a number of at most 32 bits',
});
const linkLocal = string({
  check: (text) =>
    text === '' || (isIp(text) && cidrContains('fe80::/10', text))
      ? undefined
      : 'empty or a link-local IPv6 address such as fe80::1',
});

export const l3Options = [
  option(
    'agent_mode',
    oneOf('legacy', 'dvr', 'dvr_snat', 'dvr_no_external'),
    'legacy',
    'centralized routers only, or the part of distributed routers that this node has',
  ),
  option('handle_internal_only_routers', boolean, true, 'also take routers without a gateway'),
  option('ipv6_gateway', linkLocal, '', 'next hop of IPv6 when the gateway network has no IPv6 subnet'),
  option('metadata_access_mark', mark, '0x1', 'mark of metadata requests; its low 16 bits count'),
  option('external_ingress_mark', mark, '0x2', 'mark of packets that came in by the gateway; low 16 bits'),
  option('cleanup_on_shutdown', boolean, false, 'delete all routers at exit'),
  service('periodic_interval', integer(1), 40, 'seconds between checks whether a full sync is due', {
    unused: DUE,
  }),
  service('periodic_fuzzy_delay', integer(0), 5, 'at most so many random seconds before the first', {
    unused: DUE,
  }),
  common('ra_confs', string(), '$state_path/ra', 'directory of radvd configurations'),
  option('per_router_log_files', boolean, false, 'a log file for each HA router', {
    unused: 'lines of the log name their router',
  }),
  option('router_log_files_in_ha_confs', boolean, true, 'where those files are', {
    unused: 'lines of the log name their router',
  }),
  option('keepalived_use_no_track', boolean, true, 'keepalived knows no_track', {
    unused: 'every supported keepalived does',
  }),
  option('prefix_delegation_driver', string(), 'dibbler', 'client of prefix delegation', {
    unused: PREFIX_DELEGATION,
  }),
  common('pd_dhcp_driver', string(), 'dibbler', 'client of prefix delegation', { unused: PREFIX_DELEGATION }),
  common('pd_confs', string(), '$state_path/pd', 'directory of delegated prefixes'),
  common(
    'vendor_pen',
    enterpriseNumber,
    '8888',
    'IANA enterprise number in the identifiers by which a delegating server knows subnets',
  ),
];

const ha = declaring('DEFAULT', 'neutron/conf/agent/l3/ha.py');
const unbuilt = { unused: 'HA routers are not built by this version' };
const conntrackd = { unused: 'conntrackd is not run: a failover keeps addresses, not connection state' };

/** HA routers: keepalived per router. */
export const haOptions = [
  ha('ha_confs_path', string(), '$state_path/ha_confs', 'directory of keepalived configurations', unbuilt),
  ha('ha_vrrp_auth_type', oneOf('AH', 'PASS'), 'PASS', 'kind of VRRP authentication', unbuilt),
  ha('ha_vrrp_auth_password', string(), null, 'password of VRRP; unset: no authentication', {
    secret: true,
    ...unbuilt,
  }),
  ha('ha_vrrp_advert_int', integer(1), 2, 'seconds between VRRP advertisements', unbuilt),
  ha(
    'ha_vrrp_health_check_interval',
    integer(0),
    0,
    'seconds between pings of the gateway; 0: none',
    unbuilt,
  ),
  ha(
    'ha_keepalived_state_change_server_threads',
    integer(1),
    ({ cpus }) => Math.floor((1 + cpus) / 2),
    'threads for state changes',
    {
      unused: 'state changes arrive as netlink events',
    },
  ),
  ha('ha_conntrackd_enabled', boolean, false, 'share connection state between HA routers', conntrackd),
  ha('ha_conntrackd_hashsize', integer(1), 32768, 'its buckets', conntrackd),
  ha('ha_conntrackd_hashlimit', integer(1), 131072, 'its connections', conntrackd),
  ha('ha_conntrackd_unix_backlog', integer(1), 20, 'its backlog', conntrackd),
  ha('ha_conntrackd_socketbuffersize', integer(1), 262142, 'its buffer', conntrackd),
  ha('ha_conntrackd_socketbuffersize_max_grown', integer(1), 655355, 'its largest buffer', conntrackd),
  ha('ha_conntrackd_ipv4_mcast_addr', string(), '225.0.0.50', 'its group', conntrackd),
  ha('ha_conntrackd_group', integer(0), 3780, 'its port', conntrackd),
  ha('ha_conntrackd_sndsocketbuffer', integer(1), 24985600, 'its send buffer', conntrackd),
  ha('ha_conntrackd_rcvsocketbuffer', integer(1), 24985600, 'its receive buffer', conntrackd),
];

/** The metadata port of router and DHCP namespaces: of the L3 agent in Neutron. */
export const metadataPortOptions = [
  option('enable_metadata_proxy', boolean, true, 'answer 169.254.169.254 in router namespaces'),
  option('metadata_port', port, 9697, 'TCP port of the metadata proxy inside router namespaces'),
];
