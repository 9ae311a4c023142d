import { z } from 'zod';
import { announcementShape, refineAnnouncement } from '../../lib/announcement/options.ts';
import { cidrContains, isIp } from '../../lib/model/ip.ts';
import { isWiring, type Wiring } from '../../lib/wiring/wiring.ts';

const LINK_LOCAL = 'fe80::/10';

/** Text such as '0x1' or a number; only the low 16 bits are used. They must not all be zero: that is "no mark". */
const mark = z
  .union([z.string().regex(/^(0[xX][0-9a-fA-F]+|[0-9]+)$/, 'must be a number such as 0x1'), z.number().int()])
  .transform((value) => Number(value) & 0xffff)
  .refine((value) => value !== 0, 'must have a bit set in its low 16 bits');

const path = z.string().regex(/^\/[^\p{Cc}]*$/u, 'must be an absolute path without control characters');

const shape = z.object({
  agent_mode: z.enum(['legacy', 'dvr', 'dvr_snat', 'dvr_no_external']).default('legacy'),
  /** TCP port where the metadata proxy listens inside the router namespace */
  metadata_port: z.number().int().min(1).max(65535).default(9697),
  enable_metadata_proxy: z.boolean().default(true),
  /** mark of metadata requests; low 16 bits */
  metadata_access_mark: mark.default(0x1),
  /** mark of IPv4 packets that came in by the gateway; low 16 bits */
  external_ingress_mark: mark.default(0x2),
  /** random source ports in SNAT */
  use_random_fully: z.boolean().default(true),
  /** link-local next hop of the IPv6 default route when no gateway subnet has one; '' = none */
  ipv6_gateway: z
    .string()
    .refine(
      (text) => text === '' || (isIp(text) && cidrContains(LINK_LOCAL, text)),
      'must be empty or a link-local IPv6 address such as fe80::1',
    )
    .default(''),
  /** also take routers without a gateway */
  handle_internal_only_routers: z.boolean().default(true),
  /** directory of radvd configurations */
  ra_confs: path.default('/var/lib/neutron/ra'),
  /** directory of pid files of daemons */
  external_pids: path.default('/var/lib/neutron/external/pids'),
  ...announcementShape,
  /** end of the names of namespaces */
  namespace_suffix: z.string().default(''),
  /** what interface_driver comes to; not an option of Neutron's */
  wiring: z.custom<Wiring>(isWiring, 'must be a wiring').default('own-bridge'),
});
const schema = shape.superRefine(refineAnnouncement);

/** Options of the L3 agent that shape its rows; Neutron's names (`neutron/conf/agent/l3/config.py`). */
export type L3Options = Readonly<z.infer<typeof schema>>;

/**
 * Options with Neutron's defaults for what is not given; other keys are left out.
 * Throws TypeError naming option, value and what is wrong.
 */
export function l3Options(given: Readonly<Record<string, unknown>> = {}): L3Options {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const name = String(issue.path[0] ?? 'options');
  throw new TypeError(`L3 option ${name} = ${JSON.stringify(given[name])}: ${issue.message}`);
}
