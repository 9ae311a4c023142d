/**
 * What is to be done about one network. `at` orders tasks and answers of one agent: it counts up with every
 * event and every request.
 */
export type NetworkTask =
  /** ask for the network and do as the answer says */
  | { readonly kind: 'fetch'; readonly at: number }
  /** in a full listing that was asked for at `at` */
  | { readonly kind: 'listed'; readonly at: number; readonly payload: unknown }
  /** deleted by an event, or absent from a complete listing */
  | { readonly kind: 'remove'; readonly at: number; readonly by: 'event' | 'listing' };

const fromListing = (task: NetworkTask): boolean =>
  task.kind === 'listed' || (task.kind === 'remove' && task.by === 'listing');

/** Which of two tasks of one network is left. A fetch gets the newest state; an event may be newer than a listing. */
export function mergeTasks(waiting: NetworkTask, added: NetworkTask): NetworkTask {
  if (!fromListing(added)) return added;
  if (waiting.kind === 'fetch') return waiting;
  return added.at > waiting.at ? added : waiting;
}

/** True for what a listing said before the agent decided on this network by something newer. */
export const isOutdated = (task: NetworkTask, decidedAt: number): boolean =>
  fromListing(task) && task.at < decidedAt;
