/** The routers every variant builds, from payloads in the server's shape to rows. */
import { compileRouter } from '../../agents/l3/compile/router.ts';
import { l3Options } from '../../agents/l3/options.ts';
import { parseRouter, type Router } from '../../lib/model/router.ts';
import type { RowGroup } from '../../lib/namespace/rows.ts';
import { routerPayload } from '../kernel/routers.ts';

export type Payload = ReturnType<typeof routerPayload>;

const host = { name: 'bench' };
const options = l3Options();

/** Two tenant subnets, gateway with SNAT, and floating IPs (issue: 5 each). */
export const payloadOf = (n: number, floatingIps = 5): Payload =>
  routerPayload(n, { subnets: 2, floatingIps });

export const payloads = (count: number): Payload[] =>
  Array.from({ length: count }, (_, i) => payloadOf(i + 1));

export const compiled = (router: Router): RowGroup[] => compileRouter({ router, host, options });

export const groupsOf = (payload: unknown): RowGroup[] => compiled(parseRouter(payload));
