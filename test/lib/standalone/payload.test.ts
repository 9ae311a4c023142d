import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseNetwork } from '../../../lib/model/network.ts';
import { parseRouter } from '../../../lib/model/router.ts';
import { payloadsOf } from '../../../lib/standalone/payload.ts';
import { parseTopology } from '../../../lib/standalone/topology.ts';

const text = readFileSync(join(import.meta.dirname, 'demo.yaml'), 'utf8');
const read = (yaml: string) => payloadsOf(parseTopology(yaml, { file: 'demo.yaml', host: 'net-1' }));
const payloads = read(text);

type Shape = Map<string, Set<string>>;

/** Every path with the types of value that occur there; list elements share one path. */
function shapeOf(values: readonly unknown[], path: string, shape: Shape): Shape {
  for (const value of values) {
    const type = value === null ? 'null' : Array.isArray(value) ? 'list' : typeof value;
    const types = shape.get(path) ?? new Set();
    shape.set(path, types.add(type));
    if (Array.isArray(value)) shapeOf(value, `${path}[]`, shape);
    else if (typeof value === 'object' && value !== null) {
      for (const [key, inner] of Object.entries(value)) {
        // Gateway and interface ports are of one kind: what was recorded of either goes for both.
        if (key === '_interfaces') shapeOf(inner, `${path}.port`, shape);
        else shapeOf([inner], `${path}.${key === 'gw_port' ? 'port' : key}`, shape);
      }
    }
  }
  return shape;
}

const root = join(import.meta.dirname, '../../fixtures/recorded');
/** Centralized, non-HA routers: what a topology describes. */
const SCENARIOS = [
  'legacy-basic',
  'dual-stack',
  'extra-routes',
  'snat-off',
  'dhcp-opts',
  'isolated-metadata',
];
const recorded = (method: string): unknown[] =>
  SCENARIOS.flatMap((scenario) =>
    readdirSync(join(root, scenario))
      .filter((file) => file.startsWith(method))
      .flatMap((file) => JSON.parse(readFileSync(join(root, scenario, file), 'utf8')) as unknown[]),
  );

const ALLOWED_EXTRA = new Set([
  // The server leaves these out; the DHCP agent and the operator's command have use for them.
  'network.name',
  'network.dns_domain',
]);

describe('payloads of a topology', () => {
  const ours = {
    router: shapeOf(payloads.routers, 'router', new Map()),
    network: shapeOf(payloads.networks, 'network', new Map()),
  };
  const theirs = {
    router: shapeOf(recorded('sync_routers'), 'router', new Map()),
    network: shapeOf(recorded('get_active_networks_info'), 'network', new Map()),
  };

  it.each(['router', 'network'] as const)('every %s key of a real server is there', (kind) => {
    const missing = [...theirs[kind].keys()].filter((path) => !ours[kind].has(path));
    // What is only there when a list has elements: the demo has none of them.
    const empty = [
      'router.tags[]',
      'network.ports[].security_groups[]',
      'network.ports[].allowed_address_pairs[]',
    ];
    const accounted = (path: string) =>
      empty.some((prefix) => path.startsWith(prefix)) ||
      // An HA network's ports occur among the recorded ones.
      path.startsWith('router.external_gateways');
    expect(missing.filter((path) => !accounted(path))).toEqual([]);
  });

  it.each(['router', 'network'] as const)('no %s key is there that a real server does not send', (kind) => {
    const extra = [...ours[kind].keys()].filter(
      (path) => !theirs[kind].has(path) && !ALLOWED_EXTRA.has(path),
    );
    expect(extra).toEqual([]);
  });

  it.each(['router', 'network'] as const)('values of %s keys have the types of a real server', (kind) => {
    const odd = [...ours[kind]].flatMap(([path, types]) =>
      [...types]
        .filter((type) => theirs[kind].has(path) && !theirs[kind].get(path)!.has(type))
        .map((type) => `${path}: ${type}`),
    );
    expect(odd).toEqual([]);
  });

  it('are valid for the agents', () => {
    for (const router of payloads.routers) expect(parseRouter(router).id).toBe(router.id);
    for (const network of payloads.networks) expect(parseNetwork(network).id).toBe(network.id);
  });

  it('are the same for the same file', async () => {
    expect(read(text)).toEqual(payloads);
    await expect(JSON.stringify(payloads, null, 1)).toMatchFileSnapshot('golden/demo.payloads.json');
  });

  it('a router carries its gateway, interfaces, floating IPs and routes', () => {
    const [blue, red] = payloads.routers;
    expect(parseRouter(blue)).toMatchObject({
      name: 'r-blue',
      enable_snat: true,
      gw_port: {
        mtu: 1500,
        device_owner: 'network:router_gateway',
        fixed_ips: [
          { ip_address: '198.18.0.10', prefixlen: 24 },
          { ip_address: '2001:db8:e::2', prefixlen: 64 },
        ],
      },
      _floatingips: [{ floating_ip_address: '198.18.0.11', fixed_ip_address: '10.0.0.50' }],
      routes: [{ destination: '192.168.0.0/16', nexthop: '10.0.0.9' }],
    });
    const [v4] = parseRouter(blue)._interfaces;
    expect(v4?.subnets.map(({ cidr }) => cidr)).toEqual(['10.0.0.0/24']);
    expect(v4?.extra_subnets.map(({ cidr }) => cidr)).toEqual(['fd00:0:0:1::/64']);
    expect(red).toMatchObject({
      enable_snat: false,
      gw_port: { fixed_ips: [{ ip_address: '198.18.0.20' }] },
    });
  });

  it('lists of nothing are left out, as the server does', () => {
    const [router] = read('routers: [{name: r}]').routers;
    expect(router).toMatchObject({ gw_port_id: null, external_gateway_info: null, gw_port_host: null });
    for (const key of ['gw_port', '_interfaces', '_floatingips', 'enable_snat'])
      expect(router).not.toHaveProperty(key);
  });

  it('routers that are admin-down are not listed', () => {
    expect(read('routers: [{name: r, admin_state_up: false}]').routers).toEqual([]);
  });

  it('names of ports are in the domain of their network, else of the deployment', () => {
    const names = Object.fromEntries(
      payloads.networks.map(({ name, ports }) => [
        name,
        ports.flatMap(({ device_owner, dns_assignment }) =>
          device_owner === 'compute:nova' ? dns_assignment.map(({ fqdn }) => fqdn) : [],
        ),
      ]),
    );
    expect(names).toEqual({
      public: ['internet.openstacklocal.', 'internet.openstacklocal.'],
      blue: ['web1.blue.example.', 'web1.blue.example.'],
      red: ['db1.openstacklocal.'],
    });
  });
});
