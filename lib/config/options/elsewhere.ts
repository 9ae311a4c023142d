/**
 * What neutron.conf and its directory hold for other programs: known, so that it is not taken for a slip of the
 * pen. Names from the sample files of Neutron 21.0 (Debian 12) and from Neutron 29.
 */
import { normalGroup } from '../option.ts';

const SERVER = 'neutron-server';
const L2 = 'the L2 agent';

/** Sections that belong to others as a whole (in lower case), and to whom. */
const SECTIONS: Readonly<Record<string, string>> = {
  ...owned(
    SERVER,
    'cors database designate healthcheck ironic keystone_authtoken nova oslo_limit oslo_middleware',
    'oslo_policy placement quotas service_providers ssl ml2 ml2_type_flat ml2_type_geneve ml2_type_gre',
    'ml2_type_vlan ml2_type_vxlan oslo_messaging_notifications oslo_versionedobjects experimental',
    'metering qos cli_script',
  ),
  ...owned(
    L2,
    'dhcp fdb linux_bridge local_ip network_log ovs_driver securitygroup sriov_driver sriov_nic vxlan',
    'macvtap l2pop metadata',
  ),
  ...owned('OVN', 'ovn ovn_agent ovn_evpn ovn_nb_global ovn_nb ovn_sb'),
  ...owned('other message brokers', 'oslo_messaging_amqp oslo_messaging_kafka oslo_messaging_metrics'),
  ...owned('the Python agents', 'cache oslo_concurrency oslo_reports profiler'),
};

/** [privsep], [privsep_namespace], …: one for each privileged context of the Python agents */
const PRIVSEP = /^privsep(_\w+)?$/;

const SERVER_OPTIONS = new Set(
  words(
    'agent_down_time allow_automatic_dhcp_failover allow_automatic_l3agent_failover allow_bulk',
    'allowed_conntrack_helpers api_extensions_path api_paste_config api_workers auth_strategy backdoor_port',
    'backdoor_socket backlog base_mac bind_host bind_port client_socket_timeout core_plugin',
    'default_availability_zones dhcp_agent_notification dhcp_agents_per_network dhcp_load_type dvr_base_mac',
    'enable_dvr enable_new_agents enable_services_on_agents_with_admin_state_down enable_snat_by_default',
    'enable_traditional_dhcp external_dns_driver filter_validation global_physnet_mtu',
    'graceful_shutdown_timeout host_dvr_for_dhcp http_retries ip_lib_force_root ipam_driver ipv6_pd_enabled',
    'l3_ha l3_ha_net_cidr l3_ha_network_physical_name l3_ha_network_type log_options',
    'max_allowed_address_pair max_dns_nameservers max_header_line max_l3_agents_per_router max_routes',
    'max_subnet_host_routes my_ip my_ipv6 network_auto_schedule network_link_prefix network_scheduler_driver',
    'notify_nova_on_port_data_changes notify_nova_on_port_status_changes pagination_max_limit',
    'retry_until_window router_auto_schedule router_distributed router_scheduler_driver',
    'rpc_resources_processing_step rpc_state_report_workers rpc_workers run_external_periodic_tasks',
    'send_events_interval service_plugins setproctitle tcp_keepidle use_ssl vlan_qinq',
    'vlan_transparent wsgi_default_pool_size wsgi_keep_alive wsgi_log_format wsgi_server_debug',
    // the metering agent
    'driver measure_interval granular_traffic_data',
  ),
);

/** Of the sections that agents share with the L2 agent: [agent] and [ovs]. */
const L2_OPTIONS: Readonly<Record<string, ReadonlySet<string>>> = {
  agent: new Set(
    words(
      'arp_responder baremetal_smartnic dont_fragment drop_flows_on_start dscp dscp_inherit',
      'enable_distributed_routing explicitly_egress_direct l2_population minimize_polling',
      'ovsdb_monitor_respawn_interval polling_interval quitting_rpc_timeout tunnel_csum tunnel_types veth_mtu',
      'vxlan_udp_port prevent_arp_spoofing',
    ),
  ),
  ovs: new Set(
    words(
      'bridge_mappings disable_packet_marking igmp_flood igmp_flood_reports igmp_flood_unregistered',
      'int_peer_patch_port local_ip of_connect_timeout of_inactivity_probe of_listen_address of_listen_port',
      'of_request_timeout openflow_processed_per_port qos_meter_bandwidth resource_provider_bandwidths',
      'resource_provider_default_hypervisor resource_provider_hypervisors resource_provider_inventory_defaults',
      'resource_provider_packet_processing_inventory_defaults enable_ipv6 static_nat tun_peer_patch_port',
      'resource_provider_packet_processing_with_direction tunnel_bridge vhostuser_socket_dir',
      'resource_provider_packet_processing_without_direction',
    ),
  ),
};

/** Whose option this is, if it is another program's. */
export function ownerElsewhere(group: string, name: string): string | undefined {
  const section = normalGroup(group);
  if (section === 'DEFAULT') return SERVER_OPTIONS.has(name) ? SERVER : undefined;
  if (PRIVSEP.test(section)) return 'the Python agents';
  return SECTIONS[section] ?? (L2_OPTIONS[section]?.has(name) ? L2 : undefined);
}

/** Sections that are others' as a whole, in lower case. */
export const knownSections = (): readonly string[] => Object.keys(SECTIONS);

function words(...lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split(' '));
}

function owned(owner: string, ...lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(words(...lines).map((section) => [section, owner]));
}
