/**
 * A process that brings its routers into a state and is killed on the way. Started by crash.test.ts:
 *
 *   node crash-child.js DIRECTORY STATE [STEP]
 *
 * DIRECTORY holds its records. Before step STEP it kills itself with SIGKILL; without it, it says `go` first, so
 * that its parent can.
 */
import { setStepHook } from '../../lib/namespace/apply.ts';
import { Records } from '../../lib/namespace/records.ts';
import { reconcileState, recordedReconciler } from './router-process.ts';
import { stateOf } from './router-states.ts';

const [directory, state, step] = process.argv.slice(2);
if (directory === undefined || state === undefined)
  throw new Error('usage: crash-child DIRECTORY STATE [STEP]');

if (step === undefined) process.stdout.write('go\n');
else {
  let count = 0;
  setStepHook(() => {
    count += 1;
    if (count > Number(step)) process.kill(process.pid, 'SIGKILL');
  });
}
const reconciler = recordedReconciler(new Records(directory));
await reconcileState(reconciler, stateOf(state));
await reconciler.close();
