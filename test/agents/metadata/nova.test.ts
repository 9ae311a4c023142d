import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Forwarder, UnreachableError } from '../../../agents/metadata/forwarder.ts';
import { createNovaForwarder } from '../../../agents/metadata/nova.ts';
import { parseMetadataOptions } from '../../../agents/metadata/options.ts';
import { signInstanceId } from '../../../agents/metadata/signature.ts';
import { type NovaStub, startNova } from './nova-stub.ts';

const request = {
  method: 'GET',
  target: '/',
  headers: {
    'X-Forwarded-For': '10.0.0.5',
    'X-Instance-ID': 'i',
    'X-Tenant-ID': 't',
    'X-Instance-ID-Signature': signInstanceId('s', 'i'),
  },
  body: Buffer.alloc(0),
};

describe('Nova over TLS', () => {
  let directory: string;
  let nova: NovaStub;
  let forwarder: Forwarder | undefined;
  let clientNames: (string | undefined)[];
  const path = (name: string) => join(directory, name);

  /** A self-signed certificate is its own authority. */
  const certificate = (name: string): void => {
    const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
    const files = ['-keyout', path(`${name}.key`), '-out', path(`${name}.pem`)];
    const kind = [
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ];
    execFileSync('openssl', ['req', ...kind, ...subject, ...files], { stdio: 'pipe' });
  };
  const ask = async (options: object): Promise<number> => {
    const values = { nova_metadata_protocol: 'https', nova_metadata_port: nova.port, ...options };
    forwarder = createNovaForwarder(parseMetadataOptions(values));
    const answer = await forwarder.forward(request, AbortSignal.timeout(5000));
    answer.body.resume();
    return answer.status;
  };

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'vdt-metadata-'));
    for (const name of ['server', 'client', 'stranger']) certificate(name);
    const server = https.createServer({
      key: readFileSync(path('server.key')),
      cert: readFileSync(path('server.pem')),
      ca: readFileSync(path('client.pem')),
      requestCert: true,
      rejectUnauthorized: false,
    });
    nova = await startNova('s', server);
    nova.respond = (_, response) => {
      const socket = response.socket as TLSSocket;
      const name = socket.getPeerCertificate().subject?.CN;
      clientNames.push(socket.authorized ? String(name) : undefined);
      response.end();
    };
  });
  afterEach(() => forwarder?.close());
  afterAll(async () => {
    await nova.close();
    rmSync(directory, { recursive: true });
  });

  it('is believed with auth_ca_cert, and is shown the client certificate', async () => {
    clientNames = [];
    expect(await ask({ auth_ca_cert: path('server.pem') })).toBe(200);
    const client = { nova_client_cert: path('client.pem'), nova_client_priv_key: path('client.key') };
    expect(await ask({ auth_ca_cert: path('server.pem'), ...client })).toBe(200);
    expect(await ask({ auth_ca_cert: path('server.pem'), nova_client_cert: path('client.pem') })).toBe(200);
    expect(clientNames).toEqual([undefined, 'client', undefined]);
  });
  it('of an unknown authority is not believed, unless insecure', async () => {
    clientNames = [];
    await expect(ask({})).rejects.toThrow(UnreachableError);
    await expect(ask({ auth_ca_cert: path('stranger.pem') })).rejects.toThrow(/SELF_SIGNED|UNABLE_TO_VERIFY/);
    expect(clientNames).toEqual([]);
    const insecure = { nova_metadata_insecure: true, auth_ca_cert: path('stranger.pem') };
    expect(await ask(insecure)).toBe(200);
  });
  it('with a file that can not be read is refused at the start, naming the option', () => {
    const options = { nova_metadata_protocol: 'https', auth_ca_cert: path('missing.pem') };
    expect(() => createNovaForwarder(parseMetadataOptions(options))).toThrow(
      /auth_ca_cert.*missing\.pem.*ENOENT/,
    );
  });
});
