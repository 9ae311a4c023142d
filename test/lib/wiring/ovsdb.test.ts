import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { JsonStream } from '../../../lib/wiring/json-stream.ts';
import { OvsdbClient, type OvsdbSettings, parseRemote } from '../../../lib/wiring/ovsdb.ts';

interface Request {
  readonly method?: string;
  readonly params?: unknown[];
  readonly id?: unknown;
  readonly result?: unknown;
}

const backoff = { first: 10, longest: 50, factor: 2, jitter: 0 };
let directory: string;
let path: string;
let server: Server;
let sockets: Socket[];
let answer: (request: Request, socket: Socket) => void;
let client: OvsdbClient;
const reply = (socket: Socket, id: unknown, result: unknown, error: unknown = null): void =>
  void socket.write(JSON.stringify({ id, result, error }));

async function listen(): Promise<void> {
  server = createServer((socket) => {
    sockets.push(socket);
    const stream = new JsonStream();
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      for (const request of stream.push(piece)) answer(request as Request, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
}

async function shut(): Promise<void> {
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
}

/** A client, connected. */
async function connect(settings: Partial<OvsdbSettings> = {}): Promise<OvsdbClient> {
  await new Promise<void>((resolve) => {
    const { onConnect, ...rest } = settings;
    client = new OvsdbClient({
      remotes: [`unix:${path}`],
      timeoutMs: 1_000,
      backoff,
      onConnect: async () => {
        await onConnect?.();
        resolve();
      },
      ...rest,
    });
  });
  return client;
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'vdt-ovsdb-'));
  path = join(directory, 'db.sock');
  sockets = [];
  answer = ({ id, method, params }, socket) => reply(socket, id, [method, params]);
  await listen();
});

afterEach(async () => {
  client.close();
  await shut();
  rmSync(directory, { recursive: true, force: true });
});

describe('the OVSDB client', () => {
  it('asks, and gets each answer to its question, in whatever order they come', async () => {
    const held: (() => void)[] = [];
    answer = ({ id, params }, socket) => {
      held.unshift(() => reply(socket, id, params));
      if (held.length === 3) for (const send of held) send();
    };
    await connect();
    expect(await Promise.all([1, 2, 3].map((n) => client.request('echo', [n])))).toEqual([[1], [2], [3]]);
  });

  it("answers the server's echo", async () => {
    const heard: Request[] = [];
    answer = (request) => heard.push(request);
    await connect();
    sockets[0]!.write('{"method":"echo","params":["x"],"id":"echo"}');
    await vi.waitFor(() => expect(heard).not.toEqual([]));
    expect(heard).toEqual([{ id: 'echo', result: ['x'], error: null }]);
  });

  it('passes notifications on', async () => {
    const told: unknown[] = [];
    await connect({ onNotification: (method, params) => told.push([method, params]) });
    sockets[0]!.write(
      '{"method":"update","params":[1,{"Port":{}}],"id":null}{"method":"locked","params":[],"id":null}',
    );
    await vi.waitFor(() => expect(told).toHaveLength(2));
    expect(told).toEqual([
      ['update', [1, { Port: {} }]],
      ['locked', []],
    ]);
  });

  it("rejects a refused transaction with the server's words, even if only the commit was refused", async () => {
    const refusal = { error: 'constraint violation', details: 'Transaction causes multiple rows in "Port"' };
    answer = ({ id }, socket) => reply(socket, id, [{ uuid: ['uuid', 'x'] }, null, refusal]);
    await connect();
    await expect(client.transact('Open_vSwitch', [{}, {}])).rejects.toMatchObject({
      refusal: 'constraint violation',
      message: 'Open vSwitch database: constraint violation: Transaction causes multiple rows in "Port"',
    });
  });

  it('gives up a request after ovsdb_timeout', async () => {
    answer = () => undefined;
    await connect({ timeoutMs: 100 });
    await expect(client.request('transact', [])).rejects.toThrow(/gave no answer to transact in 0.1 s/);
  });

  it('fails what was asked when the connection breaks, connects again and says so', async () => {
    let connections = 0;
    const lost: string[] = [];
    answer = () => undefined;
    await connect({
      onConnect: async () => void connections++,
      onDisconnect: (reason) => lost.push(reason),
    });
    const asked = client.request('monitor', []);
    sockets[0]!.destroy();
    await expect(asked).rejects.toThrow(/the server closed the connection|ECONNRESET/);
    await vi.waitFor(() => expect(connections).toBe(2), 5_000);
    expect(lost).toHaveLength(1);
  });

  it('waits for a server that is away', async () => {
    let connections = 0;
    await connect({ onConnect: async () => void connections++ });
    await shut();
    await delay(200);
    await expect(client.request('echo', [])).rejects.toThrow(/is not connected/);
    await listen();
    await vi.waitFor(() => expect(connections).toBe(2), 5_000);
    expect(await client.request('echo', ['again'])).toEqual(['echo', ['again']]);
  });

  it('drops a peer that does not speak JSON, and one that refuses the session', async () => {
    let connections = 0;
    const lost: string[] = [];
    await connect({
      onConnect: async () => {
        connections += 1;
        if (connections === 2) throw new Error('no such table');
      },
      onDisconnect: (reason) => lost.push(reason),
    });
    sockets[0]!.write('HTTP/1.1 400 Bad Request');
    await vi.waitFor(() => expect(connections).toBe(3), 5_000);
    expect(lost).toEqual([
      expect.stringContaining('outside any JSON text'),
      expect.stringContaining('no such table'),
    ]);
  });

  it('takes the first remote that answers', async () => {
    await connect({ remotes: [`unix:${directory}/nobody.sock`, `unix:${path}`] });
    expect(client.remote).toBe(`unix:${path}`);
  });
});

describe('ovsdb_connection', () => {
  beforeEach(() => connect());

  it.each([
    ['unix:/run/openvswitch/db.sock', { path: '/run/openvswitch/db.sock' }],
    ['tcp:127.0.0.1:6640', { host: '127.0.0.1', port: 6640, secure: false }],
    ['tcp:[::1]:6640', { host: '::1', port: 6640, secure: false }],
    ['ssl:ovs.example:6640', { host: 'ovs.example', port: 6640, secure: true }],
  ])('%s', (remote, parsed) => {
    expect(parseRemote(remote)).toEqual(parsed);
  });

  it.each(['', 'tcp:127.0.0.1', 'tcp:127.0.0.1:0', 'tcp:127.0.0.1:65536', 'punix:/x', 'db.sock'])(
    '%j is refused by name',
    (remote) => {
      expect(() => parseRemote(remote)).toThrow(`ovsdb_connection: "${remote}" is not unix:<path>`);
    },
  );

  it('"ssl:" without the three files is refused', () => {
    expect(
      () => new OvsdbClient({ remotes: ['ssl:a:1'], timeoutMs: 1, onConnect: async () => undefined }),
    ).toThrow(/ssl_key_file/);
  });
});
