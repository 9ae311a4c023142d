import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { flushConntrack } from '../../lib/kernel/conntrack.ts';
import { createNamespace, deleteNamespace } from '../../lib/kernel/netns.ts';
import { nft } from '../../lib/kernel/nftables.ts';
import { udpSend } from '../../lib/kernel/socket.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { reconcileState } from './router-process.ts';
import { Site, type Talk } from './router-site.ts';
import { groupsOf, leftovers, ROUTERS, stateOf } from './router-states.ts';
import { type routerPayload, testId } from './routers.ts';

type Payload = ReturnType<typeof routerPayload>;

const NS = `qrouter-${ROUTERS[0]}`;
const PORT = 7007;
const FIP = '203.0.114.0';
const OTHER_FIP = '203.0.114.1';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const changed = (change: (fips: Payload['_floatingips']) => Payload['_floatingips']) => {
  const [id, payload] = [...stateOf('5 floating IPs')][0] as [string, Payload];
  return new Map([[id, { ...payload, _floatingips: change(payload._floatingips) }]]);
};

const tracked = (address: string): string =>
  execFileSync('ip', ['netns', 'exec', NS, 'conntrack', '-L', '-d', address], {
    encoding: 'utf8',
    stdio: 'pipe',
  }).trim();

describe('connections through a floating IP', () => {
  let site: Site;
  let reconciler: Reconciler;

  const speaks = (talk: Talk, name: string) =>
    vi.waitFor(() => expect(talk.heard.at(-1)).toMatch(new RegExp(`^${name} \\d`)), 5_000);

  /** How many lines come in half a second. */
  async function flow(talk: Talk): Promise<number> {
    const before = talk.heard.length;
    await pause(500);
    return talk.heard.length - before;
  }

  beforeEach(async () => {
    site = new Site();
    reconciler = new Reconciler({ announce: false });
    expect(await reconcileState(reconciler, stateOf('5 floating IPs'))).toEqual([]);
    site.machine('vdt-ct-out', `brq${testId(0xe7, 0x7301).slice(0, 11)}`, '203.0.113.1/20');
    site.machine('vdt-ct-a', `brq${testId(0xa0, 0x7301).slice(0, 11)}`, '10.0.11.0/16', '10.0.0.1');
    site.machine('vdt-ct-b', `brq${testId(0xa1, 0x7301).slice(0, 11)}`, '10.1.11.1/16', '10.1.0.1');
    await Promise.all([
      site.echo('vdt-ct-a', PORT, 'a'),
      site.echo('vdt-ct-b', PORT, 'b'),
      site.echo('vdt-ct-out', PORT, 'out'),
    ]);
  });

  afterEach(async () => {
    site.close();
    await reconcileState(reconciler, new Map());
    await reconciler.close();
    // Machines plugged in kept the bridges from going with the router.
    const last = new Reconciler({ announce: false });
    for (const [id, payload] of stateOf('5 floating IPs')) {
      last.setDesired(id, groupsOf(payload));
    }
    await reconcileState(last, new Map());
    await last.close();
    expect(leftovers()).toEqual([]);
  });

  test('end when it is removed, and those through others go on', async () => {
    const [tcp, udp] = [site.talk('vdt-ct-out', 'tcp', FIP, PORT), site.talk('vdt-ct-out', 'udp', FIP, PORT)];
    const other = site.talk('vdt-ct-out', 'tcp', OTHER_FIP, PORT);
    await Promise.all([speaks(tcp, 'a'), speaks(udp, 'a'), speaks(other, 'b')]);
    expect(tracked(FIP)).toMatch(/tcp/);
    expect(
      await reconcileState(
        reconciler,
        changed((fips) => fips.slice(1)),
      ),
    ).toEqual([]);
    // What still comes in is nobody's; entries may stand for it, but none that leads to the machine.
    expect(tracked(FIP)).not.toContain('10.0.11.0');
    await pause(200);
    expect([await flow(tcp), await flow(udp)]).toEqual([0, 0]);
    expect(await flow(other)).toBeGreaterThan(10);
  });

  test('end when it is removed, also those from inside that left with it', async () => {
    const out = site.talk('vdt-ct-a', 'tcp', '203.0.113.1', PORT);
    await speaks(out, 'out');
    expect(tracked('203.0.113.1')).toContain(`dst=${FIP}`);
    expect(
      await reconcileState(
        reconciler,
        changed((fips) => fips.slice(1)),
      ),
    ).toEqual([]);
    expect(tracked('203.0.113.1')).not.toContain(`dst=${FIP}`);
    const again = site.talk('vdt-ct-a', 'udp', '203.0.113.1', PORT);
    await speaks(again, 'out');
    expect(tracked('203.0.113.1')).toContain('dst=203.0.');
    expect(tracked('203.0.113.1')).not.toContain(`dst=${FIP} `);
  });

  test('move with it: the very next packet of a flow reaches the other machine', async () => {
    const udp = site.talk('vdt-ct-out', 'udp', FIP, PORT);
    const other = site.talk('vdt-ct-out', 'tcp', OTHER_FIP, PORT);
    await Promise.all([speaks(udp, 'a'), speaks(other, 'b')]);
    const moved = changed(([first, second, ...rest]) => [
      { ...first!, fixed_ip_address: second!.fixed_ip_address },
      second!,
      ...rest,
    ]);
    expect(await reconcileState(reconciler, moved)).toEqual([]);
    await speaks(udp, 'b');
    await pause(100);
    expect(udp.heard.slice(-3).every((line) => line.startsWith('b '))).toBe(true);
    expect(await flow(other)).toBeGreaterThan(10);
  });

  test('are not touched by a change of something else, nor by a restart with no change', async () => {
    const tcp = site.talk('vdt-ct-out', 'tcp', FIP, PORT);
    await speaks(tcp, 'a');
    expect(
      await reconcileState(
        reconciler,
        changed((fips) => fips.slice(0, 2)),
      ),
    ).toEqual([]);
    const newcomer = new Reconciler({ announce: false });
    expect(
      await reconcileState(
        newcomer,
        changed((fips) => fips.slice(0, 2)),
      ),
    ).toEqual([]);
    await newcomer.close();
    expect(await flow(tcp)).toBeGreaterThan(10);
    expect(tcp.heard.filter((line) => !line.startsWith('a '))).toEqual([]);
  });
});

