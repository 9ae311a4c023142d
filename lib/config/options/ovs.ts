import { boolean, declaring, integer, oneOf, string } from '../option.ts';

const option = declaring('OVS', 'neutron/conf/plugins/ml2/drivers/ovs_conf.py');
const api = declaring('OVS', 'neutron/conf/agent/ovsdb_api.py');
const L2 = 'it belongs to the bridge, which the L2 agent makes';

/** ovs-vswitchd's own forms of a connection: tcp and ssl with port, or a unix socket. */
const connection = (text: string): string | undefined =>
  /^(tcp|ssl):(\[[0-9a-f:.]+\]|[\w.-]+):\d{1,5}$/i.test(text) || /^unix:.+/.test(text)
    ? undefined
    : 'tcp:ADDRESS:PORT, ssl:ADDRESS:PORT or unix:PATH';

export const ovsOptions = [
  option('integration_bridge', string({ maxLength: 15 }), 'br-int', 'bridge that ports are plugged into', {
    formerly: [{ name: 'ovs_integration_bridge' }, { group: 'DEFAULT', name: 'ovs_integration_bridge' }],
  }),
  api('ovsdb_connection', string({ check: connection }), 'tcp:127.0.0.1:6640', 'where ovsdb-server listens'),
  api('ssl_key_file', string(), null, 'key of the client certificate, for ssl: connections (PEM)'),
  api('ssl_cert_file', string(), null, 'client certificate (PEM)'),
  api('ssl_ca_cert_file', string(), null, "authorities of ovsdb-server's certificate (PEM)"),
  api('ovsdb_debug', boolean, false, 'log OVSDB in detail', { unused: 'debug logs it' }),
  option('ovsdb_timeout', integer(1), 10, 'seconds until a transaction has failed', {
    source: 'neutron/conf/agent/ovs_conf.py',
  }),
  option('datapath_type', oneOf('system', 'netdev'), 'system', 'datapath of the bridge'),
  option('bridge_mac_table_size', integer(), 50000, 'MAC addresses a bridge learns', {
    source: 'neutron/conf/agent/ovs_conf.py',
    unused: L2,
  }),
  option('igmp_snooping_enable', boolean, false, 'IGMP snooping of the bridge', {
    source: 'neutron/conf/agent/ovs_conf.py',
    unused: L2,
  }),
];
