import { expect, it } from 'vitest';
import { unbuiltFeatures } from '../../../agents/l3/unbuilt-features.ts';

const ALL = ['port_forwarding', 'conntrack_helper', 'ndp_proxy', 'fip_qos', 'gateway_ip_qos', 'snat_log'];
const ROUTER = {
  id: 'r',
  port_forwardings_fip_set: ['203.0.113.9/32'],
  conntrack_helpers: [{ id: 'h' }],
  enable_ndp_proxy: true,
  external_gateway_info: { qos_policy_id: 'p' },
  _floatingips: [{ qos_policy_id: null }, { qos_policy_id: 'p' }],
};

it('names every feature an extension of Neutron’s agent has built', () => {
  expect(unbuiltFeatures(ROUTER, ALL)).toEqual([
    'port forwardings',
    'connection tracking helpers',
    'NDP proxies',
    'QoS of floating IPs',
    'QoS of the gateway',
  ]);
});

it('names none whose extension is not loaded', () => {
  expect(unbuiltFeatures(ROUTER, [])).toEqual([]);
  expect(unbuiltFeatures(ROUTER, ['ndp_proxy'])).toEqual(['NDP proxies']);
});

it('names none of a router without, or of one nobody can read', () => {
  const plain = {
    port_forwardings_fip_set: [],
    conntrack_helpers: [],
    enable_ndp_proxy: false,
    external_gateway_info: null,
    _floatingips: [{}],
  };
  expect(unbuiltFeatures({ id: 'r', ...plain }, ALL)).toEqual([]);
  expect(unbuiltFeatures({ id: 'r' }, ALL)).toEqual([]);
  expect(unbuiltFeatures({ conntrack_helpers: 7, _floatingips: 'x', enable_ndp_proxy: 'yes' }, ALL)).toEqual(
    [],
  );
  expect(unbuiltFeatures(null, ALL)).toEqual([]);
});
