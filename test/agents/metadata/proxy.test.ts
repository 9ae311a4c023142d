import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLookup } from '../../../agents/metadata/lookup.ts';
import { createNovaForwarder } from '../../../agents/metadata/nova.ts';
import { parseMetadataOptions } from '../../../agents/metadata/options.ts';
import { createProxy, type MetadataProxy } from '../../../agents/metadata/proxy.ts';
import { signInstanceId } from '../../../agents/metadata/signature.ts';
import type { MetadataIdentity, MetadataPort } from '../../../lib/model/source.ts';
import { type NovaStub, startNova } from './nova-stub.ts';

const SECRET = 'not-for-logs';
const INSTANCE = '8a5d3f2c-0000-4000-8000-000000000001';
const IDENTITY: MetadataIdentity = { router: '11111111-1111-4111-8111-111111111111' };

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

let nova: NovaStub;
let proxy: MetadataProxy;
let port: number;
let asked: { identity: MetadataIdentity; address: string }[];
let portOf: () => Promise<MetadataPort[]>;
let logged: string[];
let cleanups: (() => unknown)[];

/** A listener on 127.0.0.1 whose connections pretend to come from an instance. */
async function startProxy(
  settings: { remoteAddress?: string; novaPort?: number; timeouts?: object; secret?: string } = {},
): Promise<void> {
  const forwarder = createNovaForwarder(
    parseMetadataOptions({ nova_metadata_port: settings.novaPort ?? nova.port }),
  );
  const log = (fields: object, message: string) => void logged.push(`${message} ${JSON.stringify(fields)}`);
  proxy = createProxy({
    lookup: createLookup({
      portOf(identity, address) {
        asked.push({ identity, address });
        return portOf();
      },
    }),
    forwarder,
    secret: settings.secret ?? SECRET,
    timeouts: { request: 2000, keepAlive: 2000, body: 2000, answer: 2000, ...settings.timeouts },
    logger: { debug: log, info: log, warn: log },
  });
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    proxy.accept(
      socket,
      { ns: 'qrouter-x', identity: () => IDENTITY },
      settings.remoteAddress ?? '::ffff:10.0.0.5',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    forwarder.close();
  });
}

/** One request by node:http on a connection of its own. */
const ask = (path: string, options: http.RequestOptions = {}, body?: string | Buffer): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, agent: false, ...options }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks),
        }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });

/** Bytes as they are; everything that comes back until the connection ends. */
const raw = (bytes: string | Buffer): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
    cleanups.push(() => socket.destroy());
  });

const statusOf = (text: string) => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);

beforeEach(async () => {
  cleanups = [];
  asked = [];
  logged = [];
  portOf = async () => [{ device_id: INSTANCE, project_id: 'tenant-a' }];
  nova = await startNova(SECRET);
});
afterEach(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  await nova.close();
});

