import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { counters } from '../../lib/kernel/counters.ts';
import { deleteNamespace, listNamespaces, namespaceInode } from '../../lib/kernel/netns.ts';
import { readProcess } from '../../lib/kernel/process.ts';
import { Reconciler, type ReconcilerSettings } from '../../lib/namespace/reconciler.ts';
import * as rows from '../../lib/namespace/rows.ts';

const NS = 'qdhcp-vdt-daemon';
const ID = 'vdt-daemon-0001';
const OWNER = 'vdt-daemon';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const gone = (pid: number) => vi.waitFor(() => expect(readProcess(pid)).toBeUndefined(), 2_000);

describe('a daemon', () => {
  let directory: string;
  let reconcilers: Reconciler[];

  const pidFile = () => join(directory, 'pid');
  const pid = () => Number(fs.readFileSync(pidFile(), 'utf8'));
  const signals = () => fs.readFileSync(join(directory, 'signals'), 'utf8').trim().split('\n');

  /** dnsmasq as the DHCP agent would have it, but serving nothing. */
  const dnsmasq = (...more: string[]) =>
    rows.daemon({
      ns: NS,
      service: 'dnsmasq',
      id: ID,
      argv: [
        'dnsmasq',
        '--conf-file=/dev/null',
        '--port=0',
        `--pid-file=${pidFile()}`,
        `--dhcp-leasefile=${directory}/${ID}.leases`,
        ...more,
      ],
      pidFile: pidFile(),
    });

  /** A program in the foreground that writes down its signals. */
  const script = (onTerm = 'exit 0') =>
    rows.daemon({
      ns: NS,
      service: 'script',
      id: ID,
      daemonizes: false,
      argv: [
        '/bin/sh',
        '-c',
        `trap 'echo HUP >> ${directory}/signals' HUP; trap '${onTerm}' TERM; echo start >> ${directory}/signals; while :; do sleep 0.05; done`,
        ID,
      ],
      pidFile: pidFile(),
    });

  function started(settings: ReconcilerSettings = {}): Reconciler {
    const reconciler = new Reconciler({ announce: false, ...settings });
    reconcilers.push(reconciler);
    return reconciler;
  }

  async function build(reconciler: Reconciler, ...more: rows.Row[]): Promise<void> {
    reconciler.setDesired(OWNER, [[rows.netns(NS)], more]);
    expect((await reconciler.reconcile(OWNER)).failures).toEqual([]);
  }

  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'vdt-daemon-'));
    reconcilers = [];
  });

  afterEach(async () => {
    for (const reconciler of reconcilers) await reconciler.close();
    // Whoever has our directory in its arguments is one of ours, adopted or forgotten.
    for (const name of fs.readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
      const state = readProcess(Number(name));
      if (state?.argv.some((arg) => arg.includes(directory))) process.kill(state.pid, 'SIGKILL');
    }
    for (const ns of listNamespaces().filter((name) => name === NS)) deleteNamespace(ns);
    fs.rmSync(directory, { recursive: true, force: true });
  });

  test('starts inside its namespace and is adopted by the next process as it is', async () => {
    await build(started(), dnsmasq());
    const first = pid();
    expect(readProcess(first)?.netns).toBe(namespaceInode(NS));
    await reconcilers[0]!.close();
    const before = { ...counters };
    const next = started();
    await build(next, dnsmasq());
    expect(next.plan(OWNER)).toEqual([]);
    expect(counters).toEqual(before);
    expect(pid()).toBe(first);
  });

  test('that was killed comes back within two seconds', async () => {
    await build(started({ heal: true }), dnsmasq());
    const first = pid();
    process.kill(first, 'SIGKILL');
    await vi.waitFor(() => {
      expect(pid()).not.toBe(first);
      expect(readProcess(pid())?.netns).toBe(namespaceInode(NS));
    }, 2_000);
  });

  test('that was stopped has given back its ports: the next one gets them', async () => {
    const reconciler = started();
    fs.mkdirSync(join(directory, 'hosts'));
    // Giving up an inotify instance takes the kernel a moment, in which ports are still held.
    const listening = (round: number): rows.Row => {
      const row = dnsmasq(`--dhcp-hostsdir=${directory}/hosts`, `--domain=d${round}`);
      return { ...row, argv: row.argv.map((each) => each.replace('--port=0', '--port=5300')) };
    };
    for (let round = 0; round < 40; round++) await build(reconciler, listening(round));
    expect(readProcess(pid())?.argv).toContain('--domain=d39');
  });

  test('that was adopted is watched too', async () => {
    await build(started(), dnsmasq());
    const first = pid();
    await reconcilers[0]!.close();
    await build(started({ heal: true }), dnsmasq());
    process.kill(first, 'SIGKILL');
    await vi.waitFor(() => expect(pid()).not.toBe(first), 2_000);
  });

  test('that keeps dying is started again and again, each time later', async () => {
    const starts = () => (fs.existsSync(join(directory, 'signals')) ? signals().length : 0);
    const told: string[] = [];
    const dying = rows.daemon({
      ...script(),
      argv: ['/bin/sh', '-c', `echo start >> ${directory}/signals`, ID],
    });
    await build(started({ heal: true, onError: (message) => told.push(message) }), dying);
    await vi.waitFor(() => expect(starts()).toBe(1), 10_000);
    const began = performance.now();
    // At 0, 0.5, 1.5 and 3.5 s, less up to a quarter; a busy machine only adds to it.
    await vi.waitFor(() => expect(starts()).toBeGreaterThanOrEqual(4), 30_000);
    expect(performance.now() - began).toBeGreaterThan(1_500);
    expect(told.slice(0, 3)).toEqual(
      [1, 2, 3].map((times) => `script of ${ID} ended soon after its start (${times} times)`),
    );
  });

  test('with other arguments is stopped and started', async () => {
    const reconciler = started();
    await build(reconciler, dnsmasq());
    const first = pid();
    await build(reconciler, dnsmasq('--log-dhcp'));
    expect(pid()).not.toBe(first);
    await gone(first);
    expect(readProcess(pid())?.argv).toContain('--log-dhcp');
    expect(reconciler.plan(OWNER)).toEqual([]);
  });

  test('reads its files again when one changed, once, and goes on running', async () => {
    const file = (name: string, content: string) =>
      rows.file({ ns: NS, path: join(directory, name), content, reloads: script().key });
    const reconciler = started();
    await build(
      reconciler,
      script(),
      file('a', '1'),
      file('b', '1'),
      rows.file({ ns: NS, path: join(directory, 'c'), content: '1' }),
    );
    await vi.waitFor(() => expect(signals()).toEqual(['start']), 2_000);
    const first = pid();
    await build(
      reconciler,
      script(),
      file('a', '2'),
      file('b', '2'),
      rows.file({ ns: NS, path: join(directory, 'c'), content: '2' }),
    );
    await vi.waitFor(() => expect(signals()).toEqual(['start', 'HUP']), 2_000);
    await build(
      reconciler,
      script(),
      file('a', '2'),
      file('b', '2'),
      rows.file({ ns: NS, path: join(directory, 'c'), content: '3' }),
    );
    await build(
      reconciler,
      script(),
      file('a', '2'),
      file('b', '2'),
      rows.file({ ns: NS, path: join(directory, 'c'), content: '3' }),
    );
    await pause(200);
    expect(signals()).toEqual(['start', 'HUP']);
    expect(pid()).toBe(first);
  });

  test('no longer wanted ends, and its pid file, its files and its namespace go', async () => {
    const reconciler = started({ heal: true });
    const file = rows.file({ ns: NS, path: join(directory, 'conf'), content: '' });
    await build(reconciler, dnsmasq(), file);
    const first = pid();
    reconciler.removeOwner(OWNER);
    expect((await reconciler.reconcile(OWNER)).failures).toEqual([]);
    expect(readProcess(first)).toBeUndefined();
    expect(fs.readdirSync(directory).filter((name) => !name.endsWith('.leases'))).toEqual([]);
    expect(listNamespaces()).not.toContain(NS);
    await pause(300);
    expect(listNamespaces()).not.toContain(NS);
  });

  test('that does not listen to SIGTERM is killed', async () => {
    const reconciler = started();
    await build(reconciler, script(':'));
    const first = pid();
    await vi.waitFor(() => expect(signals()).toEqual(['start']), 2_000);
    reconciler.removeOwner(OWNER);
    expect((await reconciler.reconcile(OWNER)).failures).toEqual([]);
    expect(readProcess(first)).toBeUndefined();
  });

  test('is never another process that got the pid in its file', async () => {
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      fs.writeFileSync(pidFile(), `${stranger.pid}\n`);
      const reconciler = started();
      await build(reconciler, script());
      expect(pid()).not.toBe(stranger.pid);
      fs.writeFileSync(pidFile(), `${stranger.pid}\n`);
      reconciler.removeOwner(OWNER);
      expect((await reconciler.reconcile(OWNER)).failures).toEqual([]);
      expect(readProcess(stranger.pid!)).toBeDefined();
    } finally {
      stranger.kill();
    }
  });

  test('of the same id in another namespace is not taken for it', async () => {
    const stranger = spawn('/bin/sh', ['-c', 'sleep 60', ID], { stdio: 'ignore' });
    try {
      fs.writeFileSync(pidFile(), `${stranger.pid}\n`);
      await build(started(), script());
      expect(pid()).not.toBe(stranger.pid);
      expect(readProcess(stranger.pid!)).toBeDefined();
    } finally {
      stranger.kill();
    }
  });

  test('that can not start says why, and is tried again', async () => {
    const reconciler = started();
    const bad = dnsmasq('--no-such-option');
    reconciler.setDesired(OWNER, [[rows.netns(NS), bad]]);
    const { failures } = await reconciler.reconcile(OWNER);
    expect(failures).toMatchObject([{ ns: NS, key: bad.key }]);
    expect(failures[0]!.message).toContain('bad command line options');
    await build(reconciler, dnsmasq());
    const missing = rows.daemon({
      ...script(),
      argv: ['/no/such/program', ID],
      pidFile: join(directory, 'other'),
    });
    reconciler.setDesired(OWNER, [[rows.netns(NS), dnsmasq(), missing]]);
    expect((await reconciler.reconcile(OWNER)).failures).toMatchObject([{ key: missing.key }]);
  });

  test('keeps its namespace when the agent that started it is gone', async () => {
    await build(started(), dnsmasq());
    await reconcilers[0]!.close();
    const inside = execFileSync('ip', ['netns', 'pids', NS], { encoding: 'utf8' });
    expect(inside.trim().split('\n')).toContain(String(pid()));
  });

  test('[O8] has PROCESS_TAG in its environment, by which tools find it', async () => {
    await build(started(), dnsmasq());
    const environment = fs.readFileSync(`/proc/${pid()}/environ`, 'utf8').split('\0');
    expect(environment).toContain(`PROCESS_TAG=dnsmasq-${ID}`);
  });

  test('[M13] is signalled by the kill script of its service, if there is one', async () => {
    const calls = join(directory, 'calls');
    const killScripts = join(directory, 'kill_scripts');
    fs.mkdirSync(killScripts);
    const text = `#!/bin/sh\necho "$@" >> ${calls}\nkill -$1 $2\n`;
    fs.writeFileSync(join(killScripts, 'script-kill'), text, { mode: 0o755 });
    const reconciler = started({ killScripts });
    const file = (content: string) =>
      rows.file({ ns: NS, path: join(directory, 'a'), content, reloads: script().key });
    await build(reconciler, script(), file('1'));
    await vi.waitFor(() => expect(signals()).toEqual(['start']), 2_000);
    const first = pid();
    await build(reconciler, script(), file('2'));
    await vi.waitFor(() => expect(signals()).toEqual(['start', 'HUP']), 2_000);
    reconciler.removeOwner(OWNER);
    expect((await reconciler.reconcile(OWNER)).failures).toEqual([]);
    expect(fs.readFileSync(calls, 'utf8').trim().split('\n')).toEqual([`HUP ${first}`, `15 ${first}`]);
    expect(readProcess(first)).toBeUndefined();
  });

  test('is left alone after its end if the agent is told so, and started at the next change', async () => {
    const ended: string[] = [];
    const reconciler = started({
      heal: true,
      onDaemonEnd: ({ service }) => {
        ended.push(service);
        return 'leave';
      },
    });
    await build(reconciler, dnsmasq());
    const first = pid();
    process.kill(first, 'SIGKILL');
    await vi.waitFor(() => expect(ended).toEqual(['dnsmasq']), 2_000);
    expect(readProcess(first)).toBeUndefined();
    await build(reconciler, dnsmasq());
    expect(readProcess(pid())).toBeDefined();
  });
});
