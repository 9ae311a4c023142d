import { describe, expect, test } from 'vitest';
import { MessagingTimeout, RemoteError } from '../../../../lib/rpc/failures.ts';
import { AnswerError } from '../../../../lib/rpc/plugins/answer.ts';
import {
  DhcpPluginApi,
  type DhcpPortRequest,
  type DhcpPortUpdate,
} from '../../../../lib/rpc/plugins/dhcp.ts';
import { L3PluginApi } from '../../../../lib/rpc/plugins/l3.ts';
import { MetadataPluginApi } from '../../../../lib/rpc/plugins/metadata.ts';
import { type Exchange, FakeServer, failing, recordedExchanges } from './recorded-server.ts';

type Args = Readonly<Record<string, unknown>>;
interface Api {
  readonly l3: L3PluginApi;
  readonly dhcp: DhcpPluginApi;
}
const text = (value: unknown) => String(value);
const routerIds = (args: Args = {}) => args.router_ids as string[];
const filters = (args: Args = {}) => args.filters as Args;
const inner = (args: Args) => (args.port as { port: Args }).port;

/** How each method is called to ask what was recorded. */
const asking: Readonly<Record<string, (api: Api, args: Args) => Promise<unknown>>> = {
  sync_routers: ({ l3 }, args) => l3.syncRouters(args.router_ids as string[]),
  get_router_ids: ({ l3 }) => l3.getRouterIds(),
  get_service_plugin_list: ({ l3 }) => l3.getServicePluginList(),
  update_floatingip_statuses: ({ l3 }, args) =>
    l3.updateFloatingIpStatuses(text(args.router_id), args.fip_statuses as Record<string, 'ACTIVE'>),
  process_prefix_update: ({ l3 }, args) => l3.updatePrefixes(args.subnets as Record<string, string>),
  get_ports_by_subnet: ({ l3 }, args) => l3.getPortsBySubnet(text(args.subnet_id)),
  get_agent_gateway_port: ({ l3 }, args) => l3.getAgentGatewayPort(text(args.network_id)),
  update_ha_routers_states: ({ l3 }, args) =>
    l3.updateHaRoutersStates(args.states as Record<string, 'active'>),
  update_all_ha_network_port_statuses: ({ l3 }) => l3.updateAllHaNetworkPortStatuses(),
  get_host_ha_router_count: ({ l3 }) => l3.getHostHaRouterCount(),
  get_active_networks_info: ({ dhcp }) => dhcp.getActiveNetworksInfo(),
  get_network_info: ({ dhcp }, args) => dhcp.getNetworkInfo(text(args.network_id)),
  create_dhcp_port: ({ dhcp }, args) => {
    const { name, admin_state_up, ...port } = inner(args);
    expect({ name, admin_state_up }).toEqual({ name: '', admin_state_up: true });
    return dhcp.createDhcpPort(port as unknown as DhcpPortRequest);
  },
  update_dhcp_port: ({ dhcp }, args) =>
    dhcp.updateDhcpPort(text(args.port_id), inner(args) as unknown as DhcpPortUpdate),
  release_dhcp_port: ({ dhcp }, args) => dhcp.releaseDhcpPort(text(args.network_id), text(args.device_id)),
  dhcp_ready_on_ports: ({ dhcp }, args) => dhcp.dhcpReadyOnPorts(args.port_ids as string[]),
};

const cases = Object.keys(asking).flatMap((method) =>
  recordedExchanges(method).map((exchange): [string, Exchange] => [method, exchange]),
);

test('every method was recorded at least once', () => {
  expect([...new Set(cases.map(([method]) => method))].sort()).toEqual(Object.keys(asking).sort());
});

test.each(cases)(
  '%s asks as the recorded agent did and takes the recorded answer',
  async (method, exchange) => {
    const server = new FakeServer();
    server.answer = () => exchange.result ?? null;
    const host = text(exchange.args.host);
    const api = { l3: new L3PluginApi(server, host), dhcp: new DhcpPluginApi(server, host) };
    const result = await asking[method]!(api, exchange.args);
    const [request] = server.asked;
    expect(request).toMatchObject({ topic: exchange.topic, method, version: exchange.version });
    expect(request?.args).toEqual(exchange.args);
    if (result !== undefined) expect(result).toEqual(exchange.result ?? null);
  },
);

