import type { Template } from '../../../lib/daemon/template.ts';
import type { Router } from '../../../lib/model/router.ts';
import type { RowGroup } from '../../../lib/namespace/rows.ts';
import { withoutDevices } from '../../../lib/wiring/bare.ts';
import type { L3Options } from '../options.ts';
import { centralizedRouter } from './centralized.ts';

/** Facts of this host that rows depend on. */
export interface L3Host {
  /** the agent's `host`: what port bindings and `gw_port_host` call it */
  readonly name: string;
  /** templates/radvd.conf.hbs; absent on a host without IPv6, where nothing is announced */
  readonly radvd?: Template;
}

/** What to build of a router on this host (`agent.py`, `_create_router`). */
export type RouterKind = 'centralized' | 'ha' | 'dvr-local' | 'dvr-edge' | 'dvr-edge-ha';

/** A router this agent can't build; `message` says which and why. Its namespace stays as it is. */
export class UnsupportedRouterError extends Error {
  override readonly name = 'UnsupportedRouterError';
  readonly routerId: string;

  constructor(routerId: string, reason: string) {
    super(`router ${routerId} ${reason}`);
    this.routerId = routerId;
  }
}

export function routerKind(router: Router, { agent_mode }: L3Options): RouterKind {
  if (!router.distributed) return router.ha ? 'ha' : 'centralized';
  if (agent_mode !== 'dvr_snat') return 'dvr-local';
  return router.ha && router._ha_interface ? 'dvr-edge-ha' : 'dvr-edge';
}

/** True when the router must not exist here: admin-down, or internal-only on an agent that takes none of those. */
const notForThisAgent = (router: Router, options: L3Options): boolean =>
  router.admin_state_up === false || (!router.gw_port && !options.handle_internal_only_routers);

export interface RouterInput {
  readonly router: Router;
  readonly host: L3Host;
  readonly options: L3Options;
}

/**
 * All rows of a router on this host; no groups at all for one that must not exist here. Pure, and
 * what did not change since an earlier call is the same array again. Throws UnsupportedRouterError.
 */
export function compileRouter({ router, host, options }: RouterInput): RowGroup[] {
  if (notForThisAgent(router, options)) return [];
  const kind = routerKind(router, options);
  if (kind === 'centralized') {
    const groups = centralizedRouter(router, host, options);
    return options.wiring === 'null' ? withoutDevices(groups) : groups;
  }
  throw new UnsupportedRouterError(
    router.id,
    `is of kind "${kind}" (ha ${Boolean(router.ha)}, distributed ${Boolean(router.distributed)}), ` +
      'which this version does not build: set ha and distributed to false',
  );
}
