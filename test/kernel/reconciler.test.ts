import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { compileRouter } from '../../agents/l3/compile/router.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { counters } from '../../lib/kernel/counters.ts';
import { listNamespaces } from '../../lib/kernel/netns.ts';
import { parseRouter } from '../../lib/model/router.ts';
import { setStepHook } from '../../lib/namespace/apply.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { routerPayload } from './routers.ts';

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const groupsOf = (payload: unknown): RowGroup[] =>
  compileRouter({ router: parseRouter(payload), host: { name: 'vdt' }, options: l3Options() });

describe('one router, reconciled', () => {
  const payload = routerPayload(1, { floatingIps: 3 });
  const ns = `qrouter-${payload.id}`;
  const owner = payload.id;

  afterEach(async () => {
    setStepHook(undefined);
    const cleaner = new Reconciler();
    cleaner.setDesired(owner, groupsOf(payload));
    cleaner.removeOwner(owner);
    expect((await cleaner.reconcile(owner)).failures).toEqual([]);
    await cleaner.close();
    expect(listNamespaces()).not.toContain(ns);
    const own = groupsOf(payload).flat();
    const present = new Set(
      ip('-br', 'link')
        .split('\n')
        .map((line) => line.split(/[ @]/)[0]),
    );
    expect(own.filter((row) => row.kind === 'link' && row.ns === '' && present.has(row.name))).toEqual([]);
  });

  test('built once, it needs nothing more: empty plan, and a new process makes no write and no fork', async () => {
    const first = new Reconciler();
    first.setDesired(owner, groupsOf(payload));
    const built = await first.reconcile(owner);
    expect(built.failures).toEqual([]);
    expect(built.steps).toBeGreaterThan(20);
    expect(first.plan(owner)).toEqual([]);
    await first.close();

    const before = { ...counters };
    const second = new Reconciler();
    second.setDesired(owner, groupsOf(structuredClone(payload)));
    expect(second.plan(owner).map((step) => [step.row.key, step.reason])).toEqual([]);
    expect((await second.reconcile(owner)).steps).toBe(0);
    await second.close();
    expect(counters).toEqual(before);
    expect(ip('-n', ns, 'route')).toContain('default via 203.0.113.1 dev qg-');
  });

  test('every object deleted by hand comes back within two seconds', async () => {
    const reconciler = new Reconciler({ heal: true });
    reconciler.setDesired(owner, groupsOf(payload));
    expect((await reconciler.reconcile(owner)).failures).toEqual([]);
    const rows = reconciler.delta.desiredBy(owner);
    const dev = rows.find((row) => row.kind === 'link' && row.name.startsWith('qr-')) as { name: string };
    const gw = rows.find((row) => row.kind === 'link' && row.name.startsWith('qg-')) as { name: string };
    const broken: string[][] = [
      ['ip', '-n', ns, 'link', 'del', dev.name],
      ['ip', '-n', ns, 'link', 'set', dev.name, 'down'],
      ['ip', '-n', ns, 'link', 'set', dev.name, 'mtu', '1300'],
      ['ip', '-n', ns, 'addr', 'flush', 'dev', gw.name],
      ['ip', '-n', ns, 'route', 'del', 'default'],
      ['ip', 'netns', 'exec', ns, 'nft', 'flush', 'chain', 'inet', 'viaduct', 'nat_postrouting'],
      ['ip', 'netns', 'exec', ns, 'nft', 'delete', 'table', 'inet', 'viaduct'],
      ['ip', 'netns', 'exec', ns, 'nft', 'flush', 'map', 'inet', 'viaduct', 'fip_dnat'],
      ['ip', 'link', 'del', `tap${dev.name.slice(3)}`],
      ['ip', 'link', 'set', `tap${dev.name.slice(3)}`, 'nomaster'],
      ['ip', 'netns', 'del', ns],
    ];
    try {
      for (const [command, ...args] of broken) {
        execFileSync(command!, args);
        const deadline = Date.now() + 2_000;
        let steps: string[] = ['?'];
        while (steps.length > 0 && Date.now() < deadline) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          const check = new Reconciler();
          check.setDesired(owner, groupsOf(structuredClone(payload)));
          steps = check.plan(owner).map((step) => `${step.row.key}: ${step.reason}`);
          await check.close();
        }
        expect([args.join(' '), steps]).toEqual([args.join(' '), []]);
      }
    } finally {
      await reconciler.close();
    }
  });

  test('a step that fails once names row and reason, and is done at the next attempt', async () => {
    const trial = new Reconciler();
    trial.setDesired(owner, groupsOf(payload));
    const keys = trial.plan(owner).map((step) => step.row.key);
    await trial.close();
    for (const key of keys) {
      const reconciler = new Reconciler();
      setStepHook((step) => {
        if (step.row.key === key) throw new Error('injected');
      });
      reconciler.setDesired(owner, groupsOf(payload));
      const { failures } = await reconciler.reconcile(owner);
      expect(failures).toContainEqual({ ns: key.slice(0, key.indexOf('|')), key, message: 'injected' });
      setStepHook(undefined);
      expect((await reconciler.reconcile(owner)).failures).toEqual([]);
      expect(reconciler.plan(owner)).toEqual([]);
      reconciler.removeOwner(owner);
      expect((await reconciler.reconcile(owner)).failures).toEqual([]);
      await reconciler.close();
      expect(fs.existsSync(`/run/netns/${ns}`)).toBe(false);
    }
  });
});
