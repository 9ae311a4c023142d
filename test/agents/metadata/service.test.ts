import { describe, expect, it } from 'vitest';
import type { Instance } from '../../../agents/metadata/service/instance.ts';
import { createLocalForwarder, createMetadataService } from '../../../agents/metadata/service/service.ts';
import { signInstanceId } from '../../../agents/metadata/signature.ts';

const SECRET = 'shared';
const instance: Instance = {
  id: '8a5d3f2c-0000-4000-8000-000000000001',
  name: 'Web server #1',
  project_id: 'tenant-a',
  ports: [
    {
      id: '55555555-5555-4555-8555-555555555555',
      network_id: '22222222-2222-4222-8222-222222222222',
      mac_address: 'fa:16:3e:00:00:05',
      mtu: 1450,
      fixed_ips: [{ ip_address: 'fd00::5' }, { ip_address: '10.0.0.5' }],
      floating_ip_address: '203.0.113.5',
    },
  ],
  user_data: Buffer.from([0x1f, 0x8b, 0x08, 0x00, 0xff]),
  public_keys: { mine: 'ssh-ed25519 AAAA me' },
  metadata: { role: 'web' },
};
const bare: Instance = { id: 'bare', name: '…', project_id: 'tenant-a', ports: [] };

const service = createMetadataService({
  secret: SECRET,
  instances: (id) => [instance, bare].find((one) => one.id === id),
});
const headersOf = (id: string, tenant = 'tenant-a', secret = SECRET) => ({
  'X-Forwarded-For': '10.0.0.5',
  'X-Instance-ID': id,
  'X-Tenant-ID': tenant,
  'X-Instance-ID-Signature': signInstanceId(secret, id),
});
const get = async (target: string, headers = headersOf(instance.id), method = 'GET') => {
  const { status, contentType, body } = await service({ method, target, headers });
  return { status, contentType, body, text: Buffer.from(body).toString() };
};
const text = async (target: string) => (await get(target)).text;

