import { LARGEST_MIN_SHARE } from '../announcement/options.ts';
import { optionLabel } from './option.ts';
import { type ConfigProblem, originText } from './problem.ts';
import type { EffectiveOption } from './resolve.ts';

interface Relation {
  readonly smaller: string;
  readonly larger: string;
  readonly why: string;
  /** share of the second that the first may have; default 1 */
  readonly share?: number;
}

/** Pairs of numbers of one group of which the first must not exceed the second (or a share of it). */
const RELATIONS: readonly Relation[] = [
  { smaller: 'resync_throttle', larger: 'resync_interval', why: 'a resync that is due could never run' },
  {
    smaller: 'min_rtr_adv_interval',
    larger: 'max_rtr_adv_interval',
    share: LARGEST_MIN_SHARE,
    why: 'radvd would refuse to start',
  },
  {
    smaller: 'adv_preferred_lifetime',
    larger: 'adv_valid_lifetime',
    why: 'hosts ignore a prefix that is preferred for longer than it is valid',
  },
];

/** What values break together, each being right by itself. */
export function relationProblems(effective: readonly EffectiveOption[]): ConfigProblem[] {
  const find = (name: string): EffectiveOption | undefined =>
    effective.find(({ option }) => option.group === 'DEFAULT' && option.name === name);
  return RELATIONS.flatMap(({ smaller, larger, why, share = 1 }) => {
    const low = find(smaller);
    const high = find(larger);
    if (typeof low?.value !== 'number' || typeof high?.value !== 'number' || low.value <= high.value * share)
      return [];
    const culprit = low.origin.kind === 'default' ? high : low;
    const { group, name } = culprit.option;
    const message =
      `${optionLabel(low.option)} = ${low.value} must not be more than ${share === 1 ? '' : `${share} of `}` +
      `${optionLabel(high.option)} = ${high.value}: ${why}`;
    return [{ place: originText(culprit.origin), message, group, option: name }];
  });
}
