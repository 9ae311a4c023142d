import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { DesiredListener } from '../../../agents/metadata/compile/listeners.ts';
import { createListeners, type Listeners } from '../../../agents/metadata/listeners.ts';
import { freePort, type PretendKernel, pretendKernel } from './pretend-kernel.ts';

let kernel: PretendKernel;
let listeners: Listeners;
let accepted: { ns: string; router: string }[];
let warnings: string[];

const desired = (ns: string, port: number, router = ns): DesiredListener => ({
  key: `${ns}|${port}`,
  ns,
  address: '0.0.0.0',
  port,
  identity: { router },
});

/** Resolves with what the listener sends: 'hello', or '' if nobody answers. */
const call = (port: number): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    const socket = net.connect(port, '127.0.0.1');
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
  });
const open = () => listeners.state().open;

beforeEach(() => {
  kernel = pretendKernel();
  accepted = [];
  warnings = [];
  listeners = createListeners({
    kernel,
    backlog: 16,
    maxConnections: 2,
    accept(socket, origin) {
      const identity = origin.identity();
      accepted.push({ ns: origin.ns, router: 'router' in identity ? identity.router : '' });
      socket.end('hello');
    },
    logger: { debug() {}, info() {}, warn: (fields) => void warnings.push(JSON.stringify(fields)) },
  });
});
afterEach(() => {
  listeners.close();
  kernel.cleanup();
});

describe('listeners', () => {
  it('open in namespaces that are there, and attribute connections to them', async () => {
    const [a, b] = [freePort(), freePort()];
    kernel.make('qrouter-a');
    kernel.make('qrouter-b');
    listeners.want([desired('qrouter-a', a, 'A'), desired('qrouter-b', b, 'B')]);
    expect(await call(b)).toBe('hello');
    expect(await call(a)).toBe('hello');
    expect(accepted).toEqual([
      { ns: 'qrouter-b', router: 'B' },
      { ns: 'qrouter-a', router: 'A' },
    ]);
    expect(listeners.state()).toEqual({ desired: 2, open: 2, waiting: [], opened: 2, closed: 0, kept: 0 });
  });

  it('that are wanted still are left alone; the others close', async () => {
    const [a, b] = [freePort(), freePort()];
    kernel.make('qrouter-a');
    kernel.make('qrouter-b');
    listeners.want([desired('qrouter-a', a), desired('qrouter-b', b)]);
    listeners.want([desired('qrouter-a', a, 'another identity')]);
    expect(listeners.state()).toEqual({ desired: 1, open: 1, waiting: [], opened: 2, closed: 1, kept: 1 });
    expect(kernel.openings('qrouter-a')).toBe(1);
    expect(await call(b)).toBe('');
    expect(await call(a)).toBe('hello');
    expect(accepted).toEqual([{ ns: 'qrouter-a', router: 'another identity' }]);
  });

  it('whose address another agent may have are no problem while they can not be opened', async () => {
    kernel.make('qdhcp-a');
    const taken = net.createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as net.AddressInfo;
    listeners.want([{ ...desired('qdhcp-a', port), optional: true }]);
    expect(listeners.state()).toMatchObject({ desired: 1, open: 0, waiting: [] });
    expect(warnings).toEqual([]);
    await new Promise((resolve) => taken.close(resolve));
    await vi.waitFor(() => expect(open()).toBe(1));
  });

  it('wait for their namespace and open as soon as it is there', async () => {
    listeners.want([desired('qrouter-a', freePort())]);
    expect(listeners.state()).toMatchObject({
      open: 0,
      waiting: [{ reason: 'there is no namespace qrouter-a' }],
    });
    kernel.make('qrouter-a');
    await vi.waitFor(() => expect(open()).toBe(1));
    expect(warnings).toEqual([]);
  });

  it('also when its file comes before it', async () => {
    listeners.want([desired('qrouter-a', freePort())]);
    kernel.makeFile('qrouter-a');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(open()).toBe(0);
    kernel.mount('qrouter-a');
    await vi.waitFor(() => expect(open()).toBe(1));
  });

  it('stop asking for a namespace that does not come', async () => {
    vi.useFakeTimers();
    try {
      const inode = vi.spyOn(kernel, 'namespaceInode');
      listeners.want([desired('qrouter-a', freePort())]);
      await vi.advanceTimersByTimeAsync(3_600_000);
      expect(inode.mock.calls.length).toBeLessThan(12);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('close with their namespace, connections too, and open again in the next of that name', async () => {
    const port = freePort();
    kernel.make('qrouter-a');
    listeners.want([desired('qrouter-a', port)]);
    kernel.delete('qrouter-a');
    await vi.waitFor(() => expect(open()).toBe(0));
    expect(await call(port)).toBe('');
    kernel.make('qrouter-a');
    await vi.waitFor(() => expect(open()).toBe(1));
    expect(await call(port)).toBe('hello');
    expect(listeners.state()).toMatchObject({ opened: 2, closed: 1 });
  });

  it('notice a namespace that was replaced in one go', async () => {
    kernel.make('qrouter-a');
    listeners.want([desired('qrouter-a', freePort())]);
    kernel.make('qrouter-a');
    await vi.waitFor(() => expect(listeners.state()).toMatchObject({ open: 1, opened: 2, closed: 1 }));
  });

  it('that fail are tried again and touch no others; the log says it once', async () => {
    kernel.breakNamespace('qrouter-a', 'Cannot assign requested address');
    kernel.make('qrouter-a');
    kernel.make('qrouter-b');
    listeners.want([desired('qrouter-a', freePort()), desired('qrouter-b', freePort())]);
    expect(listeners.state()).toMatchObject({
      open: 1,
      waiting: [{ reason: 'Cannot assign requested address' }],
    });
    await vi.waitFor(() => expect(kernel.openings('qrouter-a')).toBeGreaterThan(2));
    expect(kernel.openings('qrouter-b')).toBe(1);
    expect(warnings).toHaveLength(1);
    kernel.breakNamespace('qrouter-a', undefined);
    await vi.waitFor(() => expect(open()).toBe(2));
  });

  it('whose port is taken open once it is free', async () => {
    const port = freePort();
    const other = net.createServer().listen(port, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    kernel.make('qrouter-a');
    listeners.want([desired('qrouter-a', port)]);
    expect(listeners.state().waiting[0]?.reason).toMatch(/EADDRINUSE/);
    other.close();
    await vi.waitFor(() => expect(open()).toBe(1));
  });

  it('refuse connections above their limit, and take new ones once others have ended', async () => {
    const port = freePort();
    kernel.make('qrouter-a');
    listeners.want([desired('qrouter-a', port)]);
    // Half-open: they have been answered, but their other half stays.
    const held = await Promise.all(
      [1, 2].map(
        () =>
          new Promise<net.Socket>((resolve) => {
            const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
            socket.once('data', () => resolve(socket));
          }),
      ),
    );
    expect(await call(port)).toBe('');
    for (const socket of held) socket.destroy();
    await vi.waitFor(async () => expect(await call(port)).toBe('hello'));
  });

  it('are many in one process', async () => {
    const base = 30_000;
    const all = Array.from({ length: 300 }, (_, i) => desired(`qrouter-${i}`, base + i));
    for (const { ns } of all) kernel.make(ns);
    listeners.want(all);
    await vi.waitFor(() => expect(open()).toBe(300));
    expect(await Promise.all(all.map(({ port }) => call(port)))).toEqual(all.map(() => 'hello'));
    listeners.want([]);
    expect(listeners.state()).toMatchObject({ desired: 0, open: 0, closed: 300 });
  });
});
