import { type FloatingIp, floatingIp } from './floating-ip.ts';
import { readAll, readOnce, subjectOf } from './payload.ts';
import { flag, freeText, id, integer, listOf, object, orNull, type Read, route, text } from './reader.ts';
import { type RouterPort, routerPort } from './router-port.ts';

const router = object({
  id,
  name: freeText,
  project_id: freeText,
  admin_state_up: flag(true),
  /** missing means true */
  enable_snat: flag(true),
  distributed: flag(false),
  ha: flag(false),
  /** VRRP router id, 1 to 254; 0 or null: none allocated */
  ha_vr_id: orNull(integer(0, 255)),
  /** what the server believes of this host: active, standby, unknown */
  _ha_state: orNull(text),
  /** host of the centralized part of a distributed router */
  gw_port_host: orNull(text),
  routes: listOf(route),
});

/** A router as the L3 agent is told of it (Neutron: db/l3_db.py, sync_routers). */
export type Router = Read<typeof router> & {
  readonly gw_port: RouterPort | null;
  readonly _interfaces: readonly RouterPort[];
  readonly _floatingips: readonly FloatingIp[];
  readonly _ha_interface: RouterPort | null;
  readonly _snat_router_interfaces: readonly RouterPort[];
  readonly _floatingip_agent_interfaces: readonly RouterPort[];
};
export type ExtraRoute = Router['routes'][number];

const known = new WeakMap<object, Router>();

/**
 * Validates an element of a sync_routers answer. The same payload object gives the same Router; in a new
 * payload, ports and floating IPs that are the same objects as before give the same validated objects,
 * so that a router with a thousand floating IPs of which one is new costs one validation.
 * @throws PayloadError
 */
export function parseRouter(payload: unknown): Router {
  const key = typeof payload === 'object' && payload !== null ? payload : undefined;
  const before = key && known.get(key);
  if (before) return before;
  const subject = subjectOf('router', payload);
  const own = readOnce(router, payload, subject);
  const portOf = (name: string): RouterPort | null => {
    const value = own[name];
    return value === undefined || value === null ? null : readOnce(routerPort, value, subject, [name]);
  };
  const portsOf = (name: string): RouterPort[] => readAll(routerPort, own[name], subject, name);
  const result: Router = {
    ...own,
    gw_port: portOf('gw_port'),
    _interfaces: portsOf('_interfaces'),
    _floatingips: readAll(floatingIp, own._floatingips, subject, '_floatingips'),
    _ha_interface: portOf('_ha_interface'),
    _snat_router_interfaces: portsOf('_snat_router_interfaces'),
    _floatingip_agent_interfaces: portsOf('_floatingip_agent_interfaces'),
  };
  if (key) known.set(key, result);
  return result;
}
