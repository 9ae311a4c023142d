import { describeRow } from '../../../lib/namespace/describe.ts';
import { type Output, paint, printable, type Style } from '../output.ts';
import type { Plan, PlannedOwner, PlannedStep } from '../planned.ts';
import { title } from '../subject.ts';
import { changeLines } from './show.ts';

const SIGNS: Readonly<Record<PlannedStep['action'], readonly [string, Style]>> = {
  create: ['+', 'green'],
  change: ['~', 'yellow'],
  remove: ['-', 'red'],
};

/** Steps by owner in the order they would be done, then how many. */
export function renderPlan({ color }: Pick<Output, 'color'>, plan: Plan): string[] {
  const lines = plan.owners.flatMap((owner) => [
    paint(color, 'bold', printable(title(owner.subject))),
    ...(owner.unreadable === undefined ? [] : [`  ? ${printable(owner.unreadable)}`]),
    ...owner.steps.flatMap((step) => stepLines(color, owner, step)),
  ]);
  const { create, change, remove } = countsOf(plan);
  if (create + change + remove === 0) return lines;
  return [...lines, '', `${create} to create, ${change} to change, ${remove} to remove; nothing was done`];
}

function stepLines(color: boolean, { subject }: PlannedOwner, step: PlannedStep): string[] {
  const { row } = step;
  const [sign, style] = SIGNS[step.action];
  const place = row.ns === subject.namespace || row.kind === 'netns' ? '' : ` [in ${row.ns || 'the host'}]`;
  const head = `  ${paint(color, style, sign)} ${printable(describeRow(row))}${place}`;
  if (step.action !== 'change' || !step.was) return [head];
  const { was: actual, reason } = step;
  return [
    head,
    ...changeLines({ state: 'changed', actual, desired: row, reason }).map(
      (line) => `      ${printable(line)}`,
    ),
  ];
}

export function countsOf(plan: Plan): Record<PlannedStep['action'], number> {
  const counts = { create: 0, change: 0, remove: 0 };
  for (const { steps } of plan.owners) for (const { action } of steps) counts[action] += 1;
  return counts;
}

/** The stable form of `viaduct plan --json`. */
export const planDocument = (plan: Plan): unknown => ({
  deployment: plan.deployment,
  counts: countsOf(plan),
  owners: plan.owners.map(({ subject, steps, unreadable }) => ({
    kind: subject.kind,
    id: subject.id,
    name: subject.name ?? null,
    unreadable: unreadable ?? null,
    steps: steps.map(({ action, row, was, reason }) => ({
      action,
      what: describeRow(row),
      reason,
      row,
      was: was ?? null,
    })),
  })),
});
