import { createHash, createHmac } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Machine } from '../e2e/packets.ts';
import { output } from '../e2e/shell.ts';
import { Cloud } from './cloud/cloud.ts';
import { type NetworkNode, SECRET } from './cloud/node.ts';
import type { Resource } from './cloud/server.ts';
import { addressOf, Tenant, type TenantNetwork } from './cloud/tenant.ts';
import { certificate } from './rabbit/certificates.ts';

const URL = 'http://169.254.169.254/latest/meta-data/instance-id';
const ROUTED = 'a0000000-0000-4000-8000-000000000001';
const ISOLATED = 'a0000000-0000-4000-8000-000000000002';
let cloud: Cloud;
let node: NetworkNode;
let tenant: Tenant;
let router: Resource;
let inside: TenantNetwork;
let alone: TenantNetwork;
let routed: { vm: Machine; port: Resource };
let isolated: { vm: Machine; port: Resource };

/** The metadata agent with more in its own file, for as long as `during` takes. */
async function withOptions(more: string, during: () => Promise<void>): Promise<void> {
  const [, own] = node.configFiles('metadata');
  const text = fs.readFileSync(own!, 'utf8');
  const change = (to: string) =>
    tenant.restart(node.agent('metadata'), async () => fs.writeFileSync(own!, to));
  await change(`${text}\n${more}\n`);
  try {
    await answered(routed.vm, ROUTED);
    await during();
  } finally {
    await change(text);
    await answered(routed.vm, ROUTED);
  }
}

const answered = (vm: Machine, instance: string) =>
  tenant.soon('metadata answers', async () => {
    const { status, body } = await vm.curl(URL);
    return status === 200 && body === `instance ${instance}`;
  });

beforeAll(async () => {
  cloud = await Cloud.start();
  node = cloud.node;
  tenant = new Tenant(cloud);
  node.start();
  await tenant.alive('L3 agent');
  await tenant.alive('DHCP agent');
  await tenant.alive('Linux bridge agent');
  inside = await tenant.network('inside', ['10.1.0.0/24']);
  alone = await tenant.network('alone', ['10.2.0.0/24']);
  router = await cloud.server.create('routers', { name: 'r1' });
  await cloud.server.request('PUT', `routers/${router.id}/add_router_interface`, {
    subnet_id: inside.subnets[0]!.id,
  });
  routed = await tenant.machine('m1', inside.network, { device_id: ROUTED });
  isolated = await tenant.machine('m2', alone.network, { device_id: ISOLATED });
  for (const { vm, port } of [routed, isolated])
    await tenant.soon('an address', async () => (await cloud.lease(vm)) === addressOf(port));
});

afterAll(async () => {
  if (process.env.VIADUCT_KEEP_LOGS) await output('cp', '-r', cloud.directory, process.env.VIADUCT_KEEP_LOGS);
  await cloud?.stop();
});

