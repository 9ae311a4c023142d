import { createHash, createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type NovaStub, startNova } from '../agents/metadata/nova-stub.ts';
import { type Rig, rig } from './rig.ts';
import { output, run } from './shell.ts';

/** Two tenants with the same addresses, each behind a router of its own. */
const topology = (metadata: string): string => `
networks:
  - { name: red, project: red, subnets: [{ name: red-v4, cidr: 10.0.0.0/24, enable_dhcp: false }] }
  - { name: blue, project: blue, subnets: [{ name: blue-v4, cidr: 10.0.0.0/24, enable_dhcp: false }] }
routers:
  - { name: red, interfaces: [red-v4] }
  - { name: blue, interfaces: [blue-v4] }
instances:
  - { name: red1, project: red, network: red, fixed_ips: [{ ip_address: 10.0.0.5 }], configure: static, user_data: "#!/bin/sh\\necho red" }
  - { name: blue1, project: blue, network: blue, fixed_ips: [{ ip_address: 10.0.0.5 }], configure: static }
${metadata}
`;
const LATEST = 'http://169.254.169.254/latest';
const INSTANCE_ID = `${LATEST}/meta-data/instance-id`;

describe('metadata through a router', () => {
  let net: Rig;
  beforeAll(async () => {
    net = await rig(topology(''));
  });
  afterAll(() => net?.remove());

  test('[N1] an instance gets its own id, also where another tenant has the same address', async () => {
    for (const name of ['red1', 'blue1']) {
      const { status, body } = await net.client(name).curl(INSTANCE_ID);
      expect([status, body]).toEqual([200, net.instanceId(name)]);
    }
    expect((await net.client('red1').curl(`${LATEST}/user-data`)).body).toBe('#!/bin/sh\necho red');
    expect((await net.client('blue1').curl(`${LATEST}/user-data`)).status).toBe(404);
  });

  test('[N8] the process itself listens in every router namespace, without haproxy', async () => {
    for (const name of ['red', 'blue'])
      expect(await net.router(name).sh('ss -Hltnp')).toMatch(new RegExp(`:9697 .*pid=${net.pid},`));
    expect((await run(['ps', '-eo', 'args'])).stdout).not.toMatch(/^\S*haproxy/m);
  });

  test('[N9] nobody reaches the metadata port but by the redirect', async () => {
    const direct = await net
      .client('red1')
      .curl('http://10.0.0.1:9697/latest/meta-data/instance-id', '-m', '2');
    // 28: curl's time limit
    expect(direct.code).toBe(28);
    expect((await net.client('red1').curl(INSTANCE_ID)).status).toBe(200);
  });

  test('[N11] an address that is nobody’s port gets 404', async () => {
    const red = net.client('red1');
    await red.sh('ip address add 10.0.0.66/24 dev eth0');
    expect((await red.curl(INSTANCE_ID, '--interface', '10.0.0.66')).status).toBe(404);
    await red.sh('ip address del 10.0.0.66/24 dev eth0');
  });
});

describe('metadata from Nova', () => {
  const SECRET = 'e2e-secret';
  let nova: NovaStub;
  let net: Rig;
  beforeAll(async () => {
    nova = await startNova(SECRET);
    const where = `nova_metadata_port: ${nova.port}, metadata_proxy_shared_secret: ${SECRET}`;
    net = await rig(topology(`metadata: { nova_metadata_host: 127.0.0.1, ${where} }`));
  });
  afterAll(async () => {
    await net?.remove();
    await nova?.close();
  });
  beforeEach(() => {
    nova.seen.length = 0;
    nova.respond = (request, response) => response.end(String(request.headers['x-instance-id']));
  });

  test('[N5] Nova sees the HMAC-SHA256 of the instance id', async () => {
    const id = net.instanceId('blue1');
    expect((await net.client('blue1').curl(INSTANCE_ID)).body).toBe(id);
    const signature = createHmac('sha256', SECRET).update(id).digest('hex');
    expect(nova.seen[0]!.headers).toMatchObject({
      'x-instance-id': id,
      'x-instance-id-signature': signature,
    });
  });

  test('[N6] Nova sees the project', async () => {
    await net.client('red1').curl(INSTANCE_ID);
    await net.client('blue1').curl(INSTANCE_ID);
    expect(nova.seen.map(({ headers }) => headers['x-tenant-id'])).toEqual(['red', 'blue']);
  });

  test('[N10] an instance cannot pass for another one', async () => {
    const forged = [
      `X-Neutron-Router-ID: ${net.routerId('blue')}`,
      `X-Neutron-Network-ID: ${net.networkId('blue')}`,
      `X-Instance-ID: ${net.instanceId('blue1')}`,
      'X-Tenant-ID: blue',
      'X-Forwarded-For: 10.0.0.6',
    ];
    const answer = await net.client('red1').curl(INSTANCE_ID, ...forged.flatMap((header) => ['-H', header]));
    expect(answer.body).toBe(net.instanceId('red1'));
    expect(nova.seen[0]!.headers).toMatchObject({
      'x-tenant-id': 'red',
      'x-forwarded-for': '::ffff:10.0.0.5',
    });
    expect(Object.keys(nova.seen[0]!.headers)).not.toContain('x-neutron-network-id');
  });

  test('[N19] gzipped user data arrives as it is', async () => {
    const zipped = gzipSync(Buffer.from('#!/bin/sh\n'.repeat(50_000)));
    nova.respond = (_request, response) => response.end(zipped);
    const sum = await output(
      'ip',
      'netns',
      'exec',
      net.client('red1').ns,
      'sh',
      '-c',
      `curl -s ${LATEST}/user-data | sha256sum`,
    );
    expect(sum.split(' ')[0]).toBe(createHash('sha256').update(zipped).digest('hex'));
  });

  test('the secret is neither in the log nor in the state directory', async () => {
    expect(net.log).not.toContain(SECRET);
    expect((await run(['grep', '-r', SECRET, net.stateDir])).stdout).toBe('');
  });

  test('[N12] without Nova the answer is 503', async () => {
    await nova.close();
    expect((await net.client('red1').curl(INSTANCE_ID)).status).toBe(503);
  });
});
