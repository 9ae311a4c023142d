import type { RunStatus } from '../../../lib/standalone/deployment.ts';
import type { Deployment } from '../deployment.ts';
import { printable } from '../output.ts';
import { plural, subjectOf, title } from '../subject.ts';

/** Who runs a deployment and how far that is: a headline, then the problems. Pure. */
export function renderRunning({
  facts,
  running,
  recorded,
}: Pick<Deployment, 'facts' | 'running' | 'recorded'>): string[] {
  const head = `${printable(facts.name)} (${printable(facts.topology)})`;
  if (running.length === 0) return [`${head}: nobody runs it, so drift is not repaired`];
  const pids = [...new Set(running.map(({ pid }) => pid))];
  const rolesOf = (pid: number) => running.flatMap((one) => (one.pid === pid ? [one.role] : []));
  const who = pids.map((pid) => `process ${pid} (${rolesOf(pid).join(', ')})`);
  const names = new Map(recorded.map((one) => [one.owner, title(subjectOf(one))]));
  const problems = problemsOf(running);
  return [
    `${head}: run by ${who.join(' and ')}, ${word(running, problems.length)}`,
    ...problems.map(([owner, problem]) => `  ${printable(names.get(owner) ?? owner)}: ${printable(problem)}`),
  ];
}

function word(running: readonly RunStatus[], problems: number): string {
  if (problems > 0) return plural(problems, 'problem');
  return running.every(({ converged }) => converged) ? 'converged' : 'still working';
}

/** Problems of all roles; every role tells of those of its own process. */
const problemsOf = (running: readonly RunStatus[]): [string, string][] =>
  Object.entries(Object.assign({}, ...running.map(({ problems }) => problems)) as Record<string, string>);

/** The stable form in `--json`: one object per role that runs. */
export const runningDocument = (running: readonly RunStatus[]): unknown =>
  running.map(({ role, pid, converged, problems, at }) => ({ role, pid, converged, problems, at }));
