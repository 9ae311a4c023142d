/**
 * Features of Neutron's L3 agent that extensions build and this version does not (contract l3.md §21). A router that has
 * them is not taken over from Neutron's agent: its rules go on working as they are. Pure.
 */
import {
  anything,
  fields,
  list,
  nullish,
  orIgnored,
  type Read,
  readIf,
  text,
  truth,
} from '../../lib/model/reader.ts';

const some = orIgnored(nullish(list(anything)), null);
const policy = orIgnored(nullish(text), null);
const payload = fields({
  port_forwardings_fip_set: some,
  fip_managed_by_port_forwardings: some,
  conntrack_helpers: some,
  enable_ndp_proxy: orIgnored(nullish(truth), null),
  external_gateway_info: orIgnored(nullish(fields({ qos_policy_id: policy })), null),
  _floatingips: orIgnored(nullish(list(fields({ qos_policy_id: policy }))), null),
});

type Payload = Read<typeof payload>;

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
  const read = readIf(payload, router);
  if (!read) return [];
  return extensions.flatMap((name) => {
    const [feature, has] = EXTENSIONS[name] ?? [];
    return feature && has?.(read) ? [feature] : [];
  });
}
