/**
 * Rows in real namespaces: build them, see that nothing is left to do, remove them. `pair` is what HA and DVR
 * rows can stand on: a router's namespace and a floating IP namespace, joined.
 */
import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { deleteNamespace, listNamespaces } from '../../lib/kernel/netns.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import * as rows from '../../lib/namespace/rows.ts';

/** Named as those of real routers, so that ownership counts. */
export const FIP = 'fip-vdt-rows';
export const ROUTER = 'qrouter-vdt-rows';
export const SNAT = 'snat-vdt-rows';
export const FPR = 'fpr-0a0b0c0d-e';
export const RFP = 'rfp-0a0b0c0d-e';
export const BRIDGE = 'brq-vdt-rows';

export const ip = (ns: string, ...args: string[]): string =>
  execFileSync('ip', ['-n', ns, ...args], { encoding: 'utf8', stdio: 'pipe' });
export const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .sort();

export const loopback = (ns: string) => rows.link({ ns, name: 'lo', type: 'loopback' });
export const pair: rows.RowGroup = [
  rows.netns(ROUTER),
  rows.netns(FIP),
  loopback(ROUTER),
  loopback(FIP),
  rows.link({ ns: FIP, name: FPR, type: 'veth', mtu: 1450, mac: 'fa:16:3e:00:00:02' }),
  rows.link({
    ns: ROUTER,
    name: RFP,
    type: 'veth',
    mtu: 1450,
    mac: 'fa:16:3e:00:00:01',
    peer: { ns: FIP, name: FPR },
  }),
  rows.address({ ns: ROUTER, dev: RFP, ip: '169.254.31.28', prefix: 31, family: 4 }),
  rows.address({ ns: FIP, dev: FPR, ip: '169.254.31.29', prefix: 31, family: 4 }),
];

export const vdtNamespaces = (): string[] => listNamespaces().filter((name) => name.includes('vdt-rows'));
export const openSteps = (one: Reconciler, owner: string): string[] =>
  one.plan(owner).map((step) => `${step.action} ${step.row.key}: ${step.reason}`);

export class RowRig {
  reconciler: Reconciler;

  constructor() {
    for (const name of vdtNamespaces()) deleteNamespace(name);
    this.reconciler = new Reconciler({ announce: false });
  }

  async close(): Promise<void> {
    await this.reconciler.close();
    for (const name of vdtNamespaces()) deleteNamespace(name);
    try {
      execFileSync('ip', ['link', 'del', BRIDGE], { stdio: 'pipe' });
    } catch {
      // it is only there when a test failed
    }
  }

  /** As if the process ended and another one, without memory, took its place. */
  async restart(): Promise<void> {
    await this.reconciler.close();
    this.reconciler = new Reconciler({ announce: false });
  }

  async build(owner: string, ...groups: rows.RowGroup[]): Promise<void> {
    this.reconciler.setDesired(owner, groups);
    expect((await this.reconciler.reconcile(owner)).failures).toEqual([]);
  }

  async remove(owner: string): Promise<void> {
    this.reconciler.removeOwner(owner);
    expect((await this.reconciler.reconcile(owner)).failures).toEqual([]);
  }

  /** Nothing is left to do: for this process, and for one that knows nothing but what is wanted. */
  async expectConverged(owners: Record<string, readonly rows.RowGroup[]>): Promise<void> {
    const newcomer = new Reconciler();
    for (const [owner, groups] of Object.entries(owners)) newcomer.setDesired(owner, structuredClone(groups));
    for (const owner of Object.keys(owners)) {
      expect(openSteps(this.reconciler, owner)).toEqual([]);
      expect(openSteps(newcomer, owner)).toEqual([]);
    }
    await newcomer.close();
  }

  /** Apply, read back, nothing left to do, then without them again, and everything gone. */
  async roundTrip(extra: rows.RowGroup, shown: () => void): Promise<void> {
    await this.build('r', pair, extra);
    shown();
    await this.expectConverged({ r: [pair, extra] });
    await this.build('r', pair);
    await this.expectConverged({ r: [pair] });
    expect(shown).toThrow();
    await this.build('r', pair, extra);
    shown();
    await this.remove('r');
    expect(vdtNamespaces()).toEqual([]);
  }
}