describe('connections to an address', () => {
  const ALONE = 'vdt-ct-alone';
  const OURS = ['127.0.0.2', '2001:db8:9::1'];
  const OTHERS = ['127.0.0.3', '2001:db8:9::2'];

  const count = (ip: string): number => {
    const family = ip.includes(':') ? 'ipv6' : 'ipv4';
    const argv = ['netns', 'exec', ALONE, 'conntrack', '-L', '-f', family, '-d', ip];
    return execFileSync('ip', argv, { encoding: 'utf8', stdio: 'pipe' }).split('\n').filter(Boolean).length;
  };
  const counts = () => [...OURS, ...OTHERS].map(count);

  beforeEach(() => {
    createNamespace(ALONE);
    execFileSync('ip', ['-n', ALONE, 'link', 'set', 'lo', 'up']);
    for (const ip of ['2001:db8:9::1', '2001:db8:9::2'])
      execFileSync('ip', ['-n', ALONE, 'addr', 'add', `${ip}/128`, 'dev', 'lo']);
    // What asks for the state of connections has them tracked.
    nft(
      ALONE,
      'add table inet t; add chain inet t c { type filter hook prerouting priority 0; }; add rule inet t c ct state new counter',
    );
    for (const to of [...OURS, ...OTHERS])
      for (const port of [1, 2, 3]) udpSend({ ns: ALONE, to, port, payload: Buffer.from('x') });
  });
  afterEach(() => deleteNamespace(ALONE));

  test('are dropped, of either IP version, and no others', () => {
    expect(counts()).toEqual([3, 3, 3, 3]);
    flushConntrack(ALONE, []);
    flushConntrack(ALONE, ['198.51.100.1', '2001:db8::1']);
    expect(counts()).toEqual([3, 3, 3, 3]);
    flushConntrack(ALONE, OURS);
    expect(counts()).toEqual([0, 0, 3, 3]);
  });
});
