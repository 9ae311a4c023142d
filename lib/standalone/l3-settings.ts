/** Section `l3` of a topology file: options of the L3 agent. */
import { announcementProblem } from '../announcement/options.ts';
import { cidrContains } from '../model/ip.ts';
import type { Section } from './document.ts';

/** Keys and defaults are those of Neutron's l3_agent.ini; adv_… are radvd's, which Neutron leaves alone. */
export function readL3(section: Section | undefined) {
  const seconds = (key: string, least: number, most: number) => section?.integer(key, least, most)?.value;
  const gateway = section?.ip('ipv6_gateway');
  if (gateway && !cidrContains('fe80::/10', gateway.value))
    section!.source.report(
      gateway.at,
      `${section!.subject}: ipv6_gateway ${gateway.value} is not a link-local IPv6 address`,
      'write one like fe80::1',
    );
  const settings = {
    /** next hop of IPv6 when no subnet of the external network has one */
    ipv6_gateway: gateway?.value ?? '',
    min_rtr_adv_interval: seconds('min_rtr_adv_interval', 3, 1_350) ?? 30,
    max_rtr_adv_interval: seconds('max_rtr_adv_interval', 4, 1_800) ?? 100,
    radvd_user:
      section?.word('radvd_user', /^[a-z_][a-z0-9_.-]{0,31}$/i, 'a user', 'write a user name')?.value ?? '',
    /** seconds; undefined: three times max_rtr_adv_interval */
    adv_default_lifetime: seconds('adv_default_lifetime', 0, 9_000),
    adv_default_preference:
      section?.choice('adv_default_preference', ['low', 'medium', 'high'])?.value ?? ('medium' as const),
    adv_valid_lifetime: seconds('adv_valid_lifetime', 1, 4_294_967_295) ?? 86_400,
    adv_preferred_lifetime: seconds('adv_preferred_lifetime', 1, 4_294_967_295) ?? 14_400,
    /** enterprise number by which a delegating server knows subnets */
    vendor_pen: seconds('vendor_pen', 0, 4_294_967_295) ?? 8888,
  };
  const problem = section && announcementProblem(settings);
  if (problem) section.wrong(`${problem.option} ${problem.message}`, 'change one of the two');
  section?.done();
  return settings;
}
export type L3Settings = ReturnType<typeof readL3>;
