/** What an L3 agent does with the namespace library over its life, for tests that start and end such processes. */
import { Reconciler } from '../../lib/namespace/reconciler.ts';
import type { Records } from '../../lib/namespace/records.ts';
import { groupsOf, ROUTERS, type State } from './router-states.ts';

const isPayload = (record: unknown): record is { payload: object } =>
  typeof record === 'object' && record !== null && 'payload' in record;

/** A process that has just started and knows from its records what was built before it. */
export function recordedReconciler(records: Records): Reconciler {
  const reconciler = new Reconciler({ announce: false, records });
  for (const [id, record] of records.load())
    if (isPayload(record)) reconciler.setDesired(id, groupsOf(record.payload));
  return reconciler;
}

/** Bring all routers into the state; what was refused comes back as text. */
export async function reconcileState(reconciler: Reconciler, state: State): Promise<string[]> {
  const failures: string[] = [];
  for (const id of ROUTERS) {
    const payload = state.get(id);
    if (payload) reconciler.setDesired(id, groupsOf(payload), { kind: 'router', payload });
    else reconciler.removeOwner(id);
    for (const { key, message } of (await reconciler.reconcile(id)).failures)
      failures.push(`${key}: ${message}`);
  }
  return failures;
}

export const openSteps = (reconciler: Reconciler): string[] =>
  ROUTERS.flatMap((id) =>
    reconciler.plan(id).map((step) => `${step.action} ${step.row.key}: ${step.reason}`),
  );