describe('a metadata request', () => {
  it('reaches Nova signed, with the four headers and no others of the instance', async () => {
    await startProxy();
    const answer = await ask('/latest/meta-data/instance-id?a=%2F', {
      headers: {
        'User-Agent': 'curl',
        Cookie: 'a=b',
        Accept: '*/*',
        'Accept-Encoding': 'gzip',
        Host: 'evil',
      },
    });
    expect(answer).toMatchObject({ status: 200, body: Buffer.from(INSTANCE) });
    const [seen] = nova.seen;
    expect(seen).toMatchObject({ method: 'GET', url: '/latest/meta-data/instance-id?a=%2F' });
    expect(seen?.headers).toEqual({
      host: `127.0.0.1:${nova.port}`,
      connection: 'keep-alive',
      'x-forwarded-for': '::ffff:10.0.0.5',
      'x-instance-id': INSTANCE,
      'x-tenant-id': 'tenant-a',
      'x-instance-id-signature': signInstanceId(SECRET, INSTANCE),
    });
    expect(asked).toEqual([{ identity: IDENTITY, address: '10.0.0.5' }]);
  });

  it("can not choose its identity: forged headers don't matter", async () => {
    await startProxy();
    const forged = {
      'X-Forwarded-For': '10.0.0.99',
      'X-Neutron-Router-ID': 'another-router',
      'X-Neutron-Network-ID': 'another-network',
      'X-Instance-ID': 'another-instance',
      'X-Tenant-ID': 'another-tenant',
      'X-Instance-ID-Signature': signInstanceId(SECRET, 'another-instance'),
      Connection: 'X-Instance-ID, close',
    };
    expect(await ask('/', { headers: forged })).toMatchObject({ status: 200 });
    expect(asked).toEqual([{ identity: IDENTITY, address: '10.0.0.5' }]);
    expect(JSON.stringify(nova.seen)).not.toMatch(/another|10\.0\.0\.99/);
    const names = nova.seen[0]!.rawHeaders.filter((_, i) => i % 2 === 0);
    expect(new Set(names).size).toBe(names.length);
  });

  it('of many uses one connection to Nova', async () => {
    await startProxy();
    for (let i = 0; i < 20; i += 1) expect((await ask(`/${i}`)).status).toBe(200);
    expect(nova.connections()).toBe(1);
  });

  it('survives that Nova closed the kept connection', async () => {
    await startProxy();
    await ask('/one');
    nova.respond = (_, response) => {
      // Closes without an answer, as a server does whose keep-alive time ran out at that moment.
      nova.respond = (_again, second) => second.end('again');
      response.socket?.destroy();
    };
    expect(await ask('/two')).toMatchObject({ status: 200, body: Buffer.from('again') });
    expect(nova.seen.map((one) => one.url)).toEqual(['/one', '/two', '/two']);
  });

  it('that changes something is never sent twice', async () => {
    await startProxy();
    await ask('/one');
    nova.respond = (_, response) => void response.socket?.destroy();
    expect(await ask('/password', { method: 'POST' }, 'secret')).toMatchObject({ status: 503 });
    expect(nova.seen.map((one) => one.url)).toEqual(['/one', '/password']);
  });

  it('brings its body along, whichever way it is framed', async () => {
    await startProxy();
    await ask('/openstack/latest/password', { method: 'POST' }, 'c2VjcmV0');
    await ask('/', { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } }, 'chunks');
    expect(nova.seen.map(({ body, headers }) => [String(body), headers['content-length']])).toEqual([
      ['c2VjcmV0', '8'],
      ['chunks', '6'],
    ]);
  });

  it('HEAD gets headers only', async () => {
    await startProxy();
    nova.respond = (_, response) => response.writeHead(200, { 'Content-Length': 36 }).end();
    const answer = await ask('/', { method: 'HEAD' });
    expect(answer.headers['content-length']).toBe('36');
    expect(answer.body).toHaveLength(0);
  });

  it('gets gzipped user-data byte by byte', async () => {
    await startProxy();
    const zipped = gzipSync(Buffer.from('#!/bin/sh\n'.repeat(5000)));
    nova.respond = (_, response) =>
      response.writeHead(200, { 'Content-Type': 'application/octet-stream' }).end(zipped);
    const answer = await ask('/latest/user-data');
    expect(answer.body.equals(zipped)).toBe(true);
    expect(answer.headers['content-encoding']).toBeUndefined();
  });

  it('gets a large answer whole, and an empty one ended', async () => {
    await startProxy();
    const large = Buffer.alloc(3_000_000, 'x');
    nova.respond = (_, response) => response.end(large);
    expect((await ask('/')).body.equals(large)).toBe(true);
    nova.respond = (_, response) => response.end();
    expect(await ask('/')).toMatchObject({ status: 200, body: Buffer.alloc(0) });
  });

  it("gets Nova's headers less those of the connection", async () => {
    await startProxy();
    nova.respond = (_, response) =>
      response
        .writeHead(200, [
          'ETag',
          '"1"',
          'X-Hop',
          'mine',
          'Connection',
          'X-Hop, keep-alive',
          'Via',
          'a',
          'Via',
          'b',
        ])
        .end('ok');
    const { headers } = await ask('/');
    expect(headers).toMatchObject({ etag: '"1"', via: 'a, b' });
    expect(headers).not.toHaveProperty('x-hop');
  });
});

