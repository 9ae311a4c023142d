import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { TestBroker } from './broker.ts';
import { type Party, party, until } from './parties.ts';

const folder = mkdtempSync(join(tmpdir(), 'vdt-tls-'));
const inside = (name: string) => join(folder, name);
let broker: TestBroker;
let joined: Party | undefined;

/** A certificate signed by `ca`, or by itself. */
async function certificate(name: string, subject: string, extensions: string, ca?: string): Promise<void> {
  const openssl = (...args: string[]) => execa('openssl', args, { cwd: folder });
  const key = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-keyout',
    `${name}.key`,
  ];
  if (!ca) {
    await openssl('req', '-x509', ...key, '-out', `${name}.pem`, '-days', '2', '-subj', subject);
    return;
  }
  writeFileSync(inside(`${name}.ext`), extensions);
  await openssl('req', ...key, '-out', `${name}.csr`, '-subj', subject);
  const signing = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-extfile', `${name}.ext`];
  await openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-days', '2', '-out', `${name}.pem`);
}

beforeAll(async () => {
  await certificate('ca', '/CN=Viaduct test CA', '');
  await certificate('other', '/CN=Other CA', '');
  await certificate('server', '/CN=broker', 'subjectAltName=DNS:localhost\n', 'ca');
  await certificate('client', '/CN=agent', 'extendedKeyUsage=clientAuth\n', 'ca');
  broker = await TestBroker.start({
    conf: [
      'listeners.ssl.1 = 127.0.0.1:{tls}',
      `ssl_options.cacertfile = ${inside('ca.pem')}`,
      `ssl_options.certfile = ${inside('server.pem')}`,
      `ssl_options.keyfile = ${inside('server.key')}`,
      'ssl_options.verify = verify_peer',
      'ssl_options.fail_if_no_peer_cert = true',
    ],
  });
});
afterEach(async () => {
  await joined?.rpc.close();
});
afterAll(async () => {
  await broker?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ours = {
  ssl_ca_file: inside('ca.pem'),
  ssl_cert_file: inside('client.pem'),
  ssl_key_file: inside('client.key'),
};

function connect(host: string, options: Readonly<Record<string, unknown>>): Party {
  joined = party(`rabbit://guest:guest@${host}:${broker.tlsPort}/?ssl=1`, options);
  return joined;
}

test('a call goes over TLS, with certificates of both sides checked', async () => {
  const { rpc } = connect('localhost', { ...ours, ssl_version: 'TLSv1_2' });
  const endpoints = [{ version: '1.0', methods: { ping: () => 'pong' } }];
  await rpc.serve({ topic: 't-tls', server: 'h', endpoints }).ready(AbortSignal.timeout(60_000));
  expect(await rpc.call({ topic: 't-tls', method: 'ping', version: '1.0', timeout: 60 })).toBe('pong');
  const connections = await broker.list('connections', 'ssl', 'ssl_protocol', 'peer_cert_subject');
  expect(connections).toHaveLength(3);
  expect(connections[0]).toMatchObject({ ssl: true, ssl_protocol: 'tlsv1.2', peer_cert_subject: 'CN=agent' });
});

test.each([
  [
    'a broker whose certificate another authority signed',
    'localhost',
    { ...ours, ssl_ca_file: inside('other.pem') },
  ],
  ['a broker whose certificate has another name', '127.0.0.1', ours],
  ['a broker whose authority this machine does not know', 'localhost', { ...ours, ssl_ca_file: '' }],
])('%s is not talked to, and the log says why', async (_, host, options) => {
  const { rpc, lines } = connect(host, options);
  await until('the line', 60, () =>
    lines.some((line) =>
      /cannot reach .*(self-signed|unable to verify|unable to get|altnames|signature)/.test(line),
    ),
  );
  expect(rpc.health().connected).toBe(false);
});

test('the name of the broker does not count when ssl_enforce_hostname_verification is off', async () => {
  const { rpc } = connect('127.0.0.1', { ...ours, ssl_enforce_hostname_verification: false });
  await until('connected', 60, () => rpc.health().connected);
});

test('a file that is missing is named', async () => {
  const { lines } = connect('localhost', { ...ours, ssl_key_file: inside('missing.key') });
  await until('the line', 60, () =>
    lines.some((line) => /ssl_key_file = .*missing\.key cannot be read/.test(line)),
  );
});
