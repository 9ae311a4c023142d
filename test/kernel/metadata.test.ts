import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetadataAgent, type MetadataAgent } from '../../agents/metadata/agent.ts';
import { parseMetadataOptions } from '../../agents/metadata/options.ts';
import { signInstanceId } from '../../agents/metadata/signature.ts';
import { createNamespace, deleteNamespace, namespaceExists } from '../../lib/kernel/netns.ts';
import type { MetadataIdentity, MetadataPort } from '../../lib/model/source.ts';
import { type NovaStub, startNova } from '../agents/metadata/nova-stub.ts';

/**
 * Instances are namespaces with curl in them; routers have the redirect rule of the L3 agent, and the
 * metadata agent is the real one. Two routers of two tenants have the same addresses.
 */
const SECRET = 'kernel-test-secret';
const ROUTER_A = '00000000-0000-4000-8000-0000000dd0a1';
const ROUTER_B = '00000000-0000-4000-8000-0000000dd0b1';
const NETWORK = '00000000-0000-4000-8000-0000000dd0c1';
const DHCP_PORT = '00000000-0dd0-4000-8000-0000000dd0c2';
const DHCP_DEVICE = 'ns-00000000-0d';
const MAC = 'fa:16:3e:00:00:05';
const LINK_LOCAL = 'fe80::f816:3eff:fe00:5';
const LATEST = 'http://169.254.169.254/latest/meta-data/instance-id';

const run = promisify(execFile);
const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe', encoding: 'utf8' });
const made: string[] = [];

function namespace(name: string): string {
  if (namespaceExists(name)) deleteNamespace(name);
  createNamespace(name);
  made.push(name);
  ip('-n', name, 'link', 'set', 'lo', 'up');
  return name;
}

