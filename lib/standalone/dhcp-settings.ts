/** Section `dhcp` of a topology file: options of the DHCP agent. */
import { isForwarder } from '../model/forwarder.ts';
import type { Item, Section } from './document.ts';
import { readDomain } from './entries.ts';

const MOST_SECONDS = 4_294_967_295;

const forwarder = (item: Item) =>
  item.parsed(
    'a name server',
    'write it like 192.0.2.53, 192.0.2.53#5353 or /lab.example/192.0.2.53',
    (text) => (isForwarder(text) ? text : undefined),
  );

const path = (section: Section | undefined, key: string): string =>
  section?.word(key, /^\//, 'an absolute path', 'write it from / on')?.value ?? '';

/** Keys and defaults are those of Neutron's dhcp_agent.ini; metadata and announcements serve isolated networks. */
export function readDhcp(section: Section | undefined) {
  const seconds = (key: string, least = 0) => section?.integer(key, least, MOST_SECONDS)?.value;
  const settings = {
    /** seconds; -1 = infinite */
    dhcp_lease_duration: seconds('dhcp_lease_duration', -1) ?? 86_400,
    dns_domain: (section && readDomain(section, 'dns_domain')?.value) ?? 'openstacklocal',
    enable_isolated_metadata: section?.flag('enable_isolated_metadata') ?? true,
    force_metadata: section?.flag('force_metadata') ?? false,
    enable_metadata_network: section?.flag('enable_metadata_network') ?? false,
    /** not Neutron's: router advertisements for IPv6 subnets that no router has */
    enable_isolated_ra: section?.flag('enable_isolated_ra') ?? true,
    dhcp_broadcast_reply: section?.flag('dhcp_broadcast_reply') ?? false,
    /** seconds; 0 = dnsmasq's default */
    dhcp_renewal_time: seconds('dhcp_renewal_time') ?? 0,
    dhcp_rebinding_time: seconds('dhcp_rebinding_time') ?? 0,
    dnsmasq_dns_servers: section?.all('dnsmasq_dns_servers', forwarder).map((one) => one.value) ?? [],
    dnsmasq_local_resolv: section?.flag('dnsmasq_local_resolv') ?? false,
    dnsmasq_lease_max: section?.integer('dnsmasq_lease_max', 1, 16_777_216)?.value ?? 16_777_216,
    dnsmasq_config_file: path(section, 'dnsmasq_config_file'),
    dnsmasq_base_log_dir: path(section, 'dnsmasq_base_log_dir'),
    dnsmasq_enable_addr6_list: section?.flag('dnsmasq_enable_addr6_list') ?? false,
    dnsmasq_txt_record: section?.text('dnsmasq_txt_record')?.value ?? '',
    /** seconds in which reloads are collected; 0: at once */
    bulk_reload_interval: seconds('bulk_reload_interval') ?? 0,
    num_sync_threads: section?.integer('num_sync_threads', 1, 1_000)?.value ?? 4,
  };
  section?.done();
  return settings;
}
export type DhcpSettings = ReturnType<typeof readDhcp>;
