/** Options of router advertisements, for every agent that sends them. Pure. */
import { z } from 'zod';

/** Seconds that radvd knows as infinity. */
const FOREVER = 4_294_967_295;

/**
 * The first three are Neutron's (`neutron/conf/agent/common.py`, `neutron/conf/agent/l3/config.py`); the rest is
 * Viaduct's own, with radvd's names and defaults.
 */
export const announcementShape = {
  /** seconds between advertisements, at least */
  min_rtr_adv_interval: z.number().int().min(3).max(1_350).default(30),
  /** seconds between advertisements, at most */
  max_rtr_adv_interval: z.number().int().min(4).max(1_800).default(100),
  /** user that radvd runs as; '' and root: the agent's own */
  radvd_user: z
    .string()
    .regex(/^([a-z_][a-z0-9_.-]{0,31})?$/i, 'must be the name of a user')
    .default(''),
  /** seconds a host keeps the sender as default router; absent: three times the longest interval */
  adv_default_lifetime: z.number().int().min(0).max(9_000).optional(),
  /** preference among default routers (RFC 4191) */
  adv_default_preference: z.enum(['low', 'medium', 'high']).default('medium'),
  /** seconds an address of an announced prefix is valid */
  adv_valid_lifetime: z.number().int().min(1).max(FOREVER).default(86_400),
  /** seconds it is used for new connections */
  adv_preferred_lifetime: z.number().int().min(1).max(FOREVER).default(14_400),
};

export type AnnouncementOptions = Readonly<z.infer<z.ZodObject<typeof announcementShape>>>;

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

/** For `superRefine` of a schema with `announcementShape` in it. */
export function refineAnnouncement(options: AnnouncementOptions, context: z.RefinementCtx): void {
  const problem = announcementProblem(options);
  if (problem) context.addIssue({ code: 'custom', path: [problem.option], message: problem.message });
}

/** Router lifetime, seconds. */
export const routerLifetime = (options: AnnouncementOptions): number =>
  options.adv_default_lifetime ?? Math.min(3 * options.max_rtr_adv_interval, 9_000);
