import { type Output, paint, printable } from '../output.ts';
import type { Released } from '../release.ts';
import { plural, title } from '../subject.ts';

/** What was given back, and what was not and why. */
export function renderRelease({ color }: Pick<Output, 'color'>, results: readonly Released[]): string[] {
  return results.flatMap(({ agents, given }) => {
    const problems = given.flatMap(({ subject, problems: all }) =>
      all.map((problem) => printable(`${title(subject)}: ${problem}`)),
    );
    const done = given.filter((one) => one.problems.length === 0);
    const count = (kind: string, noun: string): string =>
      plural(done.filter(({ subject }) => subject.kind === kind).length, noun);
    const head = `given back: ${count('router', 'router')}, ${count('network', 'network')}`;
    if (problems.length === 0)
      return [`${head}. Neutron's agents can be started now: ${agents.map(service).join(', ')}`];
    return [head, ...problems.map((line) => `${paint(color, 'red', 'not given back')}: ${line}`)];
  });
}

const service = (agent: string): string => `neutron-${agent}-agent`;

/** The stable form of `viaduct release --json`. */
export const releaseDocument = (results: readonly Released[]): unknown => ({
  agents: [...new Set(results.flatMap(({ agents }) => agents))],
  given: results.flatMap(({ given }) =>
    given.map(({ agent, subject, steps, problems }) => ({
      agent,
      kind: subject.kind,
      id: subject.id,
      name: subject.name ?? null,
      steps,
      problems,
    })),
  ),
});
