import { boolean, declaring, float, integer, oneOf, string } from '../option.ts';

const RABBIT = 'oslo_messaging/_drivers/impl_rabbit.py';
const option = declaring('DEFAULT', 'oslo_messaging/transport.py');
const rabbit = declaring('oslo_messaging_rabbit', RABBIT);
const POOL = 'one connection carries state reports and answers, one all else; nothing is pooled';

const NAMES = 'queues of fanouts and replies are new at each start: what an old one held is asked for anew';

/** `rabbit` with its old alias and suffixes; the driver is the only one there is */
const rabbitUrl = (text: string): string | undefined =>
  /^(rabbit|kombu)(\+\w+)?:\/\//.test(text)
    ? undefined
    : 'a URL rabbit://user:password@host:port/vhost; RabbitMQ is the broker that is supported';

/** How agents reach the broker (contract: oslo.messaging over RabbitMQ). */
export const messagingOptions = [
  option(
    'transport_url',
    string({ check: rabbitUrl }),
    'rabbit://',
    'the broker: rabbit://user:password@host:port[,…]/vhost?option=value',
    { credentials: true },
  ),
  option('control_exchange', string(), 'neutron', 'exchange of topics; the same at the server', {
    source: 'neutron/common/config.py',
  }),
  option('rpc_response_timeout', integer(1), 60, 'seconds until a call times out for the first time', {
    source: 'oslo_messaging/rpc/client.py',
  }),
  option('rpc_response_max_timeout', integer(1), 600, 'seconds a growing timeout may reach', {
    source: 'neutron/conf/service.py',
  }),
  option('executor_thread_pool_size', integer(), 64, 'threads for incoming calls', {
    source: 'oslo_messaging/server.py',
    formerly: [{ name: 'rpc_thread_pool_size' }],
    unused: 'one event loop takes what comes in; the queue of work orders it',
  }),
  option('rpc_ping_enabled', boolean, false, 'answer oslo_rpc_server_ping', {
    source: 'oslo_messaging/rpc/dispatcher.py',
    unused: 'the health of an agent is in its state reports and its metrics',
  }),
];

