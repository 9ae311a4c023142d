import { describe, expect, test } from 'vitest';
import { l3Options } from '../../../agents/l3/options.ts';
import { parseMetadataOptions } from '../../../agents/metadata/options.ts';
import {
  toDhcpOptions,
  toL3Options,
  toMessagingOptions,
  toMetadataOptions,
  toOvsOptions,
} from '../../../lib/config/agent-options.ts';
import { optionLabel } from '../../../lib/config/option.ts';
import { ownerElsewhere } from '../../../lib/config/options/elsewhere.ts';
import { type AgentName, agentNames, allOptions, optionsOf } from '../../../lib/config/options/table.ts';
import { parseIni } from '../../../lib/config/parser.ts';
import { type ConfigValues, resolveOptions } from '../../../lib/config/resolve.ts';
import { parseValue } from '../../../lib/config/value.ts';

const facts = { hostname: 'node-1', cpus: 4 };

function valuesOf(agent: AgentName, text = ''): ConfigValues {
  const layers = [{ kind: 'file', ini: parseIni(text, 'f.conf') }] as const;
  const resolution = resolveOptions({ options: optionsOf(agent), layers, environment: {}, facts });
  expect(resolution.problems).toEqual([]);
  return resolution.values;
}

/** The names of the contract's option tables (l3.md §23, dhcp.md §15, metadata.md §2 and §8, rpc.md §15). */
const contract: Readonly<Record<AgentName, string>> = {
  l3: `host state_path interface_driver agent_mode metadata_port handle_internal_only_routers ipv6_gateway
    enable_metadata_proxy metadata_access_mark external_ingress_mark radvd_user cleanup_on_shutdown
    per_router_log_files router_log_files_in_ha_confs ovs_use_veth external_pids ra_confs min_rtr_adv_interval
    max_rtr_adv_interval ha_confs_path ha_vrrp_auth_type ha_vrrp_auth_password ha_vrrp_advert_int
    ha_vrrp_health_check_interval ha_conntrackd_enabled ha_conntrackd_hashsize ha_conntrackd_hashlimit
    ha_conntrackd_unix_backlog ha_conntrackd_socketbuffersize ha_conntrackd_socketbuffersize_max_grown
    ha_conntrackd_ipv4_mcast_addr ha_conntrackd_group ha_conntrackd_sndsocketbuffer ha_conntrackd_rcvsocketbuffer
    periodic_interval periodic_fuzzy_delay rpc_response_timeout rpc_response_max_timeout metadata_proxy_socket
    metadata_proxy_user metadata_proxy_group log_dir debug keepalived_use_no_track
    ha_keepalived_state_change_server_threads prefix_delegation_driver pd_dhcp_driver pd_confs vendor_pen
    AGENT.report_interval AGENT.log_agent_heartbeats AGENT.availability_zone AGENT.extensions AGENT.root_helper
    AGENT.root_helper_daemon AGENT.use_helper_for_ns_read AGENT.comment_iptables_rules AGENT.debug_iptables_rules
    AGENT.use_random_fully AGENT.check_child_processes_action AGENT.check_child_processes_interval
    AGENT.kill_scripts_path OVS.integration_bridge OVS.ovsdb_connection OVS.ovsdb_timeout OVS.datapath_type
    OVS.bridge_mac_table_size OVS.ssl_key_file OVS.ssl_cert_file OVS.ssl_ca_cert_file
    metadata_rate_limiting.rate_limit_enabled metadata_rate_limiting.ip_versions
    metadata_rate_limiting.base_window_duration metadata_rate_limiting.base_query_rate_limit
    metadata_rate_limiting.burst_window_duration metadata_rate_limiting.burst_query_rate_limit
    metadata_haproxy.timeout_connect metadata_haproxy.timeout_client metadata_haproxy.timeout_server
    metadata_haproxy.timeout_http_request metadata_haproxy.timeout_http_keep_alive`,
  dhcp: `resync_interval resync_throttle dhcp_driver enable_isolated_metadata force_metadata
    enable_metadata_network num_sync_threads bulk_reload_interval dhcp_confs dnsmasq_config_file
    dnsmasq_dns_servers dnsmasq_base_log_dir dnsmasq_local_resolv dnsmasq_lease_max dhcp_broadcast_reply
    dnsmasq_enable_addr6_list dnsmasq_txt_record dhcp_renewal_time dhcp_rebinding_time dhcp_lease_duration
    dns_domain interface_driver ovs_use_veth state_path host external_pids metadata_proxy_socket
    AGENT.report_interval AGENT.availability_zone`,
  metadata: `metadata_proxy_socket metadata_proxy_user metadata_proxy_group metadata_proxy_socket_mode
    nova_metadata_host nova_metadata_port nova_metadata_protocol nova_metadata_insecure auth_ca_cert
    nova_client_cert nova_client_priv_key metadata_proxy_shared_secret metadata_workers metadata_backlog
    AGENT.report_interval AGENT.log_agent_heartbeats cache.enabled enable_metadata_proxy metadata_port
    enable_isolated_metadata force_metadata enable_metadata_network transport_url control_exchange
    executor_thread_pool_size ${[
      'amqp_durable_queues amqp_auto_delete rpc_conn_pool_size conn_pool_min_size conn_pool_ttl ssl ssl_version',
      'ssl_key_file ssl_cert_file ssl_ca_file ssl_enforce_hostname_verification ssl_enforce_fips_mode',
      'kombu_reconnect_delay kombu_reconnect_splay kombu_compression kombu_missing_consumer_retry_timeout',
      'kombu_failover_strategy rabbit_login_method rabbit_retry_interval rabbit_retry_backoff',
      'rabbit_interval_max rabbit_ha_queues rabbit_quorum_queue rabbit_transient_quorum_queue',
      'rabbit_quorum_delivery_limit rabbit_quorum_max_memory_length rabbit_quorum_max_memory_bytes',
      'rabbit_transient_queues_ttl rabbit_qos_prefetch_count heartbeat_timeout_threshold heartbeat_rate',
      'heartbeat_in_pthread direct_mandatory_flag enable_cancel_on_failover use_queue_manager hostname',
      'processname rabbit_stream_fanout',
    ]
      .flatMap((line) => line.split(' '))
      .map((name) => `oslo_messaging_rabbit.${name}`)
      .join(' ')}`,
};

