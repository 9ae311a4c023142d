import { describe, expect, it } from 'vitest';
import { topologyInstances } from '../../../agents/metadata/service/topology.ts';
import { parseTopology } from '../../../lib/standalone/topology.ts';

const text = `
networks:
  - name: public
    external: true
    subnets: [{ name: public, cidr: 203.0.113.0/24 }]
  - name: blue
    mtu: 1400
    subnets: [{ name: blue, cidr: 10.0.0.0/24 }]
routers:
  - { name: r, external_gateway_info: { network: public }, interfaces: [blue] }
instances:
  - { name: web, network: blue, user_data: "#!/bin/sh", metadata: { role: web } }
floating_ips:
  - { floating_network: public, instance: web }
`;

describe('instances of a topology', () => {
  it('are what the built-in metadata service tells them', async () => {
    const topology = parseTopology(text, { file: 'test.yaml', host: 'net-1' });
    const [web] = topology.instances;
    const instance = await topologyInstances(() => topology)(web!.id);
    const port = topology.ports.find((one) => one.id === web!.port_ids[0]);
    expect(instance).toEqual({
      id: web!.id,
      name: 'web',
      project_id: web!.project_id,
      metadata: { role: 'web' },
      user_data: '#!/bin/sh',
      ports: [
        {
          id: port!.id,
          network_id: port!.network_id,
          mac_address: port!.mac_address,
          mtu: 1400,
          fixed_ips: port!.fixed_ips,
          floating_ip_address: topology.floating_ips[0]!.floating_ip_address,
        },
      ],
    });
  });
  it('are none before there is a topology, and no others', async () => {
    expect(await topologyInstances(() => undefined)('x')).toBeUndefined();
    const topology = parseTopology(text, { file: 'test.yaml', host: 'net-1' });
    expect(await topologyInstances(() => topology)('x')).toBeUndefined();
  });
});
