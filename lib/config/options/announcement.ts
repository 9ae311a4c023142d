import { boolean, declaring, integer, oneOf, string } from '../option.ts';

const common = declaring('DEFAULT', 'neutron/conf/agent/common.py');
const own = declaring('DEFAULT', 'viaduct');
const SECONDS = 4_294_967_295;
const user = string({
  check: (text) => (/^([a-z_][a-z0-9_.-]{0,31})?$/i.test(text) ? undefined : 'empty or the name of a user'),
});

/** Router advertisements, of whichever agent sends them. */
export const announcementOptions = [
  common('min_rtr_adv_interval', integer(3, 1_350), 30, 'seconds between router advertisements, at least'),
  common('max_rtr_adv_interval', integer(4, 1_800), 100, 'seconds between router advertisements, at most'),
  common('radvd_user', user, '', 'user that radvd runs as', { source: 'neutron/conf/agent/l3/config.py' }),
  own(
    'adv_default_lifetime',
    integer(0, 9_000),
    null,
    'seconds a router is kept as default router; unset: three times the longest interval',
  ),
  own('adv_default_preference', oneOf('low', 'medium', 'high'), 'medium', 'preference among default routers'),
  own(
    'adv_valid_lifetime',
    integer(1, SECONDS),
    86_400,
    'seconds an address of an announced prefix is valid',
  ),
  own('adv_preferred_lifetime', integer(1, SECONDS), 14_400, 'seconds it is used for new connections'),
];

/** Of the DHCP agent alone. */
export const isolatedAnnouncementOptions = [
  own(
    'enable_isolated_ra',
    boolean,
    false,
    'announce IPv6 prefixes in networks without a router, without a default route',
  ),
];
