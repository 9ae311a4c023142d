/** Which prefixes a router is to be delegated, and where it asks for them (contract l3.md §18). Pure. */
import type { Router } from '../../../lib/model/router.ts';
import { DELEGATED_POOL } from '../../../lib/model/subnet.ts';
import type { Uplink, WantedPrefix } from '../../../lib/prefix-delegation/delegations.ts';
import type { L3Options } from '../options.ts';
import { gatewayDevice } from './gateway.ts';
import { routerNamespace } from './namespace.ts';

/** Where the provider is; undefined: the router leads nowhere. */
export const uplinkOf = (router: Router, { namespace_suffix }: L3Options): Uplink | undefined =>
  router.gw_port
    ? { ns: routerNamespace(router.id, namespace_suffix), device: gatewayDevice(router.gw_port) }
    : undefined;

/** Subnets of its ports whose prefix is the provider's to give. */
export const delegatedSubnets = (router: Router): WantedPrefix[] =>
  router._interfaces
    .filter(({ admin_state_up }) => admin_state_up)
    .flatMap(({ subnets }) => subnets)
    .filter(({ subnetpool_id }) => subnetpool_id === DELEGATED_POOL)
    .map(({ id: subnet, cidr }) => ({ subnet, cidr }));
