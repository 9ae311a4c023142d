import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import { openSteps, reconcileState } from './router-process.ts';
import { groupsOf, kernelListing, leftovers, type State, stateNames, stateOf } from './router-states.ts';

/**
 * Any state to any state. The path goes along every ordered pair of states once, and at each stop the kernel
 * must show what a fresh build of that state shows; so every stop is also a clean start of the next pair.
 */
function pathOverAllPairs(names: readonly string[]): string[] {
  const open = new Map(names.map((from) => [from, names.filter((to) => to !== from)]));
  const stack = [names[0]!];
  const path: string[] = [];
  while (stack.length > 0) {
    const next = open.get(stack.at(-1)!)!.pop();
    if (next === undefined) path.push(stack.pop()!);
    else stack.push(next);
  }
  return path.reverse();
}

/** A process that has just started and knows from its records what was built. */
function started(before: State): Reconciler {
  const reconciler = new Reconciler({ announce: false });
  for (const [id, payload] of before) reconciler.setDesired(id, groupsOf(payload));
  return reconciler;
}

/** A process that starts with nothing to change sees that. */
async function newcomersPlan(state: State): Promise<string[]> {
  const newcomer = started(state);
  const steps = openSteps(newcomer);
  await newcomer.close();
  return steps;
}

const removeEverything = async (): Promise<void> => {
  for (const name of stateNames) {
    if (leftovers().length === 0) return;
    const reconciler = started(stateOf(name));
    await reconcileState(reconciler, new Map());
    await reconciler.close();
  }
};

/** 240 legs take 20 s on a machine that has nothing else to do. */
const PATIENCE = { timeout: 240_000 };

describe('from any state to any other', PATIENCE, () => {
  const fresh = new Map<string, string[]>();
  const path = pathOverAllPairs(stateNames);

  beforeAll(async () => {
    await removeEverything();
    for (const name of stateNames) {
      const reconciler = new Reconciler({ announce: false });
      expect([name, await reconcileState(reconciler, stateOf(name))]).toEqual([name, []]);
      fresh.set(name, kernelListing());
      await reconcileState(reconciler, new Map());
      expect([name, leftovers()]).toEqual([name, []]);
      await reconciler.close();
    }
  });

  afterEach(removeEverything);
  afterAll(() => expect(leftovers()).toEqual([]));

  test('the path covers every ordered pair', () => {
    const pairs = new Set(path.slice(1).map((to, i) => `${path[i]} → ${to}`));
    expect(pairs.size).toBe(stateNames.length * (stateNames.length - 1));
    expect(new Set([...fresh.values()].map((listing) => listing.join('\n'))).size).toBe(stateNames.length);
  });

  test('one process goes all the way and the kernel always equals a fresh build', async () => {
    const reconciler = new Reconciler({ announce: false });
    try {
      for (const [i, name] of path.entries()) {
        const leg = `${path[i - 1] ?? 'start'} → ${name}`;
        const state = stateOf(name);
        expect([leg, await reconcileState(reconciler, state)]).toEqual([leg, []]);
        expect([leg, openSteps(reconciler)]).toEqual([leg, []]);
        expect([leg, ...kernelListing()]).toEqual([leg, ...fresh.get(name)!]);
      }
    } finally {
      await reconciler.close();
    }
  });

  test('a new process for every leg, which knows the state before from records, does the same', async () => {
    let before: State = new Map();
    // Every other state: a quarter of the pairs.
    const path = pathOverAllPairs(stateNames.filter((_, i) => i % 2 === 0));
    for (const [i, name] of path.entries()) {
      const leg = `${path[i - 1] ?? 'start'} → ${name}`;
      const reconciler = started(before);
      try {
        expect([leg, await reconcileState(reconciler, stateOf(name))]).toEqual([leg, []]);
      } finally {
        await reconciler.close();
      }
      expect([leg, ...kernelListing()]).toEqual([leg, ...fresh.get(name)!]);
      expect([leg, await newcomersPlan(stateOf(name))]).toEqual([leg, []]);
      before = stateOf(name);
    }
  });
});
