/** radvd as rows: its configuration file and its process (radvd.conf(5), `neutron/agent/linux/ra.py`). Pure. */
import type { Template } from '../daemon/template.ts';
import { parseCidr, parseIp } from '../model/ip.ts';
import { type DaemonRow, daemon, type FileRow, file, type NamespaceName } from '../namespace/rows.ts';
import type { Advertisement } from './advertisement.ts';
import { type AnnouncementOptions, routerLifetime } from './options.ts';

/** templates/radvd.conf.hbs */
export const RADVD_TEMPLATE = 'radvd.conf';

/** Everybody may read it and nobody write: radvd refuses a file that others could have changed. */
const CONF_MODE = 0o444;

const device = (name: string): string => {
  if (!/^[A-Za-z0-9_.-]{1,15}$/.test(name))
    throw new RangeError(`device name ${JSON.stringify(name)} can't stand in radvd.conf`);
  return name;
};
const owner = (id: string): string => {
  if (!/^[A-Za-z0-9 -]{1,64}$/.test(id))
    throw new RangeError(`id ${JSON.stringify(id)} can't stand in radvd.conf`);
  return id;
};

function interfaceValues(one: Advertisement, options: AnnouncementOptions) {
  return {
    device: device(one.device),
    minInterval: options.min_rtr_adv_interval,
    maxInterval: options.max_rtr_adv_interval,
    defaultLifetime: one.defaultRouter ? routerLifetime(options) : 0,
    defaultPreference: options.adv_default_preference,
    mtu: one.mtu ?? 0,
    source: one.source === undefined ? '' : parseIp(one.source).text,
    otherConfig: one.otherConfig,
    managed: one.managed,
    nameServers: one.nameServers.map((ip) => parseIp(ip).text).join(' '),
    prefixes: one.prefixes.map(({ prefix, autonomous }) => ({
      prefix: parseCidr(prefix).text,
      autonomous: autonomous ? 'on' : 'off',
      validLifetime: options.adv_valid_lifetime,
      preferredLifetime: options.adv_preferred_lifetime,
    })),
    routes: one.routes.map((cidr) => parseCidr(cidr).text),
  };
}

/**
 * The text of radvd.conf. Its values were validated when they came in; here they are checked once more, because a
 * brace that slipped through would be a declaration of somebody else's making.
 * @param id of the router or network, for whoever reads the file
 * @throws RangeError, TypeError
 */
export const radvdConf = (
  template: Template,
  id: string,
  advertisements: readonly Advertisement[],
  options: AnnouncementOptions,
): string =>
  template({ owner: owner(id), interfaces: advertisements.map((one) => interfaceValues(one, options)) });

export interface RadvdPlace {
  readonly ns: NamespaceName;
  /** router or network id; must be in confPath, by which the process is recognised */
  readonly id: string;
  readonly confPath: string;
  readonly pidFile: string;
}

/** The process. It ends without a word: its last advertisement would take the router away from hosts that still have it. */
export const radvdDaemon = ({ ns, id, confPath, pidFile }: RadvdPlace, user: string): DaemonRow =>
  daemon({
    ns,
    service: 'radvd',
    id,
    argv: [
      'radvd',
      '-C',
      confPath,
      '-p',
      pidFile,
      '-m',
      'syslog',
      ...(user === '' || user === 'root' ? [] : ['-u', user]),
    ],
    pidFile,
    endsBy: 'SIGKILL',
    // Neutron's agent names its own user where we name none.
    indifferent: ['-u'],
  });

/** File and process; the process reads the file again when that changed, and only then. */
export function radvdRows(place: RadvdPlace, conf: string, user: string): [FileRow, DaemonRow] {
  const radvd = radvdDaemon(place, user);
  return [
    file({ ns: place.ns, path: place.confPath, content: conf, mode: CONF_MODE, reloads: radvd.key }),
    radvd,
  ];
}
