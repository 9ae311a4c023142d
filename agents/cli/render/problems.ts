import type { TopologyProblem } from '../../../lib/standalone/problem.ts';
import { type Output, paint, printable } from '../output.ts';

/** Problems of a topology file: place and message on one line, what to do on the next, then how many. */
export function renderProblems(
  { color }: Pick<Output, 'color'>,
  problems: readonly TopologyProblem[],
): string[] {
  const lines = problems.flatMap(({ file, line, column, message, fix }) => [
    `${paint(color, 'bold', `${printable(file)}:${line}:${column}:`)} ${printable(message)}`,
    `    ${paint(color, 'dim', printable(fix))}`,
  ]);
  return [
    ...lines,
    `${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}, nothing was changed`,
  ];
}