describe('L3PluginApi', () => {
  const ids = Array.from({ length: 600 }, (_, n) => `r${n}`);
  const routersOf = ({ args }: { args?: Args }) => routerIds(args).map((id) => ({ id }));

  test('all routers are asked for by id, 256 at once', async () => {
    const server = new FakeServer();
    server.answer = (request) => (request.method === 'get_router_ids' ? ids : routersOf(request));
    expect(await new L3PluginApi(server, 'net-1').syncRouters()).toHaveLength(600);
    const sizes = server.asked.slice(1).map(({ args }) => routerIds(args).length);
    expect(sizes).toEqual([256, 256, 88]);
  });

  test('no ids means no question: to the server an empty list means everything', async () => {
    const server = new FakeServer();
    expect(await new L3PluginApi(server, 'net-1').syncRouters([])).toEqual([]);
    expect(server.asked).toEqual([]);
  });

  test('a time-out halves the chunk down to 32 and ends the sync; each success then adds 32', async () => {
    const server = new FakeServer();
    const l3 = new L3PluginApi(server, 'net-1');
    const sizes: number[] = [];
    let slow = true;
    server.answer = (request) => {
      sizes.push(routerIds(request.args).length);
      if (slow) throw new MessagingTimeout('sync_routers: no answer within 60 s');
      return routersOf(request);
    };
    const sync = async () => {
      for await (const chunk of l3.routersInChunks(ids)) expect(chunk.routers).toHaveLength(chunk.ids.length);
    };
    for (let i = 0; i < 5; i++) await expect(sync()).rejects.toBeInstanceOf(MessagingTimeout);
    slow = false;
    await sync();
    expect(sizes).toEqual([256, 128, 64, 32, 32, 32, 64, 96, 128, 160, 120]);
  });

  test.each([
    [null, 'is not a list'],
    [{ routers: [] }, 'is not a list'],
    ['x', 'is not a list'],
  ])('an answer of %j is refused by name: nothing may be concluded from it', async (answer, message) => {
    const server = new FakeServer();
    server.answer = () => answer;
    const sync = new L3PluginApi(server, 'net-1').syncRouters(['r']);
    await expect(sync).rejects.toBeInstanceOf(AnswerError);
    await expect(sync).rejects.toThrow('sync_routers: the server');
    await expect(sync).rejects.toThrow(message);
  });

  test('what the server raises passes through', async () => {
    const server = new FakeServer();
    server.answer = failing('AgentNotFoundByTypeHost');
    const sync = new L3PluginApi(server, 'net-1').syncRouters(['r']);
    await expect(sync).rejects.toBeInstanceOf(RemoteError);
    await expect(sync).rejects.toMatchObject({ className: 'AgentNotFoundByTypeHost' });
  });
});

test('DhcpPluginApi: no ports, no question', async () => {
  const server = new FakeServer();
  await new DhcpPluginApi(server, 'net-1').dhcpReadyOnPorts([]);
  expect(server.asked).toEqual([]);
});

describe('MetadataPluginApi', () => {
  const [interfaces] = recordedExchanges('get_ports');
  const port = { device_id: 'vm', project_id: 'p', more: 1 };

  test('a router is known by its interfaces, as the recorded agent asked; then the address by their networks', async () => {
    const server = new FakeServer();
    server.answer = ({ args }) => ('device_id' in filters(args) ? interfaces?.result : [port]);
    const router = (filters(interfaces?.args).device_id as string[])[0]!;
    const found = await new MetadataPluginApi(server).portOf({ router }, '10.0.0.5');
    expect(found).toEqual([{ device_id: 'vm', project_id: 'p' }]);
    expect(server.asked[0]).toMatchObject({ topic: 'q-plugin', version: '1.0', args: interfaces?.args });
    const networks = (interfaces!.result as { network_id: string }[]).map(({ network_id }) => network_id);
    expect(server.asked[1]?.args).toEqual({
      filters: { network_id: [...new Set(networks)], fixed_ips: { ip_address: ['10.0.0.5'] } },
    });
  });

  test('a network needs no look-up; a link-local address stands for its MAC', async () => {
    const server = new FakeServer();
    server.answer = () => [{ device_id: 'vm', tenant_id: 't' }];
    const plugin = new MetadataPluginApi(server);
    expect(await plugin.portOf({ network: 'n' }, 'fe80::f816:3eff:fe02:f008')).toEqual([
      { device_id: 'vm', project_id: 't' },
    ]);
    expect(server.asked.map(({ args }) => args)).toEqual([
      { filters: { network_id: ['n'], mac_address: ['fa:16:3e:02:f0:08'] } },
    ]);
  });

  test('a router without networks, or a link-local address of no MAC, finds nobody and searches nowhere', async () => {
    const server = new FakeServer();
    server.answer = () => [];
    const plugin = new MetadataPluginApi(server);
    expect(await plugin.portOf({ router: 'r' }, '10.0.0.5')).toEqual([]);
    expect(await plugin.portOf({ network: 'n' }, 'fe80::1')).toEqual([]);
    expect(server.asked).toHaveLength(1);
  });
});