describe('the built-in metadata service', () => {
  it('answers the EC2 paths', async () => {
    expect(await text('/')).toMatch(/^2007-01-19\n.*\nlatest$/s);
    expect(await text('/latest')).toBe('meta-data/\nuser-data');
    expect((await text('/latest/meta-data/')).split('\n')).toEqual([
      'ami-launch-index',
      'hostname',
      'instance-id',
      'local-hostname',
      'local-ipv4',
      'mac',
      'placement/',
      'public-hostname',
      'public-ipv4',
      'public-keys/',
    ]);
    expect(await text('/latest/meta-data/instance-id')).toBe(instance.id);
    expect(await text('/2009-04-04/meta-data/hostname')).toBe('web-server-1');
    expect(await text('/latest/meta-data/local-hostname')).toBe('web-server-1');
    expect(await text('/latest/meta-data/local-ipv4')).toBe('10.0.0.5');
    expect(await text('/latest/meta-data/public-ipv4')).toBe('203.0.113.5');
    expect(await text('/latest/meta-data/mac')).toBe('fa:16:3e:00:00:05');
    expect(await text('/latest/meta-data/placement/')).toBe('availability-zone');
    expect(await text('/latest/meta-data/public-keys/')).toBe('0=mine');
    expect(await text('/latest/meta-data/public-keys/0/')).toBe('openssh-key');
    expect(await text('/latest/meta-data/public-keys/0/openssh-key')).toBe('ssh-ed25519 AAAA me');
  });
  it('answers the OpenStack paths', async () => {
    expect(await text('/openstack')).toMatch(/^2012-08-10\n.*\nlatest$/s);
    expect((await text('/openstack/latest/')).split('\n')).toEqual([
      'meta_data.json',
      'network_data.json',
      'user_data',
      'vendor_data.json',
      'vendor_data2.json',
    ]);
    const metaData = await get('/openstack/latest/meta_data.json');
    expect(metaData.contentType).toBe('application/json');
    expect(JSON.parse(metaData.text)).toMatchObject({
      uuid: instance.id,
      name: 'Web server #1',
      hostname: 'web-server-1',
      project_id: 'tenant-a',
      meta: { role: 'web' },
      public_keys: { mine: 'ssh-ed25519 AAAA me' },
    });
    expect(JSON.parse(await text('/openstack/2018-08-27/network_data.json'))).toEqual({
      links: [
        {
          id: 'tap55555555-55',
          name: 'eth0',
          type: 'phy',
          ethernet_mac_address: 'fa:16:3e:00:00:05',
          mtu: 1450,
          vif_id: '55555555-5555-4555-8555-555555555555',
        },
      ],
      networks: [
        expect.objectContaining({ link: 'tap55555555-55', type: 'ipv6_dhcp' }),
        expect.objectContaining({ link: 'tap55555555-55', type: 'ipv4_dhcp' }),
      ],
      services: [],
    });
    expect(await text('/openstack/latest/vendor_data.json')).toBe('{}');
  });
  it('gives user data as bytes', async () => {
    for (const path of ['/latest/user-data', '/openstack/latest/user_data']) {
      expect(Buffer.from((await get(path)).body)).toEqual(instance.user_data);
    }
  });
  it('has no user data, keys or addresses of an instance without', async () => {
    const headers = headersOf('bare');
    for (const path of [
      '/latest/user-data',
      '/openstack/latest/user_data',
      '/latest/meta-data/public-keys/',
    ]) {
      expect(await get(path, headers)).toMatchObject({ status: 404 });
    }
    expect(await get('/latest/meta-data/public-ipv4', headers)).toMatchObject({ status: 200, text: '' });
    expect(await get('/latest/meta-data/hostname', headers)).toMatchObject({ text: 'host-bare' });
  });
  it.each(['/nothing', '/latest/nothing', '/latest/meta-data/mac/x', '/latest/constructor', '/__proto__/x'])(
    'answers 404 for %s',
    async (path) => {
      expect(await get(path)).toMatchObject({ status: 404 });
    },
  );
  it('pays no attention to extra slashes and the query', async () => {
    expect(await text('//latest//meta-data/instance-id/?x=/y')).toBe(instance.id);
  });
  it('believes as Nova does: 400 unidentified, 403 not signed with the secret, 404 unknown or of another tenant', async () => {
    const status = async (headers: object) => (await service({ method: 'GET', target: '/', headers })).status;
    const good = headersOf(instance.id);
    expect(await status({})).toBe(400);
    expect(await status({ ...good, 'X-Tenant-ID': undefined })).toBe(400);
    expect(await status({ ...good, 'X-Instance-ID-Signature': undefined })).toBe(403);
    expect(await status({ ...good, 'X-Instance-ID': bare.id })).toBe(403);
    expect(await status(headersOf(instance.id, 'tenant-a', 'other secret'))).toBe(403);
    expect(await status(headersOf('unknown'))).toBe(404);
    expect(await status(headersOf(instance.id, 'tenant-b'))).toBe(404);
    expect(await status(good)).toBe(200);
  });
  it('takes nothing in', async () => {
    expect(await get('/openstack/latest/password', headersOf(instance.id), 'POST')).toMatchObject({
      status: 404,
    });
  });
  it('serves an agent in the same process', async () => {
    const forwarder = createLocalForwarder(service);
    const ask = (method: string) =>
      forwarder.forward(
        { method, target: '/latest/meta-data/mac', headers: headersOf(instance.id), body: Buffer.alloc(0) },
        AbortSignal.timeout(1000),
      );
    const read = async (method: string) => {
      const answer = await ask(method);
      const chunks = await answer.body.toArray();
      return { status: answer.status, headers: answer.headers, text: Buffer.concat(chunks).toString() };
    };
    const headers = [
      ['Content-Type', 'text/plain; charset=UTF-8'],
      ['Content-Length', '17'],
    ];
    expect(await read('GET')).toEqual({ status: 200, headers, text: 'fa:16:3e:00:00:05' });
    expect(await read('HEAD')).toEqual({ status: 200, headers, text: '' });
  });
});
