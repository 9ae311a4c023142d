import { execFile } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createListeners, type Listeners } from '../../agents/metadata/listeners.ts';
import { Predecessors } from '../../agents/metadata/predecessors.ts';
import {
  createNamespace,
  deleteNamespace,
  inNamespace,
  NETNS_DIRECTORY,
  namespaceExists,
  namespaceInode,
} from '../../lib/kernel/netns.ts';
import { readPidFile, readProcess, runIn } from '../../lib/kernel/process.ts';
import { listenTcp } from '../../lib/kernel/socket.ts';
import { neutronPaths } from '../../lib/neutron/leftovers.ts';

const ID = '00000000-0000-4000-8000-0000000dd0e1';
const NS = `qrouter-${ID}`;
const ELSEWHERE = 'qrouter-vdt-elsewhere';
const PORT = 9697;
const run = promisify(execFile);
const logger = { debug() {}, info() {}, warn() {} };

/** As Neutron's agent writes it (21.0), less what syslog and users need. */
const configuration = (pidFile: string, socket: string): string => `
global
    maxconn     1024
    pidfile     ${pidFile}
    daemon
defaults
    mode http
    option http-server-close
    retries                 3
    timeout http-request    30s
    timeout connect         30s
    timeout client          32s
    timeout server          32s
    timeout http-keep-alive 30s
listen listener
    bind :::${PORT}
    server metadata ${socket}
`;

describe('the haproxy of Neutron’s agent in a namespace', () => {
  let directory: string;
  let pidFile: string;
  let upstream: http.Server;
  let listeners: Listeners | undefined;

  const paths = () => neutronPaths({ DEFAULT: { state_path: directory } });
  const haproxy = () => {
    const pid = readPidFile(pidFile);
    return pid === undefined ? undefined : readProcess(pid);
  };
  const startHaproxy = async (ns: string) => {
    const file = join(directory, `ns-metadata-proxy/${ID}.conf`);
    fs.writeFileSync(file, configuration(pidFile, join(directory, 'metadata_proxy')));
    expect(await runIn(ns, ['haproxy', '-f', file])).toMatchObject({ ok: true });
    return await vi.waitFor(() => {
      const found = haproxy();
      expect(found).toBeDefined();
      return found!;
    });
  };
  const takeOver = () => {
    const predecessors = new Predecessors(paths(), logger);
    listeners = createListeners({
      kernel: { directory: NETNS_DIRECTORY, namespaceInode, listenTcp, inNamespace },
      backlog: 128,
      accept: (socket) => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nnew'),
      served: (opened) => predecessors.retire(opened),
      logger,
    });
    const identity = { router: ID };
    listeners.want([{ key: `${NS}|::`, ns: NS, address: '::', port: PORT, identity }]);
  };
  const ask = async (): Promise<string> => {
    const url = `http://127.0.0.1:${PORT}/`;
    const { stdout } = await run('ip', ['netns', 'exec', NS, 'curl', '-s', '-S', '-m', '10', url]);
    return stdout;
  };

  beforeEach(async () => {
    directory = fs.mkdtempSync(join(tmpdir(), 'vdt-proxy-'));
    pidFile = join(directory, `external/pids/${ID}.pid.haproxy`);
    fs.mkdirSync(join(directory, 'external/pids'), { recursive: true });
    fs.mkdirSync(join(directory, 'ns-metadata-proxy'));
    upstream = http.createServer((_request, response) => response.end('old'));
    await new Promise<void>((resolve) => upstream.listen(join(directory, 'metadata_proxy'), resolve));
    for (const ns of [NS, ELSEWHERE]) {
      createNamespace(ns);
      await run('ip', ['-n', ns, 'link', 'set', 'lo', 'up']);
    }
  });
  afterEach(async () => {
    const left = haproxy();
    if (left) process.kill(left.pid, 'SIGKILL');
    listeners?.close();
    upstream.close();
    for (const ns of [NS, ELSEWHERE]) if (namespaceExists(ns)) deleteNamespace(ns);
    fs.rmSync(directory, { recursive: true });
  });

  test('ends once we listen, with its files; no request fails meanwhile', async () => {
    const old = await startHaproxy(NS);
    const answers: string[] = [];
    let asking = true;
    const stream = (async () => {
      while (asking) answers.push(await ask());
    })();
    await vi.waitFor(() => expect(answers.length).toBeGreaterThan(3), 10_000);
    takeOver();
    await vi.waitFor(() => expect(readProcess(old.pid)).toBeUndefined(), 40_000);
    await vi.waitFor(() => expect(answers.slice(-3)).toEqual(['new', 'new', 'new']), 10_000);
    asking = false;
    await stream;
    expect(new Set(answers)).toEqual(new Set(['old', 'new']));
    expect(fs.readdirSync(join(directory, 'external/pids'))).toEqual([]);
    expect(fs.readdirSync(join(directory, 'ns-metadata-proxy'))).toEqual([]);
  });

  test('answers what it was asked before it ends', async () => {
    const old = await startHaproxy(NS);
    let answer: (() => void) | undefined;
    upstream.removeAllListeners('request');
    upstream.on('request', (_request, response) => {
      answer = () => response.end('late');
    });
    const slow = ask();
    await vi.waitFor(() => expect(answer).toBeDefined(), 5_000);
    takeOver();
    expect(await ask()).toBe('new');
    answer?.();
    expect(await slow).toBe('late');
    await vi.waitFor(() => expect(readProcess(old.pid)).toBeUndefined(), 40_000);
  });

  test('is left alone if it runs in another namespace than its pid file says', async () => {
    const other = await startHaproxy(ELSEWHERE);
    takeOver();
    expect(await ask()).toBe('new');
    expect(readProcess(other.pid)?.startTime).toBe(other.startTime);
    expect(fs.existsSync(pidFile)).toBe(true);
  });

  test('may be started beside us: whoever takes over from us opens first, too', async () => {
    takeOver();
    expect(await ask()).toBe('new');
    await startHaproxy(NS);
    listeners?.close();
    await vi.waitFor(async () => expect(await ask()).toBe('old'), 5_000);
  });
});