/** An instance's end `eth0` and the other end in `ns`, as if plugged into one network. */
function plug(
  vm: string,
  ns: string,
  device: string,
  mac: string,
  addresses: string[],
  gateway?: string,
): void {
  ip('link', 'add', device, 'netns', ns, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', vm);
  ip('-n', vm, 'link', 'set', 'eth0', 'address', mac, 'up');
  for (const address of addresses) ip('-n', vm, 'address', 'add', address, 'dev', 'eth0', 'nodad');
  ip('-n', ns, 'link', 'set', device, 'up');
  if (gateway) ip('-n', vm, 'route', 'add', 'default', 'via', gateway);
}

function router(id: string, vm: string): void {
  const ns = namespace(`qrouter-${id}`);
  plug(vm, ns, 'qr-metadata', MAC, ['10.0.0.5/24', '10.0.0.66/24'], undefined);
  ip('-n', ns, 'address', 'add', '10.0.0.1/24', 'dev', 'qr-metadata');
  ip('-n', vm, 'route', 'replace', 'default', 'via', '10.0.0.1');
  const rule = 'iifname "qr-*" ip daddr 169.254.169.254 tcp dport 80 redirect to :9697';
  const chain = `chain prerouting { type nat hook prerouting priority dstnat; ${rule}; }`;
  execFileSync('ip', ['netns', 'exec', ns, 'nft', '-f', '-'], {
    input: `table ip vdt_metadata {\n${chain}\n}\n`,
  });
}

/** curl in an instance: status, a blank and the body. */
async function curl(vm: string, ...args: string[]): Promise<string> {
  const argv = ['netns', 'exec', vm, 'curl', '-s', '-m', '10', '-g', '-w', '\n%{http_code}', ...args];
  const { stdout } = await run('ip', argv);
  const end = stdout.lastIndexOf('\n');
  return `${stdout.slice(end + 1)} ${stdout.slice(0, end)}`;
}

let nova: NovaStub;
let agent: MetadataAgent;
let asked: { identity: MetadataIdentity; address: string }[];
let networks: unknown[];
let changed: () => void;

/** The look-up that a server or the topology would do. */
const ports: (MetadataPort & { where: string; addresses: string[] })[] = [
  { where: ROUTER_A, addresses: ['10.0.0.5', LINK_LOCAL], device_id: 'instance-a', project_id: 'tenant-a' },
  { where: ROUTER_B, addresses: ['10.0.0.5'], device_id: 'instance-b', project_id: 'tenant-b' },
  { where: NETWORK, addresses: ['10.9.0.5', LINK_LOCAL], device_id: 'instance-c', project_id: 'tenant-c' },
];

function makeAgent(): MetadataAgent {
  return createMetadataAgent({
    plugin: {
      async portOf(identity, address) {
        asked.push({ identity, address });
        const where = 'router' in identity ? identity.router : identity.network;
        return ports.filter((one) => one.where === where && one.addresses.includes(address));
      },
    },
    inventory: {
      routers: async () => [{ id: ROUTER_A }, { id: ROUTER_B }],
      networks: async () => networks,
      subscribe(listener) {
        changed = listener;
        return () => {};
      },
    },
    options: parseMetadataOptions({
      nova_metadata_port: nova.port,
      metadata_proxy_shared_secret: SECRET,
      enable_isolated_metadata: true,
    }),
    logger: { debug() {}, info() {}, warn() {} },
  });
}

const isolatedNetwork = {
  id: NETWORK,
  subnets: [
    {
      id: NETWORK,
      network_id: NETWORK,
      ip_version: 4,
      cidr: '10.9.0.0/24',
      gateway_ip: null,
      enable_dhcp: true,
    },
    {
      id: NETWORK,
      network_id: NETWORK,
      ip_version: 6,
      cidr: 'fd09::/64',
      gateway_ip: null,
      enable_dhcp: true,
    },
  ],
  ports: [
    {
      id: DHCP_PORT,
      network_id: NETWORK,
      mac_address: 'fa:16:3e:00:00:02',
      device_owner: 'network:dhcp',
      device_id: 'dhcp',
      fixed_ips: [],
    },
  ],
};

describe.skipIf(process.getuid?.() !== 0)('the metadata agent in real namespaces', () => {
  beforeAll(() => {
    for (const vm of ['vdt-md-a', 'vdt-md-b', 'vdt-md-c']) namespace(vm);
    router(ROUTER_A, 'vdt-md-a');
    router(ROUTER_B, 'vdt-md-b');
  });
  afterAll(() => {
    for (const name of made) deleteNamespace(name);
  });
  beforeEach(async () => {
    asked = [];
    networks = [];
    nova = await startNova(SECRET);
    agent = makeAgent();
    await agent.start();
    expect(agent.state()).toMatchObject({ listeners: { desired: 2, open: 2 }, converged: true });
  });
  afterEach(async () => {
    await agent.stop();
    await nova.close();
  });

  it('serves instances with the same address behind different routers, each its own', async () => {
    expect(await curl('vdt-md-a', LATEST)).toBe('200 instance-a');
    expect(await curl('vdt-md-b', LATEST)).toBe('200 instance-b');
    expect(asked).toEqual([
      { identity: { router: ROUTER_A }, address: '10.0.0.5' },
      { identity: { router: ROUTER_B }, address: '10.0.0.5' },
    ]);
  });

  it("[N5] Nova gets the HMAC-SHA256 of the instance's id", async () => {
    await curl('vdt-md-a', LATEST);
    expect(nova.seen[0]?.headers['x-instance-id-signature']).toBe(signInstanceId(SECRET, 'instance-a'));
  });

  it("[N6] Nova gets the instance's project", async () => {
    await curl('vdt-md-b', LATEST);
    expect(nova.seen[0]?.headers['x-tenant-id']).toBe('tenant-b');
  });

  it('[N8] one process listens on the metadata port of every router namespace, without haproxy', async () => {
    for (const id of [ROUTER_A, ROUTER_B]) {
      const { stdout } = await run('ip', ['netns', 'exec', `qrouter-${id}`, 'ss', '-Hltnp']);
      expect(stdout).toMatch(new RegExp(`\\*:9697 .*pid=${process.pid},`));
    }
  });

  it('[N10] headers an instance makes up are not believed and not passed on', async () => {
    const forged = [
      `X-Neutron-Network-ID: ${NETWORK}`,
      `X-Neutron-Router-ID: ${ROUTER_B}`,
      'X-Forwarded-For: 10.9.0.5',
      'X-Instance-ID: instance-b',
      'X-Tenant-ID: tenant-b',
      `X-Instance-ID-Signature: ${signInstanceId(SECRET, 'instance-b')}`,
      'X-Other: thing',
    ];
    expect(await curl('vdt-md-a', ...forged.flatMap((one) => ['-H', one]), LATEST)).toBe('200 instance-a');
    expect(Object.keys(nova.seen[0]?.headers ?? {}).sort()).toEqual([
      'connection',
      'host',
      'x-forwarded-for',
      'x-instance-id',
      'x-instance-id-signature',
      'x-tenant-id',
    ]);
    expect(nova.seen[0]?.headers).toMatchObject({
      'x-instance-id': 'instance-a',
      'x-tenant-id': 'tenant-a',
      'x-forwarded-for': '::ffff:10.0.0.5',
    });
  });

  it('[N11] an instance with an address that is not its own gets 404', async () => {
    expect(await curl('vdt-md-a', '--interface', '10.0.0.66', LATEST)).toMatch(/^404 /);
    expect(nova.seen).toEqual([]);
  });

  it('[N12] instances get 503 while Nova is down', async () => {
    await nova.close();
    expect(await curl('vdt-md-a', LATEST)).toMatch(/^503 /);
  });

  it('[N19] gzipped user data arrives byte by byte', async () => {
    const zipped = gzipSync(Buffer.from('#!/bin/sh\necho hello\n'.repeat(20_000)));
    nova.respond = (_, response) => response.end(zipped);
    const script = 'curl -s -m 10 http://169.254.169.254/latest/user-data | sha256sum';
    const { stdout } = await run('ip', ['netns', 'exec', 'vdt-md-a', 'sh', '-c', script]);
    expect(stdout.split(' ')[0]).toBe(createHash('sha256').update(zipped).digest('hex'));
  });

  it('knows an instance by its link-local address', async () => {
    const { stdout } = await run('ip', [
      '-n',
      `qrouter-${ROUTER_A}`,
      '-6',
      'address',
      'show',
      'scope',
      'link',
    ]);
    const gateway = /inet6 (fe80[0-9a-f:]+)/.exec(stdout)?.[1];
    const url = `http://[${gateway}%25eth0]:9697/`;
    await vi.waitFor(async () => expect(await curl('vdt-md-a', url)).toBe('200 instance-a'), 10_000);
    expect(asked.at(-1)).toEqual({ identity: { router: ROUTER_A }, address: LINK_LOCAL });
    expect(nova.seen[0]?.headers['x-forwarded-for']).toBe(LINK_LOCAL);
  });

  it('listens in a DHCP namespace that comes later, before its addresses are there, IPv4 and IPv6', async () => {
    networks = [isolatedNetwork];
    changed();
    await vi.waitFor(() => expect(agent.state().listeners).toMatchObject({ desired: 4, open: 2 }));
    const ns = namespace(`qdhcp-${NETWORK}`);
    execFileSync('ip', ['netns', 'exec', ns, 'sysctl', '-qw', 'net.ipv4.ip_nonlocal_bind=1']);
    await vi.waitFor(() => expect(agent.state().listeners.open).toBe(3));
    plug('vdt-md-c', ns, DHCP_DEVICE, MAC, ['10.9.0.5/24']);
    ip('-n', ns, 'address', 'add', '10.9.0.2/24', 'dev', DHCP_DEVICE);
    ip('-n', ns, 'address', 'add', '169.254.169.254/32', 'dev', DHCP_DEVICE);
    ip('-n', ns, 'address', 'add', 'fe80::a9fe:a9fe/128', 'dev', DHCP_DEVICE, 'nodad');
    ip('-n', 'vdt-md-c', 'route', 'add', '169.254.169.254/32', 'via', '10.9.0.2');
    await vi.waitFor(() => expect(agent.state().converged).toBe(true), 10_000);
    expect(await curl('vdt-md-c', LATEST)).toBe('200 instance-c');
    const v6 = 'http://[fe80::a9fe:a9fe%25eth0]/latest/meta-data/instance-id';
    await vi.waitFor(async () => expect(await curl('vdt-md-c', v6)).toBe('200 instance-c'), 10_000);
    expect(asked.at(-1)).toEqual({ identity: { network: NETWORK }, address: LINK_LOCAL });
  });

  it('lets a deleted namespace go and listens in the new one of that name', async () => {
    const ns = `qrouter-${ROUTER_B}`;
    // A connection that is kept open would keep the namespace, and the devices in it, alive.
    const kept = execFile('ip', ['netns', 'exec', 'vdt-md-b', 'curl', '-s', '-N', LATEST]);
    const left = new Promise((resolve) => kept.once('exit', resolve));
    nova.respond = (_, response) => response.writeHead(200).write('…');
    await vi.waitFor(() => expect(nova.seen).toHaveLength(1));
    deleteNamespace(ns);
    await vi.waitFor(() => expect(agent.state().listeners).toMatchObject({ open: 1, closed: 1 }));
    // The instance's end of the pair goes with the namespace.
    await vi.waitFor(() => expect(() => ip('-n', 'vdt-md-b', 'link', 'show', 'eth0')).toThrow(), 10_000);
    kept.kill();
    await left;
    nova.respond = (request, response) => response.end(request.headers['x-instance-id']);
    router(ROUTER_B, 'vdt-md-b');
    await vi.waitFor(() => expect(agent.state().converged).toBe(true), 10_000);
    expect(await curl('vdt-md-b', LATEST)).toBe('200 instance-b');
    expect(await curl('vdt-md-a', LATEST)).toBe('200 instance-a');
  });
});
