import type { Router } from '../../../lib/model/router.ts';
import type { RowGroup } from '../../../lib/namespace/rows.ts';
import type { L3Options } from '../options.ts';
import { announcement } from './announcement.ts';
import { floatingIps } from './floating-ips.ts';
import { gateway, gatewayDevice } from './gateway.ts';
import { namespace, routerNamespace } from './namespace.ts';
import { internalPorts } from './ports.ts';
import type { L3Host } from './router.ts';
import { routes } from './routes.ts';
import { ruleset } from './ruleset.ts';

/** A router that is whole on this host: everything in one `qrouter-` namespace. */
export function centralizedRouter(router: Router, host: L3Host, options: L3Options): RowGroup[] {
  const ns = routerNamespace(router.id, options.namespace_suffix);
  const port = router.gw_port;
  return [
    namespace(ns),
    ...internalPorts(router, ns, options),
    ...(port ? [gateway(port, ns, options)] : []),
    ruleset(router, ns, options),
    ...(port ? floatingIps(router, ns, gatewayDevice(port)) : []),
    routes(router, ns, options),
    ...(host.radvd ? announcement(router, options, host.radvd) : []),
  ];
}
