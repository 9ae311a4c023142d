import { z } from 'zod';
import { type Broker, parseTransportUrl } from './transport-url.ts';

const seconds = z.number().min(0);
const count = z.number().int().min(0);

const rabbitSchema = z.object({
  amqp_durable_queues: z.boolean().default(false),
  amqp_auto_delete: z.boolean().default(false),
  ssl: z.boolean().default(false),
  /** '' = whatever both sides know */
  ssl_version: z
    .string()
    .regex(/^(|tls|sslv23|tlsv1|tlsv1_1|tlsv1_2)$/i, 'must be empty, TLSv1, TLSv1_1 or TLSv1_2')
    .default(''),
  ssl_key_file: z.string().default(''),
  ssl_cert_file: z.string().default(''),
  ssl_ca_file: z.string().default(''),
  /** counts only together with ssl_ca_file */
  ssl_enforce_hostname_verification: z.boolean().default(true),
  kombu_reconnect_delay: seconds.default(1),
  kombu_reconnect_splay: seconds.default(0),
  kombu_missing_consumer_retry_timeout: seconds.default(60),
  kombu_failover_strategy: z.enum(['round-robin', 'shuffle']).default('round-robin'),
  rabbit_login_method: z.enum(['AMQPLAIN', 'PLAIN', 'EXTERNAL']).default('AMQPLAIN'),
  rabbit_retry_interval: seconds.default(1),
  rabbit_retry_backoff: seconds.default(2),
  rabbit_interval_max: seconds.default(30),
  rabbit_ha_queues: z.boolean().default(false),
  rabbit_quorum_queue: z.boolean().default(false),
  rabbit_transient_quorum_queue: z.boolean().default(false),
  rabbit_quorum_delivery_limit: count.default(0),
  rabbit_quorum_max_memory_length: count.default(0),
  rabbit_quorum_max_memory_bytes: count.default(0),
  /** seconds; 0 = queues never expire */
  rabbit_transient_queues_ttl: count.default(1800),
  rabbit_qos_prefetch_count: count.default(0),
  /** seconds; 0 = no AMQP heartbeats */
  heartbeat_timeout_threshold: count.default(60),
  enable_cancel_on_failover: z.boolean().default(false),
  rabbit_stream_fanout: z.boolean().default(false),
});

/** [oslo_messaging_rabbit], under oslo's names (`oslo_messaging/_drivers/impl_rabbit.py`, `amqp.py`). */
export type RabbitOptions = Readonly<z.infer<typeof rabbitSchema>>;

const generalSchema = z.object({
  transport_url: z.string().default('rabbit://'),
  control_exchange: z.string().min(1).default('neutron'),
  rpc_response_timeout: z.number().positive().default(60),
  rpc_response_max_timeout: z.number().positive().default(600),
});

/** What lib/rpc needs to know; the names and defaults are Neutron's and oslo's. */
export type RpcOptions = Readonly<z.infer<typeof generalSchema>> & {
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
  const general = checked(generalSchema, given);
  const { brokers, virtualHost, overrides } = parseTransportUrl(general.transport_url);
  const rabbit = checked(rabbitSchema, { ...given, ...typedOverrides(overrides) });
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
  const defaults: Readonly<Record<string, unknown>> = rabbitSchema.parse({});
  const typed = (name: string, text: string): unknown => {
    const wanted = typeof defaults[name];
    if (wanted === 'number' && text !== '') return Number(text);
    if (wanted === 'boolean' && /^(1|true|yes|on)$/i.test(text)) return true;
    if (wanted === 'boolean' && /^(0|false|no|off)$/i.test(text)) return false;
    return text;
  };
  return Object.fromEntries(Object.entries(overrides).map(([name, text]) => [name, typed(name, text)]));
}

function checked<T extends z.ZodType>(schema: T, given: Readonly<Record<string, unknown>>): z.output<T> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const name = String(issue.path[0] ?? 'options');
  // The URL holds passwords.
  const shown = name === 'transport_url' ? '' : ` = ${JSON.stringify(given[name])}`;
  throw new TypeError(`${name}${shown}: ${issue.message}`);
}
