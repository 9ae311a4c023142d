import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { announcementShape, refineAnnouncement } from '../../lib/announcement/options.ts';
import { isIp } from '../../lib/model/ip.ts';
import { isWiring, type Wiring } from '../../lib/wiring/wiring.ts';

const seconds = z.number().int().min(0).max(4_294_967_295);
/** Paths and names become arguments of dnsmasq and lines of its files. */
const noControls = /^[^\p{Cc}]*$/u;
const path = z
  .string()
  .regex(noControls, 'must not hold control characters')
  .refine((text) => text === '' || isAbsolute(text), 'must be an absolute path');
const domain = z
  .string()
  .transform((text) => text.replace(/\.$/, ''))
  .refine(
    (text) =>
      text === '' ||
      /^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(text),
    'must be a domain name such as openstacklocal',
  );
/** dnsmasq's form of a forwarder: an address, perhaps `#port`, perhaps for one domain: /domain/address */
const forwarder = z
  .string()
  .refine(
    (text) => isIp(text.replace(/^\/[A-Za-z0-9._/-]*\//, '').replace(/#\d{1,5}$/, '')),
    'must be an IP address such as 192.0.2.53',
  );

const shape = z.object({
  /** directory of the networks' configuration directories */
  dhcp_confs: path.default('/var/lib/neutron/dhcp'),
  enable_isolated_metadata: z.boolean().default(false),
  force_metadata: z.boolean().default(false),
  enable_metadata_network: z.boolean().default(false),
  /** router advertisements for IPv6 subnets that no router has; not an option of Neutron's */
  enable_isolated_ra: z.boolean().default(false),
  ...announcementShape,
  num_sync_threads: z.number().int().min(1).default(4),
  /** seconds between collected reloads; 0 = reload at once */
  bulk_reload_interval: z.number().min(0).default(0),
  dnsmasq_config_file: path.default(''),
  dnsmasq_dns_servers: z.array(forwarder).default([]),
  dnsmasq_base_log_dir: path.default(''),
  dnsmasq_local_resolv: z.boolean().default(false),
  dnsmasq_lease_max: z.number().int().min(1).default(16_777_216),
  dhcp_broadcast_reply: z.boolean().default(false),
  /** all stateful addresses of a port in a subnet in one line of the host file */
  dnsmasq_enable_addr6_list: z.boolean().default(false),
  dnsmasq_txt_record: z.string().regex(noControls, 'must not hold control characters').default(''),
  /** T1, seconds; 0 = dnsmasq's default */
  dhcp_renewal_time: seconds.default(0),
  /** T2, seconds; 0 = dnsmasq's default */
  dhcp_rebinding_time: seconds.default(0),
  /** seconds; -1 = infinite */
  dhcp_lease_duration: z.number().int().min(-1).max(4_294_967_295).default(86_400),
  dns_domain: domain.default('openstacklocal'),
  /** end of the names of namespaces */
  namespace_suffix: z.string().default(''),
  /** what interface_driver comes to; not an option of Neutron's */
  wiring: z.custom<Wiring>(isWiring, 'must be a wiring').default('own-bridge'),
});
const schema = shape.superRefine(refineAnnouncement);

/** Options of the DHCP agent; Neutron's names and defaults (`neutron/conf/agent/dhcp.py`). */
export type DhcpOptions = Readonly<z.infer<typeof schema>>;

/**
 * Options with Neutron's defaults for what is not given; other keys are left out.
 * Throws TypeError naming option, value and what is wrong.
 */
export function dhcpOptions(given: Readonly<Record<string, unknown>> = {}): DhcpOptions {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const name = String(issue.path[0] ?? 'options');
  throw new TypeError(`DHCP option ${name} = ${JSON.stringify(given[name])}: ${issue.message}`);
}