describe('the tables', () => {
  test.each(agentNames)('have every option of the contract for the %s agent', (agent) => {
    const labels = new Set(optionsOf(agent).map(optionLabel));
    const missing = contract[agent].split(/\s+/).filter((entry) => {
      const [name = '', group = 'DEFAULT'] = entry.split('.').toReversed();
      return !labels.has(optionLabel({ group, name }));
    });
    expect(missing).toEqual([]);
  });

  test.each(agentNames)('have no option of the %s agent twice', (agent) => {
    const labels = optionsOf(agent).map(optionLabel);
    expect(labels.filter((label, index) => labels.indexOf(label) !== index)).toEqual([]);
  });

  test('have no option with two declarations', () => {
    expect(new Set(allOptions.map(optionLabel)).size).toBe(allOptions.length);
  });

  test('say of each option what it is for, and why if it has no effect', () => {
    expect(allOptions.filter(({ help }) => help.length < 3)).toEqual([]);
    expect(allOptions.filter(({ unused }) => unused !== undefined && unused.length < 10)).toEqual([]);
  });

  test('have defaults that are good values', () => {
    for (const { default: standard, type, name } of allOptions) {
      const value = typeof standard === 'function' ? standard(facts) : standard;
      if (value === null || (Array.isArray(value) && value.length === 0)) continue;
      expect({ name, ...parseValue(type, String(value)) }).toEqual({ name, value });
    }
  });

  test('do not claim what belongs to others', () => {
    const both = allOptions.filter(({ group, name }) => ownerElsewhere(group, name) !== undefined);
    // [cache] as a whole is another's; three of its options are declared to say why they have no effect.
    expect(both.map(optionLabel)).toEqual(['[cache] enabled', '[cache] backend', '[cache] expiration_time']);
  });
});

