import { boolean, declaring, host, integer, list, oneOf, port, string } from '../option.ts';

const SOURCE = 'neutron/conf/agent/metadata/config.py';
const option = declaring('DEFAULT', SOURCE);
const limit = declaring('metadata_rate_limiting', SOURCE);
const haproxy = declaring('metadata_haproxy', SOURCE);
const seconds = integer(1, 86_400);

/** Options that the L3 and DHCP agents share with the metadata agent. */
export const metadataSocketOptions = [
  option(
    'metadata_proxy_socket',
    string(),
    '$state_path/metadata_proxy',
    'unix socket of the metadata agent, where proxies bring requests',
  ),
  option('metadata_proxy_user', string(), '', 'user of the proxies; decides the mode of the socket'),
  option('metadata_proxy_group', string(), '', 'group of the proxies; decides the mode of the socket'),
];

export const metadataAgentOptions = [
  option(
    'metadata_proxy_socket_mode',
    oneOf('deduce', 'user', 'group', 'all'),
    'deduce',
    'mode of the socket: 0644, 0664, 0666, or the least that proxy user and group need',
  ),
  option('nova_metadata_host', host, '127.0.0.1', 'where Nova answers metadata requests'),
  option('nova_metadata_port', port, 8775, 'its TCP port'),
  option('nova_metadata_protocol', oneOf('http', 'https'), 'http', 'its protocol'),
  option('nova_metadata_insecure', boolean, false, 'accept any certificate'),
  option('auth_ca_cert', string(), null, "authorities of Nova's certificate (PEM); unset: the system's"),
  option('nova_client_cert', string(), '', 'client certificate (PEM)'),
  option('nova_client_priv_key', string(), '', 'key of the client certificate (PEM)'),
  option('metadata_proxy_shared_secret', string(), '', 'signs instance ids; the same at Nova', {
    secret: true,
  }),
  option('metadata_workers', integer(0, 4096), ({ cpus }) => Math.floor(cpus / 2), 'worker processes', {
    unused: 'one process answers all namespaces',
  }),
  option('metadata_backlog', integer(1, 65535), 4096, 'connections that may wait to be accepted'),
];

/** [metadata_rate_limiting] and [metadata_haproxy]: the proxies inside namespaces. */
export const metadataProxyOptions = [
  limit('rate_limit_enabled', boolean, false, 'limit requests per source address'),
  limit('ip_versions', list(integer(4, 6)), [4], 'IP version that is limited, 4 or 6'),
  limit('base_window_duration', integer(1), 10, 'seconds of the long window'),
  limit('base_query_rate_limit', integer(1), 10, 'requests in it'),
  limit('burst_window_duration', integer(1), 10, 'seconds of the short window'),
  limit('burst_query_rate_limit', integer(1), 10, 'requests in it'),
  haproxy('timeout_connect', seconds, 30, 'seconds to reach the metadata service'),
  haproxy('timeout_client', seconds, 32, 'seconds a client may be silent'),
  haproxy('timeout_server', seconds, 32, 'seconds the metadata service may be silent'),
  haproxy('timeout_http_request', seconds, 30, 'seconds for the head of a request'),
  haproxy('timeout_http_keep_alive', seconds, 30, 'seconds between requests of a connection'),
];

const cache = declaring('cache', 'oslo_cache/_opts.py', {
  unused: 'answers are kept in memory and follow the notifications of the server; no oslo.cache',
});

/** [cache] of Zed. Only what switches it on; the rest of the section is known by name. */
export const cacheOptions = [
  cache('enabled', boolean, false, 'cache ports in memcached or the like'),
  cache('backend', string(), 'dogpile.cache.null', 'module of the cache'),
  cache('expiration_time', integer(), 600, 'seconds'),
];
