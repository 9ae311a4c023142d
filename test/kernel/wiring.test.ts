import { execFileSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { compileRouter } from '../../agents/l3/compile/router.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { type Wiring, wiringOf } from '../../lib/wiring/wiring.ts';
import { routerPayload } from './routers.ts';

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const linkNames = (...where: string[]): string[] =>
  (JSON.parse(ip(...where, '-j', 'link')) as { ifname: string }[]).map(({ ifname }) => ifname);

const payload = routerPayload(0xa1, { floatingIps: 2 });
const ns = `qrouter-${payload.id}`;
const taps = [...payload._interfaces, payload.gw_port].map(({ id }) => `tap${id.slice(0, 11)}`);

const groupsOf = (wiring: Wiring): RowGroup[] =>
  compileRouter({ router: parseRouter(payload), host: { name: 'vdt' }, options: l3Options({ wiring }) });

async function built(wiring: Wiring): Promise<Reconciler> {
  const reconciler = new Reconciler({ announce: false });
  reconciler.setDesired(payload.id, groupsOf(wiring));
  expect((await reconciler.reconcile(payload.id)).failures).toEqual([]);
  return reconciler;
}

afterEach(async () => {
  const cleaner = new Reconciler({ announce: false });
  cleaner.setDesired(payload.id, groupsOf('linuxbridge'));
  cleaner.removeOwner(payload.id);
  expect((await cleaner.reconcile(payload.id)).failures).toEqual([]);
  await cleaner.close();
  expect(listNamespaces()).not.toContain(ns);
  expect(linkNames().filter((name) => taps.includes(name))).toEqual([]);
});

test('[O4] the Linux bridge agent finds a tap in the root namespace, with its peer in the namespace', async () => {
  const reconciler = await built(wiringOf('linuxbridge'));
  for (const tap of taps) {
    expect(linkNames()).toContain(tap);
    expect(ip('-d', 'link', 'show', tap)).toMatch(/veth/);
    const ipv6 = `/proc/sys/net/ipv6/conf/${tap}/disable_ipv6`;
    expect(execFileSync('cat', [ipv6], { encoding: 'utf8' }).trim()).toBe('1');
  }
  expect(linkNames('-n', ns).filter((name) => /^q[rg]-/.test(name))).toHaveLength(taps.length);

  // The agent puts them into its bridge, which is none of ours: no drift.
  ip('link', 'add', 'vdtbrq-a1', 'type', 'bridge');
  try {
    for (const tap of taps) ip('link', 'set', tap, 'master', 'vdtbrq-a1');
    const later = new Reconciler({ announce: false });
    later.setDesired(payload.id, groupsOf('linuxbridge'));
    expect(later.plan(payload.id)).toEqual([]);
    await later.close();
  } finally {
    ip('link', 'del', 'vdtbrq-a1');
  }
  await reconciler.close();
});

test('[O5] with the null driver there are namespaces without ports, and no error', async () => {
  const reconciler = await built(wiringOf('null'));
  expect(linkNames('-n', ns)).toEqual(['lo']);
  expect(reconciler.plan(payload.id)).toEqual([]);
  await reconciler.close();
  const later = new Reconciler({ announce: false });
  later.setDesired(payload.id, groupsOf('null'));
  expect(later.plan(payload.id)).toEqual([]);
  await later.close();
});
