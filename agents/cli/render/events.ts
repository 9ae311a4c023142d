import type { JournalEntry } from '../../../lib/telemetry/journal.ts';
import { type Output, paint, printable } from '../output.ts';
import { plural, type Subject, title } from '../subject.ts';

/** A journal entry and whose it is. */
export interface Event {
  readonly deployment: string;
  readonly subject: Subject;
  readonly entry: JournalEntry;
}

/** Oldest first: one line for each event, its steps below. */
export function renderEvents({ color }: Pick<Output, 'color'>, events: readonly Event[]): string[] {
  if (events.length === 0) return ['no events'];
  return events.flatMap(({ subject, entry }) => {
    const { at, cause, operations, ms, outcome, error } = entry;
    const steps = operations.length === 0 ? 'nothing to do' : plural(operations.length, 'step');
    const end = outcome === 'done' ? paint(color, 'green', 'done') : paint(color, 'red', 'failed');
    const why = error === undefined ? '' : `: ${printable(error)}`;
    return [
      `${paint(color, 'dim', at)} ${paint(color, 'bold', printable(title(subject)))} ${printable(cause)}: ${steps} in ${ms} ms, ${end}${why}`,
      ...operations.map((operation) => `    ${printable(operation)}`),
    ];
  });
}

/** The stable form of `viaduct events --json`. */
export const eventsDocument = (events: readonly Event[]): unknown =>
  events.map(({ deployment, subject: { kind, id, name }, entry }) => ({
    deployment,
    owner: { kind, id, name: name ?? null },
    ...entry,
  }));
