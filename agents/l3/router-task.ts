/**
 * What is to be done about one router. `at` orders tasks and answers of one agent: it counts up with every event
 * and every request.
 */
export type RouterTask =
  /** ask for the router and do as the answer says */
  | { readonly kind: 'fetch'; readonly at: number }
  /** in a full listing that was asked for at `at` */
  | { readonly kind: 'listed'; readonly at: number; readonly payload: unknown }
  /** deleted by an event, or absent from a complete listing */
  | { readonly kind: 'remove'; readonly at: number; readonly by: 'event' | 'listing' };

const fromListing = (task: RouterTask): boolean =>
  task.kind === 'listed' || (task.kind === 'remove' && task.by === 'listing');

/**
 * Which of two tasks of one router is left. A fetch always gets the newest state; a listing was asked for
 * before it came in, so that an event may be newer than it.
 */
export function mergeTasks(waiting: RouterTask, added: RouterTask): RouterTask {
  if (!fromListing(added)) return added;
  if (waiting.kind === 'fetch') return waiting;
  return added.at > waiting.at ? added : waiting;
}

/** True for what a listing said before the agent decided on this router by something newer. */
export const isOutdated = (task: RouterTask, decidedAt: number): boolean =>
  fromListing(task) && task.at < decidedAt;
