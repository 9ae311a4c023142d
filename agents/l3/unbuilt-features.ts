/**
 * Features of Neutron's L3 agent that extensions build and this version does not (contract l3.md §21). A router that has
 * them is not taken over from Neutron's agent: its rules go on working as they are. Pure.
 */
import { z } from 'zod';

const some = z.array(z.unknown()).nullish().catch(null);
const policy = z.string().nullish().catch(null);
const payload = z.looseObject({
  port_forwardings_fip_set: some,
  fip_managed_by_port_forwardings: some,
  conntrack_helpers: some,
  enable_ndp_proxy: z.boolean().nullish().catch(null),
  external_gateway_info: z.looseObject({ qos_policy_id: policy }).nullish().catch(null),
  _floatingips: z
    .array(z.looseObject({ qos_policy_id: policy }))
    .nullish()
    .catch(null),
});

type Payload = z.output<typeof payload>;

const EXTENSIONS: Readonly<Record<string, readonly [feature: string, has: (router: Payload) => boolean]>> = {
  port_forwarding: [
    'port forwardings',
    ({ port_forwardings_fip_set, fip_managed_by_port_forwardings }) =>
      !!port_forwardings_fip_set?.length || !!fip_managed_by_port_forwardings?.length,
  ],
  conntrack_helper: ['connection tracking helpers', ({ conntrack_helpers }) => !!conntrack_helpers?.length],
  ndp_proxy: ['NDP proxies', ({ enable_ndp_proxy }) => enable_ndp_proxy === true],
  fip_qos: [
    'QoS of floating IPs',
    ({ _floatingips }) => !!_floatingips?.some(({ qos_policy_id }) => qos_policy_id),
  ],
  gateway_ip_qos: [
    'QoS of the gateway',
    ({ external_gateway_info }) => !!external_gateway_info?.qos_policy_id,
  ],
};

/** @param extensions [AGENT] extensions: what they are not loaded for, Neutron's agent has not built either */
export function unbuiltFeatures(router: unknown, extensions: readonly string[]): string[] {
  const result = payload.safeParse(router);
  if (!result.success) return [];
  return extensions.flatMap((name) => {
    const [feature, has] = EXTENSIONS[name] ?? [];
    return feature && has?.(result.data) ? [feature] : [];
  });
}