describe('metadata by Viaduct’s listeners', () => {
  it('[N1][N2][N5][N6][N8] reaches an instance behind a router and one without, signed', async () => {
    await answered(routed.vm, ROUTED);
    await answered(isolated.vm, ISOLATED);
    const { headers } = cloud.novaRequests.at(-1)!;
    expect(headers['x-instance-id']).toBe(ISOLATED);
    expect(headers['x-tenant-id']).toBe(isolated.port.project_id);
    expect(headers['x-instance-id-signature']).toBe(
      createHmac('sha256', SECRET).update(ISOLATED).digest('hex'),
    );
    const listening = await output('ip', 'netns', 'exec', `qrouter-${router.id}`, 'ss', '-Hltn');
    expect(listening).toContain(':9697');
    expect((await output('ps', '-eo', 'comm')).split('\n')).not.toContain('haproxy');
  });

  it('[N9][N10][N11] can’t be asked directly, nor as somebody else, nor from an address of nobody', async () => {
    const gateway = String(inside.subnets[0]!.gateway_ip);
    expect((await routed.vm.curl(`http://${gateway}:9697/`, '-m', '2')).code).toBe(28);
    const lies = [
      `X-Neutron-Network-ID: ${alone.network.id}`,
      `X-Instance-ID: ${ISOLATED}`,
      'X-Forwarded-For: 10.2.0.9',
    ];
    const { body } = await routed.vm.curl(URL, ...lies.flatMap((line) => ['-H', line]));
    expect(body).toBe(`instance ${ROUTED}`);
    await routed.vm.sh('ip addr add 10.1.0.250/24 dev eth0');
    expect((await routed.vm.curl(URL, '--interface', '10.1.0.250')).status).toBe(404);
    await routed.vm.sh('ip addr del 10.1.0.250/24 dev eth0');
  });

  it('[N19] leaves compressed user data as it is', async () => {
    const data = gzipSync('#cloud-config\n'.repeat(2_000));
    cloud.novaAnswers.set('/latest/user-data', data);
    const sum = await routed.vm.sh(
      "curl -s http://169.254.169.254/latest/user-data | sha256sum | cut -d' ' -f1",
    );
    expect(sum.trim()).toBe(createHash('sha256').update(data).digest('hex'));
  });

  it('costs the server nothing once the instance is known: it answers with a server that stands still', async () => {
    await answered(routed.vm, ROUTED);
    await answered(isolated.vm, ISOLATED);
    cloud.server.signal('SIGSTOP');
    try {
      for (const [vm, instance] of [
        [routed.vm, ROUTED],
        [isolated.vm, ISOLATED],
      ] as const)
        for (let i = 0; i < 10; i += 1) expect((await vm.curl(URL)).body).toBe(`instance ${instance}`);
    } finally {
      cloud.server.signal('SIGCONT');
    }
  });

  it('[N12] says 503 while the metadata service is down', async () => {
    const { port } = cloud.nova.address() as AddressInfo;
    cloud.nova.closeAllConnections();
    await new Promise((resolve) => cloud.nova.close(resolve));
    expect((await routed.vm.curl(URL)).status).toBe(503);
    await new Promise<void>((resolve) => cloud.nova.listen(port, '127.0.0.1', resolve));
    await answered(routed.vm, ROUTED);
  });

  it('[N13] asks by TLS with a client certificate', async () => {
    const folder = join(cloud.directory, 'tls');
    fs.mkdirSync(folder);
    const at = (name: string) => join(folder, name);
    await certificate(folder, 'ca', '/CN=Viaduct test CA', '');
    await certificate(folder, 'nova', '/CN=nova', 'subjectAltName=IP:127.0.0.1\n', 'ca');
    await certificate(folder, 'agent', '/CN=metadata-agent', 'extendedKeyUsage=clientAuth\n', 'ca');
    const read = (name: string) => fs.readFileSync(at(name));
    const peers: string[] = [];
    const nova = https.createServer(
      {
        key: read('nova.key'),
        cert: read('nova.pem'),
        ca: read('ca.pem'),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (request, response) => {
        const { socket } = request;
        if ('getPeerCertificate' in socket && typeof socket.getPeerCertificate === 'function')
          peers.push(socket.getPeerCertificate().subject.CN);
        response.end(`instance ${String(request.headers['x-instance-id'])}`);
      },
    );
    await new Promise<void>((resolve) => nova.listen(0, '127.0.0.1', resolve));
    const options = [
      '[DEFAULT]',
      'nova_metadata_protocol = https',
      `nova_metadata_port = ${(nova.address() as AddressInfo).port}`,
      `auth_ca_cert = ${at('ca.pem')}`,
      `nova_client_cert = ${at('agent.pem')}`,
      `nova_client_priv_key = ${at('agent.key')}`,
    ];
    await withOptions(options.join('\n'), async () => {
      expect((await routed.vm.curl(URL)).body).toBe(`instance ${ROUTED}`);
    });
    expect(peers).toContain('metadata-agent');
    nova.closeAllConnections();
    nova.close();
  });

  it('[N21] gives up on a slow metadata service after the time that is set', async () => {
    const slow = http.createServer((request, response) => {
      if (request.url?.endsWith('/instance-id'))
        response.end(`instance ${String(request.headers['x-instance-id'])}`);
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const port = `[DEFAULT]\nnova_metadata_port = ${(slow.address() as AddressInfo).port}`;
    const ask = () => routed.vm.curl('http://169.254.169.254/latest/user-data', '-m', '4');
    const TIMED_OUT = 28;
    await withOptions(port, async () => expect((await ask()).code).toBe(TIMED_OUT));
    await withOptions(`${port}\n[metadata_haproxy]\ntimeout_server = 1`, async () =>
      expect((await ask()).status).toBe(504),
    );
    slow.closeAllConnections();
    slow.close();
  });

  it('[N14] refuses an address that asks too often, and no other', async () => {
    const options =
      '[metadata_rate_limiting]\nrate_limit_enabled = true\nbase_window_duration = 60\nburst_window_duration = 60';
    await withOptions(options, async () => {
      const statuses: number[] = [];
      for (let i = 0; i < 12; i += 1) statuses.push((await routed.vm.curl(URL)).status);
      expect(statuses).toContain(200);
      expect(statuses.at(-1)).toBe(429);
      expect((await isolated.vm.curl(URL)).status).toBe(200);
    });
  });

  it('[N16][N17] has its socket with the mode and the backlog of the options', async () => {
    const socket = join(node.statePath, 'metadata_proxy');
    expect(fs.statSync(socket).mode & 0o777).toBe(0o644);
    const queue = async () => (await output('ss', '-Hxl', 'src', socket)).trim().split(/\s+/)[3];
    expect(await queue()).toBe('4096');
    const options = '[DEFAULT]\nmetadata_proxy_socket_mode = group\nmetadata_backlog = 77';
    await withOptions(options, async () => {
      expect(fs.statSync(socket).mode & 0o777).toBe(0o664);
      expect(await queue()).toBe('77');
    });
  });
});
