/**
 * What is to be done about one owner (a router, a network). `at` orders tasks and answers of one agent: it counts up
 * with every event and every request.
 */
export type OwnerTask =
  /** what is known of the owner has changed: no need to ask */
  | { readonly kind: 'known'; readonly at: number }
  /** ask for the owner and do as the answer says; `related`: because it came with another one's answer */
  | { readonly kind: 'fetch'; readonly at: number; readonly related?: true }
  /** in a full listing that was asked for at `at` */
  | { readonly kind: 'listed'; readonly at: number; readonly payload: unknown }
  /** deleted by an event, or absent from a complete listing */
  | { readonly kind: 'remove'; readonly at: number; readonly by: 'event' | 'listing' };

const fromListing = (task: OwnerTask): boolean =>
  task.kind === 'listed' || (task.kind === 'remove' && task.by === 'listing');

/**
 * Which of two tasks of one owner is left. What is known goes into whatever else is to be done. A fetch always gets the newest state; a listing was asked for
 * before it came in, so that an event may be newer than it.
 */
export function mergeTasks(waiting: OwnerTask, added: OwnerTask): OwnerTask {
  if (waiting.kind === 'known') return added;
  if (added.kind === 'known') return waiting;
  if (added.kind === 'fetch' && added.related && waiting.kind === 'fetch') return waiting;
  if (!fromListing(added)) return added;
  if (waiting.kind === 'fetch') return waiting;
  return added.at > waiting.at ? added : waiting;
}

/** True for what a listing said before the agent decided on this owner by something newer. */
export const isOutdated = (task: OwnerTask, decidedAt: number): boolean =>
  fromListing(task) && task.at < decidedAt;
