/** Router advertisements of a router, by radvd in its namespace (contract l3.md §16, `neutron/agent/linux/ra.py`). */
import { type Advertisement, advertisementOf } from '../../../lib/announcement/advertisement.ts';
import { type RadvdPlace, radvdConf, radvdRows } from '../../../lib/announcement/radvd.ts';
import type { Template } from '../../../lib/daemon/template.ts';
import { parseCidr } from '../../../lib/model/ip.ts';
import type { Router } from '../../../lib/model/router.ts';
import type { RowGroup } from '../../../lib/namespace/rows.ts';
import { deviceName } from '../../../lib/wiring/bridge.ts';
import type { L3Options } from '../options.ts';
import { byValue } from './memo.ts';
import { routerNamespace } from './namespace.ts';

/** Hosts reach the metadata service through the router, not on the link (since Neutron 17). */
const METADATA = 'fe80::a9fe:a9fe/128';

const withoutSlash = (directory: string): string => directory.replace(/\/+$/, '');

/** Neutron's names. */
export const radvdPlace = (routerId: string, options: L3Options): RadvdPlace => ({
  ns: routerNamespace(routerId, options.namespace_suffix),
  id: routerId,
  confPath: `${withoutSlash(options.ra_confs)}/${routerId}.radvd.conf`,
  pidFile: `${withoutSlash(options.external_pids)}/${routerId}.pid.radvd`,
});

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/**
 * One for each internal port that is up and has an IPv6 subnet. Ordered by device and subnet id: a database promises no
 * order, and another one would be another file.
 */
export const advertisementsOf = (router: Router): Advertisement[] =>
  router._interfaces
    .flatMap((port) => {
      const subnets = port.subnets
        .filter(({ cidr }) => parseCidr(cidr).family === 6)
        .sort((a, b) => compare(a.id, b.id));
      if (!port.admin_state_up || subnets.length === 0) return [];
      const device = deviceName('qr-', port.id);
      return [advertisementOf({ device, mtu: port.mtu, routes: [METADATA], defaultRouter: true }, subnets)];
    })
    .sort((a, b) => compare(a.device, b.device));

interface RadvdInput {
  readonly place: RadvdPlace;
  readonly conf: string;
  readonly user: string;
}

const radvd = byValue(({ place, conf, user }: RadvdInput): RowGroup => radvdRows(place, conf, user));

/** radvd's file and process; nothing for a router without IPv6. */
export function announcement(router: Router, options: L3Options, template: Template): RowGroup[] {
  const advertisements = advertisementsOf(router);
  if (advertisements.length === 0) return [];
  const conf = radvdConf(template, `router ${router.id}`, advertisements, options);
  return [radvd({ place: radvdPlace(router.id, options), conf, user: options.radvd_user })];
}
