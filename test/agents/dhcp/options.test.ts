import { describe, expect, it } from 'vitest';
import { dhcpOptions } from '../../../agents/dhcp/options.ts';

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
});
