/**
 * The metadata agent's options with Neutron's names and defaults (neutron/conf/agent/metadata/config.py,
 * contract/metadata.md §8), as they come from INI files (text) or from code (typed values).
 */
import { z } from 'zod';

const TRUE = new Set(['true', '1', 'yes', 'on', 't', 'y']);
const FALSE = new Set(['false', '0', 'no', 'off', 'f', 'n', '']);

const flag = z.union([
  z.boolean(),
  z.string().transform((text, context) => {
    const word = text.trim().toLowerCase();
    if (TRUE.has(word)) return true;
    if (FALSE.has(word)) return false;
    context.addIssue({ code: 'custom', message: 'is neither true nor false' });
    return z.NEVER;
  }),
]);

const integer = (min: number, max: number) =>
  z
    .union([
      z.number(),
      z
        .string()
        .regex(/^\s*\d+\s*$/, 'is not a number')
        .transform(Number),
    ])
    .pipe(z.number().int().min(min).max(max));

const port = integer(1, 65535);
const seconds = integer(1, 86_400);

const schema = z.object({
  nova_metadata_host: z.string().min(1).default('127.0.0.1'),
  nova_metadata_port: port.default(8775),
  nova_metadata_protocol: z.enum(['http', 'https']).default('http'),
  /** no verification of Nova's certificate; overrides auth_ca_cert */
  nova_metadata_insecure: flag.default(false),
  /** path of a PEM file; '' = the system's authorities */
  auth_ca_cert: z.string().default(''),
  /** paths of PEM files; used only if both are set */
  nova_client_cert: z.string().default(''),
  nova_client_priv_key: z.string().default(''),
  /** secret: never logged */
  metadata_proxy_shared_secret: z.string().default(''),
  /** accepted, without effect: one process serves every namespace and needs no workers of its own */
  metadata_workers: integer(0, 4096).optional(),
  metadata_backlog: integer(1, 65535).default(4096),

  enable_metadata_proxy: flag.default(true),
  metadata_port: port.default(9697),
  enable_isolated_metadata: flag.default(false),
  force_metadata: flag.default(false),
  enable_metadata_network: flag.default(false),
  /** end of the names of namespaces */
  namespace_suffix: z.string().default(''),

  /** [metadata_haproxy] */
  timeout_client: seconds.default(32),
  timeout_http_request: seconds.default(30),
  timeout_http_keep_alive: seconds.default(30),
  timeout_connect: seconds.default(30),
  /** seconds until the service must have begun its answer; Neutron's agent gives up after 60 */
  timeout_server: seconds.default(60),

  /** [metadata_rate_limiting] */
  rate_limit_enabled: flag.default(false),
  ip_versions: z.array(z.number()).default([4]),
  base_window_duration: seconds.default(10),
  base_query_rate_limit: integer(1, 1_000_000).default(10),
  burst_window_duration: seconds.default(10),
  burst_query_rate_limit: integer(1, 1_000_000).default(10),
});

export type MetadataOptions = z.output<typeof schema>;

/** Unknown options are ignored: the files hold other programs' options too. @throws TypeError naming the option */
export function parseMetadataOptions(values: Readonly<Record<string, unknown>> = {}): MetadataOptions {
  const parsed = schema.safeParse(values);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `option ${issue.path.join('.')}: ${issue.message}`);
  throw new TypeError(`metadata agent: ${problems.join('; ')}`);
}