describe('the target of a request', () => {
  const seenFor = async (target: string) => {
    const text = await raw(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    return { status: statusOf(text), url: nova.seen[0]?.url };
  };
  it.each(['/a/../b/%2e%2e/./c//d?x=%2F&y=/../?#z', '//evil.example/latest', '/\\evil', '/%00', '/%C3%BC'])(
    '%s is passed as it is',
    async (target) => {
      await startProxy();
      expect(await seenFor(target)).toEqual({ status: 200, url: target });
    },
  );
  it.each([
    ['http://evil.example:99/latest?x', '/latest?x'],
    ['http://169.254.169.254', '/'],
    ['HTTP://evil?x', '/?x'],
  ])('%s loses its host', async (target, url) => {
    await startProxy();
    expect(await seenFor(target)).toEqual({ status: 200, url });
  });
  it.each(['*', 'ftp://evil/x', 'latest', '/ü', '/\x7f'])('%s is refused', async (target) => {
    await startProxy();
    expect(await seenFor(target)).toEqual({ status: 400, url: undefined });
  });
});

describe('the answer is', () => {
  it.each([
    [200, 200],
    [201, 500],
    [302, 500],
    [400, 400],
    [401, 500],
    [403, 403],
    [404, 404],
    [409, 409],
    [418, 500],
    [429, 500],
    [500, 500],
    [502, 502],
    [503, 503],
    [504, 504],
  ])('for %d of Nova: %d', async (given, seen) => {
    await startProxy();
    nova.respond = (_, response) => response.writeHead(given, { Location: 'http://evil/' }).end('from nova');
    const { status, body } = await ask('/');
    expect(status).toBe(seen);
    if (seen !== 200) expect(String(body)).toMatch(/^<html>.*<h1>\d+ /);
    expect(nova.seen).toHaveLength(1);
    expect(proxy.state().answers).toEqual({ [seen]: 1 });
  });

  it('403 when the secrets differ, and the log says what to do without telling them', async () => {
    await startProxy({ secret: 'the wrong one' });
    expect((await ask('/')).status).toBe(403);
    expect(logged.join('\n')).toMatch(/metadata_proxy_shared_secret/);
    expect(logged.join('\n')).not.toMatch(/wrong one|not-for-logs/);
  });

  it.each([
    ['no port has the address', []],
    ['two ports have it', [1, 2].map((i) => ({ device_id: `i${i}`, project_id: 'p' }))],
    ['the port belongs to no device', [{ device_id: '', project_id: 'p' }]],
  ])('404 when %s', async (_title, ports) => {
    await startProxy();
    portOf = async () => ports;
    expect((await ask('/')).status).toBe(404);
    expect(nova.seen).toEqual([]);
  });

  it('500 when the look-up fails or takes too long', async () => {
    await startProxy({ timeouts: { answer: 100 } });
    portOf = () => Promise.reject(new Error('no broker'));
    expect((await ask('/')).status).toBe(500);
    portOf = () => {
      throw new Error('thrown, not rejected');
    };
    expect((await ask('/')).status).toBe(500);
    portOf = () => new Promise(() => {});
    expect((await ask('/')).status).toBe(500);
  });

  it('500 when an instance id can not be a header', async () => {
    await startProxy();
    portOf = async () => [{ device_id: 'a\r\nX-Tenant-ID: b', project_id: 'p' }];
    expect((await ask('/')).status).toBe(500);
    expect(nova.seen).toEqual([]);
  });

  it('503 when Nova is down, and 200 once it is back', async () => {
    await startProxy();
    const { port: novaPort } = nova;
    await nova.close();
    const answer = await ask('/');
    expect(answer.status).toBe(503);
    expect(String(answer.body)).toContain('503 Service Unavailable');
    const back = http.createServer((_, response) => response.end('back'));
    await new Promise<void>((resolve) => back.listen(novaPort, '127.0.0.1', resolve));
    cleanups.push(
      () => void back.close(),
      () => back.closeAllConnections(),
    );
    expect((await ask('/')).status).toBe(200);
  });

  it('504 when Nova does not answer in time', async () => {
    await startProxy({ timeouts: { answer: 100 } });
    nova.respond = () => {};
    expect((await ask('/')).status).toBe(504);
  });

  it('cut off, not ended, when Nova breaks off in the middle', async () => {
    await startProxy();
    nova.respond = (_, response) => {
      response.writeHead(200, { 'Content-Length': 100 });
      response.write('half');
      setTimeout(() => response.socket?.destroy(), 20);
    };
    await expect(ask('/')).rejects.toThrow(/aborted|hang up/);
  });
});

describe('an instance', () => {
  it('may keep its connection and pipeline: answers come in order, one request at a time', async () => {
    await startProxy();
    let running = 0;
    let most = 0;
    nova.respond = (request, response) => {
      running += 1;
      most = Math.max(most, running);
      setTimeout(
        () => {
          running -= 1;
          response.end(request.url);
        },
        request.url === '/1' ? 50 : 1,
      );
    };
    const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;
    const text = await raw(get('/1') + get('/2') + get('/3', 'Connection: close\r\n'));
    expect(text.match(/^\/\d/gm)).toEqual(['/1', '/2', '/3']);
    expect(most).toBe(1);
  });

  it('that pipelines without end is cut off', async () => {
    await startProxy();
    nova.respond = () => {};
    expect(await raw('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(100))).toBe('');
    expect(nova.seen.length).toBeLessThanOrEqual(1);
  });

  it('may speak HTTP/1.0 and leave Host out', async () => {
    await startProxy();
    expect(await raw('GET / HTTP/1.0\r\n\r\n')).toMatch(new RegExp(`^HTTP/1.1 200[^]*${INSTANCE}$`));
    expect(statusOf(await raw('GET / HTTP/1.1\r\nConnection: close\r\n\r\n'))).toBe(200);
  });

  it('with headers too large gets 431', async () => {
    await startProxy();
    const request = `GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${'x'.repeat(20_000)}\r\n\r\n`;
    expect(statusOf(await raw(request))).toBe(431);
  });

  it('with a body too large gets 413, announced or not', async () => {
    await startProxy();
    expect(statusOf(await raw('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n'))).toBe(413);
    const chunk = `${(70_000).toString(16)}\r\n${'x'.repeat(70_000)}\r\n`;
    const chunked = `POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`;
    expect(statusOf(await raw(chunked))).toBe(413);
    expect(nova.seen).toEqual([]);
  });

  it('that never ends its headers is cut off; with its body it gets 408', async () => {
    await startProxy({ timeouts: { request: 150, body: 150 } });
    expect(await raw('GET / HTTP/1.1\r\nHos')).toBe('');
    expect(await raw('')).toBe('');
    expect(statusOf(await raw('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc'))).toBe(408);
    const second = await raw(`GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHos`);
    expect(statusOf(second)).toBe(200);
    expect(nova.seen).toHaveLength(1);
  });

  it.each([
    'nonsense\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01',
    'GET  / HTTP/1.1\r\nA\r\n\r\n',
  ])('that speaks something else (%j) gets 400', async (bytes) => {
    await startProxy();
    expect(statusOf(await raw(bytes))).toBe(400);
    expect(nova.seen).toEqual([]);
  });

  it('can not smuggle a second request past the first', async () => {
    await startProxy();
    const both =
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
    expect(statusOf(await raw(both))).toBe(400);
    expect(nova.seen).toEqual([]);
  });

  it('gets no tunnel and no echo', async () => {
    await startProxy();
    expect(await raw('CONNECT evil:443 HTTP/1.1\r\nHost: x\r\n\r\n')).not.toContain('200');
    expect(statusOf(await raw('TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'))).toBe(405);
    const upgrade = 'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n';
    expect(statusOf(await raw(upgrade))).toBe(200);
    expect(nova.seen.map((one) => one.headers.upgrade)).toEqual([undefined]);
  });

  it('that leaves ends its request to Nova', async () => {
    await startProxy();
    const closed = new Promise<void>((resolve) => {
      nova.respond = (_, response) => response.once('close', resolve);
    });
    const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'));
    while (nova.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    socket.destroy();
    await closed;
  });

  it("can not fill the host's log", async () => {
    await startProxy();
    await nova.close();
    for (let i = 0; i < 20; i += 1) await ask('/');
    expect(logged.filter((line) => line.includes('can not be reached'))).toHaveLength(1);
  });
});
