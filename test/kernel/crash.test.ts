import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { setStepHook } from '../../lib/namespace/apply.ts';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { Records } from '../../lib/namespace/records.ts';
import { openSteps, reconcileState, recordedReconciler } from './router-process.ts';
import { groupsOf, kernelListing, leftovers, stateNames, stateOf } from './router-states.ts';

const ROOT = resolve(import.meta.dirname, '../..');
/** Inside node_modules, so that what is compiled there finds its packages. */
const COMPILED = join(ROOT, 'node_modules/.cache/viaduct-crash-child');
const CHILD = join(COMPILED, 'test/kernel/crash-child.js');

/** Every how many steps a process is killed: a child costs a third of a second. */
const STRIDE = 6;

/** Steps it takes from one state to the other, by doing it. */
async function stepsBetween(from: string, to: string): Promise<number> {
  const reconciler = new Reconciler({ announce: false });
  await reconcileState(reconciler, stateOf(from));
  let steps = 0;
  setStepHook(() => {
    steps += 1;
  });
  await reconcileState(reconciler, stateOf(to));
  setStepHook(undefined);
  await reconcileState(reconciler, new Map());
  await reconciler.close();
  return steps;
}

describe('a process killed with SIGKILL', { timeout: 120_000 }, () => {
  let directory: string;
  const fresh = new Map<string, string[]>();

  beforeAll(async () => {
    fs.rmSync(COMPILED, { recursive: true, force: true });
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', COMPILED], { cwd: ROOT });
    expect(fs.existsSync(CHILD)).toBe(true);
    for (const name of ['5 floating IPs', 'another subnet', 'empty']) {
      const reconciler = new Reconciler({ announce: false });
      await reconcileState(reconciler, stateOf(name));
      fresh.set(name, kernelListing());
      await reconcileState(reconciler, new Map());
      await reconciler.close();
    }
    expect(leftovers()).toEqual([]);
  });

  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'vdt-crash-'));
  });

  afterEach(async () => {
    fs.rmSync(directory, { recursive: true, force: true });
    for (const name of stateNames) {
      if (leftovers().length === 0) break;
      const cleaner = new Reconciler({ announce: false });
      for (const [id, payload] of stateOf(name)) cleaner.setDesired(id, groupsOf(payload));
      await reconcileState(cleaner, new Map());
      await cleaner.close();
    }
    expect(leftovers()).toEqual([]);
  });

  /** A new process with these records goes to the state; it must find the way and then nothing more to do. */
  async function arrive(name: string, where: string): Promise<void> {
    const reconciler = recordedReconciler(new Records(directory));
    try {
      expect([where, await reconcileState(reconciler, stateOf(name))]).toEqual([where, []]);
      expect([where, openSteps(reconciler)]).toEqual([where, []]);
    } finally {
      await reconciler.close();
    }
    expect([where, ...kernelListing()]).toEqual([where, ...(fresh.get(name) ?? kernelListing())]);
  }

  async function gone(where: string): Promise<void> {
    await arrive('empty', where);
    expect([where, leftovers(), fs.readdirSync(directory)]).toEqual([where, [], []]);
  }

  function killedAtStep(state: string, step: number): void {
    const child = spawnSync(process.execPath, [CHILD, directory, state, String(step)], { encoding: 'utf8' });
    expect([step, child.signal, child.stderr]).toEqual([step, 'SIGKILL', '']);
  }

  test.each([
    ['empty', '5 floating IPs'],
    ['5 floating IPs', 'another subnet'],
    ['another subnet', '5 floating IPs'],
  ])(
    'between "%s" and "%s", at any step: the next one completes the way, and all can be removed',
    async (from, to) => {
      const steps = await stepsBetween(from, to);
      expect(steps).toBeGreaterThan(STRIDE);
      for (let step = 0; step < steps; step += STRIDE) {
        const where = `${from} → ${to}, killed before step ${step + 1} of ${steps}`;
        if (from !== 'empty') await arrive(from, `${where}: start`);
        killedAtStep(to, step);
        await arrive(to, where);
        await gone(where);
      }
    },
  );

  test.each([
    ['empty', '5 floating IPs'],
    ['5 floating IPs', 'another subnet'],
    ['5 floating IPs', 'empty'],
  ])('between "%s" and "%s", of a router then no longer wanted: everything goes', async (from, to) => {
    const steps = await stepsBetween(from, to);
    for (let step = 1; step < steps; step += STRIDE) {
      const where = `${from} → ${to}, killed before step ${step + 1} of ${steps}, removed`;
      if (from !== 'empty') await arrive(from, `${where}: start`);
      killedAtStep(to, step);
      await gone(where);
    }
  });

  test('at any moment, also between two requests of one batch, leaves what the next one can complete', async () => {
    for (let delay = 0; delay < 120; delay += 10) {
      const where = `killed after ${delay} ms`;
      const child = spawn(process.execPath, [CHILD, directory, '5 floating IPs'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      await new Promise((done) => setTimeout(done, delay));
      child.kill('SIGKILL');
      await ended;
      await arrive('5 floating IPs', where);
      await gone(where);
    }
  });
});
