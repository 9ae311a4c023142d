import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { reconcileState } from './router-process.ts';
import { Site } from './router-site.ts';
import { groupsOf, leftovers, type State, stateOf } from './router-states.ts';
import { type routerPayload, testId } from './routers.ts';

type Payload = ReturnType<typeof routerPayload>;

const INSIDE = `brq${testId(0xa0, 0x7301).slice(0, 11)}`;
const OUTSIDE = `brq${testId(0xe7, 0x7301).slice(0, 11)}`;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const macOf = (state: State, port: 'gw_port' | 'interface'): string => {
  const payload = [...state.values()][0] as Payload;
  return port === 'gw_port' ? payload.gw_port.mac_address : payload._interfaces[0]!.mac_address;
};

/** Lines of `tcpdump -tt -n -e`: seconds, sender, and what kind of announcement of which address. */
function frames(lines: readonly string[], ip: string): { at: number; from: string; kind: string }[] {
  return lines.flatMap((line) => {
    const [at, from] = line.split(' ');
    const kind = line.includes(`Request who-has ${ip} (ff:ff:ff:ff:ff:ff) tell ${ip}`)
      ? 'request'
      : line.includes(`Reply ${ip} is-at`)
        ? 'reply'
        : line.includes(`neighbor advertisement, tgt is ${ip}`) ||
            line.includes(`neighbor advertisement, length 32, tgt is ${ip}`)
          ? 'advertisement'
          : undefined;
    return kind ? [{ at: Number(at), from: from!, kind }] : [];
  });
}

/** Until so many announcements of the address came, and a moment longer for one too many. */
async function allOf(lines: readonly string[], ip: string, count: number): Promise<void> {
  await vi.waitFor(() => expect(frames(lines, ip).length).toBeGreaterThanOrEqual(count), 15_000);
  await pause(300);
}

describe('addresses that were added are announced', () => {
  let site: Site;
  let reconciler: Reconciler;
  let heardInside: readonly string[];
  let heardOutside: readonly string[];

  beforeEach(async () => {
    site = new Site();
    reconciler = new Reconciler();
    site.machine('vdt-ann-in', INSIDE, '10.0.0.200/16');
    site.machine('vdt-ann-out', OUTSIDE, '203.0.113.1/20');
    const argv = ['tcpdump', '-l', '--immediate-mode', '-tt', '-n', '-e', '-i', 'eth0', 'arp or icmp6'];
    [heardInside, heardOutside] = await Promise.all([
      site.watch('vdt-ann-in', argv),
      site.watch('vdt-ann-out', argv),
    ]);
  });

  afterEach(async () => {
    site.close();
    await reconcileState(reconciler, new Map());
    await reconciler.close();
    const last = new Reconciler({ announce: false });
    for (const name of ['5 floating IPs', 'dual stack'])
      for (const [id, payload] of stateOf(name)) last.setDesired(id, groupsOf(payload));
    await reconcileState(last, new Map());
    await last.close();
    expect(leftovers()).toEqual([]);
  });

  test('[B9] three rounds of ARP request and reply, two seconds apart, on every segment', async () => {
    const state = stateOf('1 floating IP');
    expect(await reconcileState(reconciler, state)).toEqual([]);
    await allOf(heardOutside, '203.0.114.0', 6);
    for (const [lines, ip, port] of [
      [heardInside, '10.0.0.1', 'interface'],
      [heardOutside, '203.0.113.43', 'gw_port'],
      [heardOutside, '203.0.114.0', 'gw_port'],
    ] as const) {
      const seen = frames(lines, ip);
      expect([ip, seen.map(({ kind }) => kind)]).toEqual([
        ip,
        ['request', 'reply', 'request', 'reply', 'request', 'reply'],
      ]);
      expect(new Set(seen.map(({ from }) => from))).toEqual(new Set([macOf(state, port)]));
      // A busy machine only adds to the pauses between them.
      expect(seen.at(-1)!.at - seen[0]!.at).toBeGreaterThan(3.5);
    }
  });

  test('only those that are new', async () => {
    expect(await reconcileState(reconciler, stateOf('1 floating IP'))).toEqual([]);
    await allOf(heardOutside, '203.0.114.0', 6);
    const before = heardOutside.length;
    expect(await reconcileState(reconciler, stateOf('5 floating IPs'))).toEqual([]);
    await vi.waitFor(() => expect(frames(heardOutside, '203.0.114.4')).toHaveLength(2), 2_000);
    expect(frames(heardOutside.slice(before), '203.0.114.0')).toEqual([]);
    expect(frames(heardOutside.slice(before), '203.0.113.43')).toEqual([]);
  });

  test('IPv6 by three unsolicited neighbour advertisements', async () => {
    const state = stateOf('dual stack');
    expect(await reconcileState(reconciler, state)).toEqual([]);
    await allOf(heardOutside, '2001:db8::5', 3);
    for (const [lines, ip, port] of [
      [heardInside, 'fd00:1::1', 'interface'],
      [heardOutside, '2001:db8::5', 'gw_port'],
    ] as const) {
      const seen = frames(lines, ip);
      expect([ip, seen.map(({ kind }) => kind)]).toEqual([
        ip,
        ['advertisement', 'advertisement', 'advertisement'],
      ]);
      expect(new Set(seen.map(({ from }) => from))).toEqual(new Set([macOf(state, port)]));
    }
  });

  test('and what went meanwhile no more', async () => {
    expect(await reconcileState(reconciler, stateOf('1 floating IP'))).toEqual([]);
    await vi.waitFor(() => expect(frames(heardOutside, '203.0.114.0')).toHaveLength(2), 2_000);
    expect(await reconcileState(reconciler, stateOf('gateway'))).toEqual([]);
    await allOf(heardOutside, '203.0.113.43', 6);
    expect(frames(heardOutside, '203.0.114.0')).toHaveLength(2);
  });
});
