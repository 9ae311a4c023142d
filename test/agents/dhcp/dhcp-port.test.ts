import { describe, expect, it } from 'vitest';
import { dhcpDeviceId } from '../../../agents/dhcp/compile/identity.ts';
import { type DhcpPortServer, withDhcpPort } from '../../../agents/dhcp/dhcp-port.ts';
import { RemoteError } from '../../../lib/rpc/failures.ts';

const NETWORK = '3f4a5b6c-0000-4000-8000-000000000001';
const A = '3f4a5b6c-0000-4000-8000-00000000000a';
const B = '3f4a5b6c-0000-4000-8000-00000000000b';
const DEVICE = dhcpDeviceId('net-1', NETWORK);

const subnet = (id: string, enable_dhcp = true) => ({
  id,
  network_id: NETWORK,
  ip_version: 4,
  cidr: id === A ? '10.0.0.0/24' : '10.0.1.0/24',
  gateway_ip: null,
  enable_dhcp,
});
const port = (number: number, device_id: string, subnets: readonly string[]) => ({
  id: `3f4a5b6c-0000-4000-8000-1000000000${number}`,
  network_id: NETWORK,
  mac_address: `fa:16:3e:00:00:${number}`,
  device_id,
  device_owner: 'network:dhcp',
  fixed_ips: subnets.map((subnet_id) => ({
    subnet_id,
    ip_address: subnet_id === A ? `10.0.0.${number}` : `10.0.1.${number}`,
  })),
});
const network = (ports: unknown[], subnets = [subnet(A)]) => ({
  id: NETWORK,
  admin_state_up: true,
  project_id: 'p-1',
  mtu: 1450,
  subnets,
  non_local_subnets: [],
  ports,
});

/** A server that notes what it is asked and gives the next of its answers. */
function server(answers: unknown[], newest: unknown = null) {
  const asked: unknown[] = [];
  const answer =
    (method: string) =>
    async (...args: unknown[]) => {
      asked.push([method, ...args]);
      const next = answers.shift();
      if (next instanceof Error) throw next;
      return next ?? null;
    };
  const plugin: DhcpPortServer = {
    createDhcpPort: answer('create'),
    updateDhcpPort: answer('update'),
    getDhcpPort: answer('get'),
    getNetworkInfo: async () => newest,
  };
  return { plugin, asked };
}

describe('the DHCP port of a network', () => {
  it('is used as it is when it has an address in every served subnet', async () => {
    const payload = network([port(10, DEVICE, [A])]);
    const { plugin, asked } = server([]);
    expect(await withDhcpPort(plugin, 'net-1', payload)).toBe(payload);
    expect(asked).toEqual([]);
  });

  it('is made when there is none, with an address in every served subnet', async () => {
    const made = port(11, DEVICE, [A]);
    const { plugin, asked } = server([made]);
    const other = port(12, 'vm', [A]);
    const payload = network([other], [subnet(A), subnet(B, false)]);
    expect(await withDhcpPort(plugin, 'net-1', payload)).toMatchObject({ ports: [other, made] });
    expect(asked).toEqual([
      [
        'create',
        { network_id: NETWORK, device_id: DEVICE, project_id: 'p-1', fixed_ips: [{ subnet_id: A }] },
      ],
    ]);
  });

  it('keeps its address and gets one more when a subnet is added', async () => {
    const own = port(10, DEVICE, [A]);
    const { plugin, asked } = server([port(10, DEVICE, [A, B])]);
    await withDhcpPort(plugin, 'net-1', network([own], [subnet(A), subnet(B)]));
    const fixed_ips = [{ subnet_id: A, ip_address: '10.0.0.10' }, { subnet_id: B }];
    expect(asked).toEqual([['update', own.id, { network_id: NETWORK, fixed_ips }]]);
  });

  it('loses its address in a subnet that is not served any more', async () => {
    const own = port(10, DEVICE, [A, B]);
    const { plugin, asked } = server([port(10, DEVICE, [A])]);
    await withDhcpPort(plugin, 'net-1', network([own], [subnet(A), subnet(B, false)]));
    const fixed_ips = [{ subnet_id: A, ip_address: '10.0.0.10' }];
    expect(asked).toEqual([['update', own.id, { network_id: NETWORK, fixed_ips }]]);
  });

  it('is a reserved one if there is any; one that somebody else took is passed over', async () => {
    const reserved = [port(13, 'reserved_dhcp_port', [A]), port(14, 'reserved_dhcp_port', [A])];
    const { plugin, asked } = server([null, port(14, DEVICE, [A])]);
    const result = await withDhcpPort(plugin, 'net-1', network(reserved));
    expect(asked).toEqual(
      reserved.map(({ id }) => ['update', id, { network_id: NETWORK, device_id: DEVICE }]),
    );
    expect(result).toMatchObject({ ports: [{ id: reserved[0]!.id }, { device_id: DEVICE }] });
  });

  it('is looked for in the newest state when the one to be changed is gone', async () => {
    const newest = network([port(15, DEVICE, [A])]);
    const { plugin } = server([null], newest);
    expect(await withDhcpPort(plugin, 'net-1', network([port(10, DEVICE, [B])]))).toBe(newest);
  });

  it('is a conflict when even then none can be had', async () => {
    const { plugin } = server([null, null], network([]));
    await expect(withDhcpPort(plugin, 'net-1', network([]))).rejects.toThrow(/no DHCP port could be had/);
  });

  it('is asked for again when the answer lacks an address', async () => {
    const { plugin, asked } = server([port(16, DEVICE, []), port(16, DEVICE, [A])]);
    await withDhcpPort(plugin, 'net-1', network([]));
    expect(asked.at(-1)).toEqual(['get', '3f4a5b6c-0000-4000-8000-100000000016']);
  });

  it('is none when the server does not know this host for the network', async () => {
    const failure = { class: 'NetworkNotFound', module: 'neutron_lib.exceptions', message: 'gone' };
    const gone = new RemoteError({ ...failure, tb: [], args: [], kwargs: {} } as never);
    const { plugin } = server([gone]);
    expect(await withDhcpPort(plugin, 'net-1', network([]))).toBeNull();
  });

  it('is not made where nothing is served', async () => {
    const { plugin, asked } = server([]);
    const payload = network([], [subnet(A, false)]);
    expect(await withDhcpPort(plugin, 'net-1', payload)).toBe(payload);
    expect(await withDhcpPort(plugin, 'net-1', 'nonsense')).toBe('nonsense');
    expect(asked).toEqual([]);
  });
});
