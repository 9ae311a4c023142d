import { describe, expect, it } from 'vitest';
import { compiled, fileOf, recordedNetworks, rendered } from './rendered.ts';

const RECORDED: readonly (readonly [scenario: string, file: string])[] = [
  ['dhcp-opts', 'get_network_info-2'],
  ['dhcp-opts', 'get_network_info-3'],
  ['dhcp-opts', 'get_network_info-5'],
  ['dual-stack', 'get_network_info-4'],
  ['dual-stack', 'get_network_info-8'],
  ['dual-stack', 'get_network_info-10'],
  ['isolated-metadata', 'get_network_info-2'],
  ['legacy-basic', 'get_network_info-8'],
  ['extra-routes', 'get_network_info-4'],
];

describe('networks of a real Neutron server', () => {
  it.each(RECORDED)('%s/%s becomes these rows and files', async (scenario, file) => {
    for (const [i, network] of recordedNetworks(scenario, file).entries()) {
      const text = rendered(compiled(network));
      await expect(text).toMatchFileSnapshot(`golden/${scenario}-${file}${i > 0 ? `-${i}` : ''}.txt`);
    }
  });

  it('the same network gives the same group objects', () => {
    const [first, second] = [0, 1].map(() => recordedNetworks('dhcp-opts', 'get_network_info-2')[0]!);
    const [a, b] = [compiled(first!), compiled(second!)];
    expect(b.groups.map((group, i) => group === a.groups[i])).toEqual(a.groups.map(() => true));
  });

  it('one port less changes the files of names and hosts and nothing else', () => {
    const network = recordedNetworks('dhcp-opts', 'get_network_info-2')[0]!;
    const gone = network.ports.find(
      ({ extra_dhcp_opts, device_id }) => device_id.startsWith('vm-') && extra_dhcp_opts.length === 0,
    )!;
    const [a, b] = [
      compiled(network),
      compiled({ ...network, ports: network.ports.filter((port) => port !== gone) }),
    ];
    const changed = b.groups
      .filter((group, i) => group !== a.groups[i])
      .map((group) => group[0]!.key.split('/').at(-1));
    expect(changed).toEqual(['host', 'addn_hosts']);
    expect(fileOf(b, 'host')).not.toContain(gone.mac_address);
  });
});
