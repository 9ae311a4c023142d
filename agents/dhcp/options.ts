import { isAbsolute } from 'node:path';
import { announcementShape, consistent } from '../../lib/announcement/options.ts';
import { isForwarder } from '../../lib/model/forwarder.ts';
import { readOptions } from '../../lib/model/options.ts';
import {
  fields,
  flag,
  guarded,
  integer,
  listOf,
  matching,
  number,
  orElse,
  type Read,
  text,
  where,
} from '../../lib/model/reader.ts';
import { isWiring } from '../../lib/wiring/wiring.ts';

const MOST_SECONDS = 4_294_967_295;
const ANY = Number.MAX_SAFE_INTEGER;

const seconds = integer(0, MOST_SECONDS);
/** Paths and names become arguments of dnsmasq and lines of its files. */
const plain = matching(/^[^\p{Cc}]*$/u, 'must not hold control characters');
const path = where(plain, (value) => value === '' || isAbsolute(value), 'must be an absolute path');
const domain = where(
  (value) => text(value).replace(/\.$/, ''),
  (value) =>
    value === '' ||
    /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(value),
  'must be a domain name such as openstacklocal',
);
const forwarder = where(text, isForwarder, 'must be an IP address such as 192.0.2.53');

const shape = fields({
  /** directory of the networks' configuration directories */
  dhcp_confs: orElse(path, '/var/lib/neutron/dhcp'),
  enable_isolated_metadata: flag(false),
  force_metadata: flag(false),
  enable_metadata_network: flag(false),
  /** router advertisements for IPv6 subnets that no router has; not an option of Neutron's */
  enable_isolated_ra: flag(false),
  ...announcementShape,
  num_sync_threads: orElse(integer(1, ANY), 4),
  /** seconds between collected reloads; 0 = reload at once */
  bulk_reload_interval: orElse(
    where(number, (value) => value >= 0, 'must be 0 or more'),
    0,
  ),
  dnsmasq_config_file: orElse(path, ''),
  dnsmasq_dns_servers: listOf(forwarder),
  dnsmasq_base_log_dir: orElse(path, ''),
  dnsmasq_local_resolv: flag(false),
  dnsmasq_lease_max: orElse(integer(1, ANY), 16_777_216),
  dhcp_broadcast_reply: flag(false),
  /** all stateful addresses of a port in a subnet in one line of the host file */
  dnsmasq_enable_addr6_list: flag(false),
  dnsmasq_txt_record: orElse(plain, ''),
  /** T1, seconds; 0 = dnsmasq's default */
  dhcp_renewal_time: orElse(seconds, 0),
  /** T2, seconds; 0 = dnsmasq's default */
  dhcp_rebinding_time: orElse(seconds, 0),
  /** seconds; -1 = infinite */
  dhcp_lease_duration: orElse(integer(-1, MOST_SECONDS), 86_400),
  dns_domain: orElse(domain, 'openstacklocal'),
  /** end of the names of namespaces */
  namespace_suffix: orElse(text, ''),
  /** what interface_driver comes to; not an option of Neutron's */
  wiring: orElse(guarded(isWiring, 'must be a wiring'), 'own-bridge'),
});

/** Options of the DHCP agent; Neutron's names and defaults (`neutron/conf/agent/dhcp.py`). */
export type DhcpOptions = Read<typeof shape>;

/**
 * Options with Neutron's defaults for what is not given; other keys are left out.
 * Throws TypeError naming option, value and what is wrong.
 */
export const dhcpOptions = (given: Readonly<Record<string, unknown>> = {}): DhcpOptions =>
  readOptions((value) => consistent(shape(value)), given, { subject: 'DHCP option ' });
