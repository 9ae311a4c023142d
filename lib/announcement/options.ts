/** Options of router advertisements, for every agent that sends them. Pure. */
import { type Chosen, Invalid, integer, matching, oneOf, optional, orElse } from '../model/reader.ts';

/** Seconds that radvd knows as infinity. */
const FOREVER = 4_294_967_295;

/**
 * The first three are Neutron's (`neutron/conf/agent/common.py`, `neutron/conf/agent/l3/config.py`); the rest is
 * Viaduct's own, with radvd's names and defaults.
 */
export const announcementShape = {
  /** seconds between advertisements, at least */
  min_rtr_adv_interval: orElse(integer(3, 1_350), 30),
  /** seconds between advertisements, at most */
  max_rtr_adv_interval: orElse(integer(4, 1_800), 100),
  /** user that radvd runs as; '' and root: the agent's own */
  radvd_user: orElse(matching(/^([a-z_][a-z0-9_.-]{0,31})?$/i, 'must be the name of a user'), ''),
  /** seconds a host keeps the sender as default router; absent: three times the longest interval */
  adv_default_lifetime: optional(integer(0, 9_000)),
  /** preference among default routers (RFC 4191) */
  adv_default_preference: orElse(oneOf('low', 'medium', 'high'), 'medium'),
  /** seconds an address of an announced prefix is valid */
  adv_valid_lifetime: orElse(integer(1, FOREVER), 86_400),
  /** seconds it is used for new connections */
  adv_preferred_lifetime: orElse(integer(1, FOREVER), 14_400),
};

export type AnnouncementOptions = Chosen<typeof announcementShape>;

/** radvd's share of the longest interval that the shortest may have. */
export const LARGEST_MIN_SHARE = 0.75;

/** What values break together, with which radvd would not start: option and reason. */
export function announcementProblem(
  options: AnnouncementOptions,
): { option: string; message: string } | undefined {
  const { min_rtr_adv_interval: min, max_rtr_adv_interval: max } = options;
  if (min > max * LARGEST_MIN_SHARE)
    return {
      option: 'min_rtr_adv_interval',
      message: `must be at most ${LARGEST_MIN_SHARE} of max_rtr_adv_interval = ${max}: radvd would refuse to start`,
    };
  const lifetime = options.adv_default_lifetime;
  if (lifetime !== undefined && lifetime !== 0 && lifetime < max)
    return {
      option: 'adv_default_lifetime',
      message: `must be 0 or at least max_rtr_adv_interval = ${max}: hosts would lose their router in between`,
    };
  if (options.adv_preferred_lifetime > options.adv_valid_lifetime)
    return {
      option: 'adv_preferred_lifetime',
      message: `must be at most adv_valid_lifetime = ${options.adv_valid_lifetime}`,
    };
  return undefined;
}

/** Options of a reader with `announcementShape` in it, if they go together. @throws Invalid */
export function consistent<T extends AnnouncementOptions>(options: T): T {
  const problem = announcementProblem(options);
  if (!problem) return options;
  const invalid = new Invalid(options, problem.message);
  invalid.path.push(problem.option);
  throw invalid;
}

/** Router lifetime, seconds. */
export const routerLifetime = (options: AnnouncementOptions): number =>
  options.adv_default_lifetime ?? Math.min(3 * options.max_rtr_adv_interval, 9_000);
