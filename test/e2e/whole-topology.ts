/** A bit of everything; `vm` gets its address by DHCP, `fixed` does not. */
export const TOPOLOGY = `
networks:
  - name: ext
    external: true
    subnets: [{ name: ext-v4, cidr: 203.0.113.0/24, gateway_ip: 203.0.113.1 }]
  - { name: a, mtu: 1442, subnets: [{ name: a-v4, cidr: 10.1.0.0/24 }] }
  - { name: b, subnets: [{ name: b-v4, cidr: 10.2.0.0/24 }, { name: b-v6, cidr: "fd00:b::/64", enable_dhcp: false }] }
routers:
  - name: r1
    external_gateway_info: { network: ext, external_fixed_ips: [{ ip_address: 203.0.113.11 }] }
    interfaces: [a-v4]
    routes: [{ destination: 192.168.0.0/16, nexthop: 10.1.0.50 }]
  - name: r2
    external_gateway_info: { network: ext, enable_snat: false, external_fixed_ips: [{ ip_address: 203.0.113.12 }] }
    interfaces: [b-v4, b-v6]
instances:
  - { name: internet, network: ext, fixed_ips: [{ ip_address: 203.0.113.1 }], configure: static }
  - { name: vm, network: a, fixed_ips: [{ ip_address: 10.1.0.5 }] }
  - { name: fixed, network: a, fixed_ips: [{ ip_address: 10.1.0.6 }], configure: static }
  - { name: other, network: b, fixed_ips: [{ ip_address: 10.2.0.5 }, { ip_address: "fd00:b::5" }], configure: static }
floating_ips:
  - { floating_network: ext, floating_ip_address: 203.0.113.101, instance: fixed }
  - { floating_network: ext, floating_ip_address: 203.0.113.102, instance: other }
`;
export const FIP = '203.0.113.101';
export const OUTSIDE = '203.0.113.1';
