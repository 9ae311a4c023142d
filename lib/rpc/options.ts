import { readOptions } from '../model/options.ts';
import {
  fields,
  flag,
  integer,
  matching,
  number,
  oneOf,
  orElse,
  type Read,
  text,
  where,
} from '../model/reader.ts';
import { type Broker, parseTransportUrl } from './transport-url.ts';

const seconds = (missing: number) =>
  orElse(
    where(number, (value) => value >= 0, 'must be 0 or more'),
    missing,
  );
const timeout = (missing: number) =>
  orElse(
    where(number, (value) => value > 0, 'must be more than 0'),
    missing,
  );
const count = (missing: number) => orElse(integer(0, Number.MAX_SAFE_INTEGER), missing);
const words = (missing: string) => orElse(text, missing);

const rabbitShape = fields({
  amqp_durable_queues: flag(false),
  amqp_auto_delete: flag(false),
  ssl: flag(false),
  /** '' = whatever both sides know */
  ssl_version: orElse(
    matching(/^(|tls|sslv23|tlsv1|tlsv1_1|tlsv1_2)$/i, 'must be empty, TLSv1, TLSv1_1 or TLSv1_2'),
    '',
  ),
  ssl_key_file: words(''),
  ssl_cert_file: words(''),
  ssl_ca_file: words(''),
  /** counts only together with ssl_ca_file */
  ssl_enforce_hostname_verification: flag(true),
  kombu_reconnect_delay: seconds(1),
  kombu_reconnect_splay: seconds(0),
  kombu_missing_consumer_retry_timeout: seconds(60),
  kombu_failover_strategy: orElse(oneOf('round-robin', 'shuffle'), 'round-robin'),
  rabbit_login_method: orElse(oneOf('AMQPLAIN', 'PLAIN', 'EXTERNAL'), 'AMQPLAIN'),
  rabbit_retry_interval: seconds(1),
  rabbit_retry_backoff: seconds(2),
  rabbit_interval_max: seconds(30),
  rabbit_ha_queues: flag(false),
  rabbit_quorum_queue: flag(false),
  rabbit_transient_quorum_queue: flag(false),
  rabbit_quorum_delivery_limit: count(0),
  rabbit_quorum_max_memory_length: count(0),
  rabbit_quorum_max_memory_bytes: count(0),
  /** seconds; 0 = queues never expire */
  rabbit_transient_queues_ttl: count(1800),
  rabbit_qos_prefetch_count: count(0),
  /** seconds; 0 = no AMQP heartbeats */
  heartbeat_timeout_threshold: count(60),
  enable_cancel_on_failover: flag(false),
  rabbit_stream_fanout: flag(false),
});

/** [oslo_messaging_rabbit], under oslo's names (`oslo_messaging/_drivers/impl_rabbit.py`, `amqp.py`). */
export type RabbitOptions = Read<typeof rabbitShape>;

const generalShape = fields({
  transport_url: words('rabbit://'),
  control_exchange: orElse(
    where(text, (value) => value !== '', 'must not be empty'),
    'neutron',
  ),
  rpc_response_timeout: timeout(60),
  rpc_response_max_timeout: timeout(600),
});

/** The URL holds passwords. */
const ERRORS = { subject: '', secret: ['transport_url'] };

/** What lib/rpc needs to know; the names and defaults are Neutron's and oslo's. */
export type RpcOptions = Read<typeof generalShape> & {
  readonly rabbit: RabbitOptions;
  readonly brokers: readonly Broker[];
  readonly virtualHost: string;
};

/**
 * Options from one record ([DEFAULT] and [oslo_messaging_rabbit]; the names are distinct) with defaults for what is
 * not given; other keys are left out. The query of the transport URL overrides [oslo_messaging_rabbit].
 * Throws TypeError naming option, value and what is wrong.
 */
export function rpcOptions(given: Readonly<Record<string, unknown>> = {}): RpcOptions {
  const general = readOptions(generalShape, given, ERRORS);
  const { brokers, virtualHost, overrides } = parseTransportUrl(general.transport_url);
  const rabbit = readOptions(rabbitShape, { ...given, ...typedOverrides(overrides) }, ERRORS);
  if (rabbit.rabbit_ha_queues && rabbit.rabbit_quorum_queue) {
    throw new TypeError(
      'rabbit_ha_queues and rabbit_quorum_queue exclude each other: use rabbit_quorum_queue',
    );
  }
  if (rabbit.rabbit_stream_fanout && rabbit.rabbit_qos_prefetch_count === 0) {
    throw new TypeError('rabbit_stream_fanout needs rabbit_qos_prefetch_count above 0');
  }
  return { ...general, brokers, virtualHost, rabbit };
}

/** The texts of a query as the types that the options have. */
function typedOverrides(overrides: Readonly<Record<string, string>>): Record<string, unknown> {
  const defaults: Readonly<Record<string, unknown>> = rabbitShape({});
  const typed = (name: string, text: string): unknown => {
    const wanted = typeof defaults[name];
    if (wanted === 'number' && text !== '') return Number(text);
    if (wanted === 'boolean' && /^(1|true|yes|on)$/i.test(text)) return true;
    if (wanted === 'boolean' && /^(0|false|no|off)$/i.test(text)) return false;
    return text;
  };
  return Object.fromEntries(Object.entries(overrides).map(([name, text]) => [name, typed(name, text)]));
}
