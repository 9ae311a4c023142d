import { announcementShape, consistent } from '../../lib/announcement/options.ts';
import { cidrContains, isIp } from '../../lib/model/ip.ts';
import { readOptions } from '../../lib/model/options.ts';
import {
  fields,
  flag,
  guarded,
  integer,
  matching,
  oneOf,
  orElse,
  type Read,
  type Reader,
  text,
  where,
} from '../../lib/model/reader.ts';
import { isWiring } from '../../lib/wiring/wiring.ts';

const LINK_LOCAL = 'fe80::/10';

const number = where(
  (value) => (typeof value === 'string' ? value : String(integer(0, Number.MAX_SAFE_INTEGER)(value))),
  (value) => /^(0[xX][0-9a-fA-F]+|[0-9]+)$/.test(value),
  'must be a number such as 0x1',
);

/** Text such as '0x1' or a number; only the low 16 bits are used. They must not all be zero: that is "no mark". */
const mark: Reader<number> = where(
  (value) => Number(number(value)) & 0xffff,
  (value) => value !== 0,
  'must have a bit set in its low 16 bits',
);

const enterpriseNumber: Reader<number> = where(
  (value) => Number(number(value)),
  (value) => value <= 0xffff_ffff,
  'must fit into 32 bits',
);

const path = matching(/^\/[^\p{Cc}]*$/u, 'must be an absolute path without control characters');
const linkLocal = where(
  text,
  (value) => value === '' || (isIp(value) && cidrContains(LINK_LOCAL, value)),
  'must be empty or a link-local IPv6 address such as fe80::1',
);

const shape = fields({
  agent_mode: orElse(oneOf('legacy', 'dvr', 'dvr_snat', 'dvr_no_external'), 'legacy'),
  /** TCP port where the metadata proxy listens inside the router namespace */
  metadata_port: orElse(integer(1, 65_535), 9697),
  enable_metadata_proxy: flag(true),
  /** mark of metadata requests; low 16 bits */
  metadata_access_mark: orElse(mark, 0x1),
  /** mark of IPv4 packets that came in by the gateway; low 16 bits */
  external_ingress_mark: orElse(mark, 0x2),
  /** random source ports in SNAT */
  use_random_fully: flag(true),
  /** link-local next hop of the IPv6 default route when no gateway subnet has one; '' = none */
  ipv6_gateway: orElse(linkLocal, ''),
  /** also take routers without a gateway */
  handle_internal_only_routers: flag(true),
  /** directory of radvd configurations */
  ra_confs: orElse(path, '/var/lib/neutron/ra'),
  /** directory of pid files of daemons */
  external_pids: orElse(path, '/var/lib/neutron/external/pids'),
  /** directory of delegated prefixes */
  pd_confs: orElse(path, '/var/lib/neutron/pd'),
  /** IANA enterprise number in the identifiers by which a delegating server knows subnets */
  vendor_pen: orElse(enterpriseNumber, 8888),
  ...announcementShape,
  /** end of the names of namespaces */
  namespace_suffix: orElse(text, ''),
  /** what interface_driver comes to; not an option of Neutron's */
  wiring: orElse(guarded(isWiring, 'must be a wiring'), 'own-bridge'),
});

/** Options of the L3 agent that shape its rows; Neutron's names (`neutron/conf/agent/l3/config.py`). */
export type L3Options = Read<typeof shape>;

/**
 * Options with Neutron's defaults for what is not given; other keys are left out.
 * Throws TypeError naming option, value and what is wrong.
 */
export const l3Options = (given: Readonly<Record<string, unknown>> = {}): L3Options =>
  readOptions((value) => consistent(shape(value)), given, { subject: 'L3 option ' });
