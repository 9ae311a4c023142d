import { boolean, declaring, float, integer, list, oneOf, string } from '../option.ts';

const option = declaring('AGENT', 'neutron/conf/agent/common.py');
const ROOT = 'the agents change the kernel themselves and run as root or with capabilities';
const NFTABLES = 'packet rules are nftables tables, not iptables';

/** Options of the sections [AGENT] and [agent], which are one, that all three agents have. */
export const stateReportOptions = [
  option('report_interval', float(0), 30, 'seconds between state reports; 0: none'),
  option('log_agent_heartbeats', boolean, false, 'the server logs each report'),
];

/** Options of [AGENT] for agents that are scheduled: L3 and DHCP. */
export const scheduledAgentOptions = [
  option('availability_zone', string({ maxLength: 255 }), 'nova', 'availability zone of this node'),
  option(
    'check_child_processes_action',
    oneOf('respawn', 'exit'),
    'respawn',
    'what to do when a daemon has died',
  ),
  option(
    'check_child_processes_interval',
    integer(0),
    60,
    '0: a dead daemon is left alone; otherwise the kernel tells of its end at once',
  ),
  option(
    'kill_scripts_path',
    string(),
    '/etc/neutron/kill_scripts/',
    'directory of scripts SERVICE-kill that get signal and pid in place of the daemon',
  ),
  option('root_helper', string(), 'sudo', 'command that runs others as root', { unused: ROOT }),
  option('root_helper_daemon', string(), null, 'the same as a daemon', { unused: ROOT }),
  option('use_helper_for_ns_read', boolean, true, 'list namespaces as root', { unused: ROOT }),
  option('comment_iptables_rules', boolean, true, 'comments in iptables rules', { unused: NFTABLES }),
  option('debug_iptables_rules', boolean, false, 'check computed iptables rules', { unused: NFTABLES }),
  option('use_random_fully', boolean, true, 'random source ports in SNAT'),
  option('extensions', list(), [], 'extensions of the agent, in the order they are called', {
    source: 'neutron/conf/agent/agent_extensions_manager.py',
  }),
];

const shared = declaring('DEFAULT', 'neutron/conf/agent/common.py');

/** Options of [DEFAULT] that L3 and DHCP agents share. */
export const pluggingOptions = [
  shared(
    'interface_driver',
    oneOf(
      'openvswitch',
      'linuxbridge',
      'null',
      'neutron.agent.linux.interface.OVSInterfaceDriver',
      'neutron.agent.linux.interface.BridgeInterfaceDriver',
      'neutron.agent.linux.interface.NullDriver',
    ),
    'openvswitch',
    'how ports meet the L2 fabric',
  ),
  shared('ovs_use_veth', boolean, false, 'veth pairs in place of internal ports'),
  shared('external_pids', string(), '$state_path/external/pids', 'directory of pid files of daemons'),
];
