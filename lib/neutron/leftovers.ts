/**
 * What Neutron's agents have beside a namespace of theirs, for one that is to be removed: processes known by pid file,
 * and their configuration (`neutron/agent/linux/external_process.py`, contract l3.md §1 and §20). Pure.
 */
import type { ConfigValues } from '../config/resolve.ts';
import {
  type DaemonRow,
  daemon,
  type FileRow,
  file,
  type NamespaceName,
  type Row,
} from '../namespace/rows.ts';

/** Where the agents keep things, as their configuration says. */
export interface NeutronPaths {
  readonly external_pids: string;
  readonly ra_confs: string;
  readonly ha_confs_path: string;
  readonly state_path: string;
}

export function neutronPaths({ DEFAULT = {} }: ConfigValues): NeutronPaths {
  const state = String(DEFAULT.state_path);
  const path = (name: string, otherwise: string): string => String(DEFAULT[name] ?? `${state}/${otherwise}`);
  return {
    external_pids: path('external_pids', 'external/pids'),
    ra_confs: path('ra_confs', 'ra'),
    ha_confs_path: path('ha_confs_path', 'ha_confs'),
    state_path: state,
  };
}

export const haproxyPidFile = (paths: NeutronPaths, id: string): string =>
  `${paths.external_pids}/${id}.pid.haproxy`;
export const haproxyConfiguration = (paths: NeutronPaths, id: string): string =>
  `${paths.state_path}/ns-metadata-proxy/${id}.conf`;

const process = (ns: NamespaceName, service: string, id: string, pidFile: string): DaemonRow =>
  daemon({ ns, service, id, argv: [service, id], pidFile });
const configuration = (ns: NamespaceName, path: string): FileRow => file({ ns, path, content: '' });

const metadataProxy = (ns: NamespaceName, id: string, paths: NeutronPaths): Row[] => [
  process(ns, 'haproxy', id, haproxyPidFile(paths, id)),
  configuration(ns, haproxyConfiguration(paths, id)),
];

export const routerLeftovers = (ns: NamespaceName, id: string, paths: NeutronPaths): Row[] => [
  ...metadataProxy(ns, id, paths),
  // Its last word would take the router from hosts that have it elsewhere by now.
  { ...process(ns, 'radvd', id, `${paths.external_pids}/${id}.pid.radvd`), endsBy: 'SIGKILL' },
  configuration(ns, `${paths.ra_confs}/${id}.radvd.conf`),
  process(ns, 'keepalived', id, `${paths.ha_confs_path}/${id}.pid.keepalived`),
];

/** dnsmasq and its directory are the DHCP agent's own business. */
export const networkLeftovers = metadataProxy;
