/** The options of the message broker that operators set most: quorum queues and TLS, the same at server and agents. */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { output } from '../e2e/shell.ts';
import { Cloud } from './cloud/cloud.ts';
import { type DeclaredQueue, declarations, declaredQueues } from './cloud/queues.ts';
import { Tenant } from './cloud/tenant.ts';
import { certificate } from './rabbit/certificates.ts';

let folder: string;
let cloud: Cloud;
let tenant: Tenant;
/** the server's and Neutron's L2 agent's */
let theirs: DeclaredQueue[];

beforeAll(async () => {
  folder = fs.mkdtempSync(join(tmpdir(), 'vdt-tls-'));
  await certificate(folder, 'ca', '/CN=Viaduct test CA', '');
  await certificate(folder, 'broker', '/CN=broker', 'subjectAltName=IP:127.0.0.1\n', 'ca');
  const at = (name: string): string => join(folder, name);
  const rabbit = {
    ssl: true,
    ssl_ca_file: at('ca.pem'),
    rabbit_quorum_queue: true,
    rabbit_quorum_delivery_limit: 7,
    // Spelt so in oslo.messaging 14 (Zed).
    rabbit_quroum_max_memory_length: 5_000,
    rabbit_transient_queues_ttl: 600,
  };
  cloud = await Cloud.start({
    broker: {
      conf: [
        'listeners.ssl.1 = 127.0.0.1:{tls}',
        `ssl_options.cacertfile = ${at('ca.pem')}`,
        `ssl_options.certfile = ${at('broker.pem')}`,
        `ssl_options.keyfile = ${at('broker.key')}`,
      ],
    },
    transportUrl: ({ tlsPort }) => `rabbit://guest:guest@127.0.0.1:${tlsPort}/`,
    server: { oslo_messaging_rabbit: rabbit },
    node: { common: { oslo_messaging_rabbit: rabbit } },
  });
  tenant = new Tenant(cloud);
  cloud.node.start('linuxbridge');
  await tenant.alive('Linux bridge agent');
  theirs = await declaredQueues(cloud.broker);
  cloud.node.start('l3', 'dhcp', 'metadata');
  for (const type of ['L3 agent', 'DHCP agent', 'Metadata agent']) await tenant.alive(type);
}, 400_000);

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}, 60_000);

it('[A23] queues of ours are declared as the server’s: type, durability, arguments; and all connections use TLS', async () => {
  await tenant.settled(cloud.node, 'l3', 'dhcp');
  const known = new Set(theirs.map(({ name }) => name));
  const ours = (await declaredQueues(cloud.broker)).filter(({ name }) => !known.has(name));
  expect(ours.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['l3_agent.net-1', 'dhcp_agent.net-1']),
  );
  for (const kind of ['topic', 'fanout', 'reply'] as const) {
    expect(declarations(ours, kind), kind).toHaveLength(1);
    expect(declarations(ours, kind), kind).toEqual(declarations(theirs, kind));
  }
  expect(declarations(ours, 'topic')[0]).toContain('quorum');
  const connections = await cloud.broker.list('connections', 'ssl');
  expect(connections.length).toBeGreaterThan(3);
  expect(connections.every(({ ssl }) => ssl === true)).toBe(true);
});

it('what is asked for over REST is built by way of them', async () => {
  const { network, subnets } = await tenant.network('a', ['10.1.0.0/24']);
  const router = await cloud.server.create('routers', { name: 'r1' });
  await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, {
    subnet_id: subnets[0]!.id,
  });
  const { vm } = await tenant.machine('vm1', network);
  await tenant.soon('an address', () => cloud.lease(vm));
  await tenant.soon('the router', () => listNamespaces().includes(`qrouter-${router.id}`));
  await tenant.soon('it answers', async () => (await vm.ping('10.1.0.1', { count: 1 })).received > 0);
});