describe('records for the agents', () => {
  test('defaults are what the L3 agent takes by default', () => {
    expect(l3Options(toL3Options(valuesOf('l3')))).toEqual(l3Options());
  });

  test('defaults are what the metadata agent takes by default, but for the timeout of haproxy', () => {
    const { metadata_workers, ...options } = parseMetadataOptions(toMetadataOptions(valuesOf('metadata')));
    expect(metadata_workers).toBe(2);
    expect(options).toEqual({ ...parseMetadataOptions(), timeout_server: 32 });
  });

  test('values reach the L3 agent', () => {
    const text = `
[DEFAULT]
agent_mode = dvr_snat
metadata_port = 9999
metadata_access_mark = 0x10
ipv6_gateway = fe80::1
handle_internal_only_routers = no
[agent]
use_random_fully = False
extensions = fip_qos, port_forwarding
`;
    const record = toL3Options(valuesOf('l3', text));
    expect(l3Options(record)).toMatchObject({
      agent_mode: 'dvr_snat',
      metadata_port: 9999,
      metadata_access_mark: 0x10,
      ipv6_gateway: 'fe80::1',
      handle_internal_only_routers: false,
      use_random_fully: false,
    });
    expect(record).toMatchObject({ extensions: ['fip_qos', 'port_forwarding'], report_interval: 30 });
  });

  test('values reach the DHCP agent', () => {
    const text = '[DEFAULT]\ndnsmasq_dns_servers = 192.0.2.53, 2001:db8::53#5353\ndhcp_lease_duration = -1\n';
    expect(toDhcpOptions(valuesOf('dhcp', text))).toMatchObject({
      dnsmasq_dns_servers: ['192.0.2.53', '2001:db8::53#5353'],
      dhcp_lease_duration: -1,
      dns_domain: 'openstacklocal',
      dhcp_confs: '/var/lib/neutron/dhcp',
    });
  });

  test("the broker's password is only in the record for messaging", () => {
    const values = valuesOf('l3', '[DEFAULT]\ntransport_url = rabbit://u:hunter2@h/v\n');
    expect(toMessagingOptions(values).transport_url).toBe('rabbit://u:hunter2@h/v');
    for (const record of [toL3Options(values), toDhcpOptions(values), toMetadataOptions(values)]) {
      expect(JSON.stringify(record)).not.toContain('hunter2');
    }
  });

  test('messaging has the names and defaults of oslo.messaging, old spellings included', () => {
    const record = toMessagingOptions(
      valuesOf(
        'l3',
        '[oslo_messaging_rabbit]\nrabbit_quroum_max_memory_length = 5\nrabbit_durable_queues = 1\n',
      ),
    );
    expect(record).toMatchObject({
      control_exchange: 'neutron',
      rpc_response_timeout: 60,
      rabbit_quorum_max_memory_length: 5,
      amqp_durable_queues: true,
      heartbeat_timeout_threshold: 60,
      hostname: 'node-1',
    });
    expect(record).not.toHaveProperty('kombu_compression');
  });

  test('Open vSwitch', () => {
    expect(toOvsOptions(valuesOf('l3', '[ovs]\novsdb_connection = unix:/run/db.sock\n'))).toMatchObject({
      ovsdb_connection: 'unix:/run/db.sock',
      integration_bridge: 'br-int',
    });
  });
});

test.each([
  ['l3', '[DEFAULT]\nipv6_gateway = 2001:db8::1', 'empty or a link-local IPv6 address'],
  ['l3', '[DEFAULT]\nmetadata_access_mark = 0x10000', 'a bit set in its low 16 bits'],
  ['l3', '[DEFAULT]\ninterface_driver = ovs', 'one of openvswitch, linuxbridge'],
  ['l3', '[DEFAULT]\nnamespace_suffix = ../x', 'letters, digits'],
  ['l3', '[DEFAULT]\ntransport_url = amqp://h', 'RabbitMQ is the broker'],
  ['l3', '[ovs]\novsdb_connection = 127.0.0.1', 'tcp:ADDRESS:PORT'],
  ['dhcp', '[DEFAULT]\ndnsmasq_dns_servers = 192.0.2.53,\n  --conf-file=/etc/shadow', 'an IP address'],
  ['dhcp', '[DEFAULT]\ndhcp_lease_duration = -2', 'at least -1'],
  ['metadata', '[DEFAULT]\nmetadata_proxy_socket_mode = 0666', 'one of deduce, user, group, all'],
] as const)('%s: %j is refused', (agent, text, allowed) => {
  const layers = [{ kind: 'file', ini: parseIni(text, 'f.conf') }] as const;
  const { problems } = resolveOptions({ options: optionsOf(agent), layers, environment: {}, facts });
  expect(problems).toHaveLength(1);
  expect(problems[0]!.message).toContain(allowed);
});
