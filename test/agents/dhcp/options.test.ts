import { describe, expect, it } from 'vitest';
import { dhcpOptions } from '../../../agents/dhcp/options.ts';
import { standaloneDhcpOptions } from '../../../agents/dhcp/standalone.ts';
import { parseTopology } from '../../../lib/standalone/topology.ts';

describe('options of the DHCP agent', () => {
  it("have Neutron's defaults", () => {
    expect(dhcpOptions()).toMatchObject({
      dhcp_confs: '/var/lib/neutron/dhcp',
      enable_isolated_metadata: false,
      dhcp_lease_duration: 86_400,
      dnsmasq_lease_max: 16_777_216,
      dns_domain: 'openstacklocal',
      bulk_reload_interval: 0,
    });
  });

  it.each([
    ['dhcp_confs', 'relative/path'],
    ['dhcp_lease_duration', -2],
    ['dns_domain', 'a b'],
    ['dns_domain', 'x\n--user=root'],
    ['dnsmasq_dns_servers', ['nonsense']],
    ['dnsmasq_txt_record', 'a\nb'],
  ])('%s = %j is refused by name', (name, value) => {
    expect(() => dhcpOptions({ [name]: value })).toThrow(name);
  });

  it('forwarders may have a port and a domain', () => {
    const dnsmasq_dns_servers = ['192.0.2.1', '192.0.2.1#5353', '/example.org/192.0.2.1', 'fd00::53'];
    expect(dhcpOptions({ dnsmasq_dns_servers }).dnsmasq_dns_servers).toEqual(dnsmasq_dns_servers);
  });

  it('are all to be had in a topology file, and announcements are as its section l3 says', () => {
    const dhcp = {
      enable_isolated_metadata: false,
      force_metadata: true,
      enable_metadata_network: true,
      num_sync_threads: 2,
      bulk_reload_interval: 5,
      dnsmasq_config_file: '/etc/dnsmasq-extra.conf',
      dnsmasq_dns_servers: ['192.0.2.1#5353', '/lab.example/fd00::53'],
      dnsmasq_base_log_dir: '/var/log/viaduct',
      dnsmasq_local_resolv: true,
      dnsmasq_lease_max: 100,
      dhcp_broadcast_reply: true,
      dnsmasq_enable_addr6_list: true,
      dnsmasq_txt_record: 'lab.example,hello',
      dhcp_renewal_time: 10,
      dhcp_rebinding_time: 20,
      dhcp_lease_duration: -1,
      dns_domain: 'lab.example',
    };
    const l3 = { min_rtr_adv_interval: 3, max_rtr_adv_interval: 4, radvd_user: 'nobody' };
    const topology = parseTopology(JSON.stringify({ dhcp, l3 }), { file: 'lab.yaml', host: 'h' });
    expect(standaloneDhcpOptions(topology, '/state')).toMatchObject({
      ...dhcp,
      ...l3,
      enable_isolated_ra: true,
      dhcp_confs: '/state/dhcp',
    });
  });
});