/** [oslo_messaging_rabbit]: the query of transport_url overrides it. */
export const rabbitOptions = [
  rabbit('amqp_durable_queues', boolean, false, 'queues and exchanges survive a restart of the broker', {
    source: 'oslo_messaging/_drivers/amqp.py',
    formerly: [{ name: 'rabbit_durable_queues' }],
  }),
  rabbit('amqp_auto_delete', boolean, false, 'queues go with their last consumer', {
    source: 'oslo_messaging/_drivers/amqp.py',
    formerly: [{ group: 'DEFAULT' }],
  }),
  rabbit('rpc_conn_pool_size', integer(1), 30, 'connections for sending', {
    unused: POOL,
    formerly: [{ group: 'DEFAULT' }],
  }),
  rabbit('conn_pool_min_size', integer(), 2, 'connections that stay', {
    unused: POOL,
    formerly: [{ group: 'DEFAULT' }],
  }),
  rabbit('conn_pool_ttl', integer(), 1200, 'seconds an idle connection stays', {
    unused: POOL,
    formerly: [{ group: 'DEFAULT' }],
  }),
  rabbit('ssl', boolean, false, 'connect with TLS', { formerly: [{ name: 'rabbit_use_ssl' }] }),
  rabbit('ssl_version', string(), '', 'version of TLS; empty: the best both sides have', {
    formerly: [{ name: 'kombu_ssl_version' }],
  }),
  rabbit('ssl_key_file', string(), '', 'key of the client certificate (PEM)', {
    formerly: [{ name: 'kombu_ssl_keyfile' }],
  }),
  rabbit('ssl_cert_file', string(), '', 'client certificate (PEM)', {
    formerly: [{ name: 'kombu_ssl_certfile' }],
  }),
  rabbit('ssl_ca_file', string(), '', 'authorities that may sign the certificate of the broker (PEM)', {
    formerly: [{ name: 'kombu_ssl_ca_certs' }],
  }),
  rabbit(
    'ssl_enforce_hostname_verification',
    boolean,
    true,
    'with ssl_ca_file: the certificate of the broker must be for the host of the URL',
  ),
  rabbit('ssl_enforce_fips_mode', boolean, false, 'OpenSSL in FIPS mode', {
    unused: 'start Node.js with --enable-fips instead',
  }),
  rabbit('kombu_reconnect_delay', float(0, 4.5), 1, 'seconds before connecting anew', {
    formerly: [{ group: 'DEFAULT' }],
  }),
  rabbit('kombu_reconnect_splay', float(0), 0, 'at most so many random seconds more'),
  rabbit('kombu_compression', string(), null, 'compression of messages', {
    unused: 'messages are sent uncompressed, which every receiver reads',
  }),
  rabbit(
    'kombu_missing_consumer_retry_timeout',
    integer(),
    60,
    'seconds to go on sending a reply whose queue is gone',
    { formerly: [{ name: 'kombu_reconnect_timeout' }] },
  ),
  rabbit(
    'kombu_failover_strategy',
    oneOf('round-robin', 'shuffle'),
    'round-robin',
    'order of brokers to try',
  ),
  rabbit(
    'rabbit_login_method',
    oneOf('PLAIN', 'AMQPLAIN', 'EXTERNAL', 'RABBIT-CR-DEMO'),
    'AMQPLAIN',
    'how to log in',
    { formerly: [{ group: 'DEFAULT' }] },
  ),
  rabbit('rabbit_retry_interval', integer(1), 1, 'seconds between tries to connect, at first'),
  rabbit('rabbit_retry_backoff', integer(0), 2, 'seconds by which that grows', {
    formerly: [{ group: 'DEFAULT' }],
  }),
  rabbit('rabbit_interval_max', integer(1), 30, 'seconds it may reach'),
  rabbit('rabbit_ha_queues', boolean, false, 'mirrored queues (x-ha-policy)', {
    formerly: [{ group: 'DEFAULT' }],
  }),
  rabbit('rabbit_quorum_queue', boolean, false, 'quorum queues for topics'),
  rabbit('rabbit_transient_quorum_queue', boolean, false, 'quorum queues for replies and fanouts'),
  rabbit('rabbit_quorum_delivery_limit', integer(0), 0, 'deliveries until a message is dropped; 0: no limit'),
  rabbit('rabbit_quorum_max_memory_length', integer(0), 0, 'messages held in memory; 0: no limit', {
    formerly: [{ name: 'rabbit_quroum_max_memory_length' }],
  }),
  rabbit('rabbit_quorum_max_memory_bytes', integer(0), 0, 'bytes held in memory; 0: no limit', {
    formerly: [{ name: 'rabbit_quroum_max_memory_bytes' }],
  }),
  rabbit('rabbit_transient_queues_ttl', integer(0), 1800, 'seconds until unused reply and fanout queues go'),
  rabbit('rabbit_qos_prefetch_count', integer(0, 65535), 0, 'messages the broker sends ahead; 0: no limit'),
  rabbit('heartbeat_timeout_threshold', integer(0), 60, 'seconds until a silent broker is lost; 0: never'),
  rabbit('heartbeat_rate', integer(1), 3, 'checks in that time', {
    unused: 'heartbeats are sent and checked twice in the negotiated time, as AMQP asks',
  }),
  rabbit('heartbeat_in_pthread', boolean, false, 'heartbeats in a thread of their own', {
    unused: 'heartbeats never wait for other work here',
  }),
  rabbit('direct_mandatory_flag', boolean, true, 'replies that nobody would get come back', {
    unused: 'it is always on, as in oslo.messaging since the option was deprecated',
  }),
  rabbit('enable_cancel_on_failover', boolean, false, 'consumers are told when a mirrored queue moves'),
  rabbit('use_queue_manager', boolean, false, 'queue names that stay the same over restarts', {
    unused: NAMES,
  }),
  rabbit('hostname', string(), ({ hostname }) => hostname, 'host in those names', { unused: NAMES }),
  rabbit('processname', string(), null, 'process in those names; unset: the name of the program', {
    unused: NAMES,
  }),
  rabbit('rabbit_stream_fanout', boolean, false, 'one stream per fanout in place of queues'),
];
