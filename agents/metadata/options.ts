/**
 * The metadata agent's options with Neutron's names and defaults (neutron/conf/agent/metadata/config.py,
 * contract/metadata.md §8), as they come from INI files (text) or from code (typed values).
 */
import { readOptions } from '../../lib/model/options.ts';
import {
  fields,
  Invalid,
  list,
  matching,
  number,
  oneOf,
  optional,
  orElse,
  type Read,
  type Reader,
  text,
  where,
  integer as wholeNumber,
} from '../../lib/model/reader.ts';

const TRUE = new Set(['true', '1', 'yes', 'on', 't', 'y']);
const FALSE = new Set(['false', '0', 'no', 'off', 'f', 'n', '']);

const truth: Reader<boolean> = (value) => {
  if (typeof value === 'boolean') return value;
  const word = text(value).trim().toLowerCase();
  if (TRUE.has(word)) return true;
  if (FALSE.has(word)) return false;
  throw new Invalid(value, 'is neither true nor false');
};
const flag = (missing: boolean) => orElse(truth, missing);

const digits = matching(/^\s*\d+\s*$/, 'is not a number');
const integer = (least: number, most: number): Reader<number> => {
  const read = wholeNumber(least, most);
  return (value) => read(typeof value === 'string' ? Number(digits(value)) : value);
};
const words = (missing: string): Reader<string> => orElse(text, missing);

const port = integer(1, 65535);
const seconds = integer(1, 86_400);

const shape = fields({
  nova_metadata_host: orElse(
    where(text, (value) => value !== '', 'must not be empty'),
    '127.0.0.1',
  ),
  nova_metadata_port: orElse(port, 8775),
  nova_metadata_protocol: orElse(oneOf('http', 'https'), 'http'),
  /** no verification of Nova's certificate; overrides auth_ca_cert */
  nova_metadata_insecure: flag(false),
  /** path of a PEM file; '' = the system's authorities */
  auth_ca_cert: words(''),
  /** paths of PEM files; used only if both are set */
  nova_client_cert: words(''),
  nova_client_priv_key: words(''),
  /** secret: never logged */
  metadata_proxy_shared_secret: words(''),
  /** accepted, without effect: one process serves every namespace and needs no workers of its own */
  metadata_workers: optional(integer(0, 4096)),
  metadata_backlog: orElse(integer(1, 65535), 4096),

  enable_metadata_proxy: flag(true),
  metadata_port: orElse(port, 9697),
  enable_isolated_metadata: flag(false),
  force_metadata: flag(false),
  enable_metadata_network: flag(false),
  /** end of the names of namespaces */
  namespace_suffix: words(''),

  /** [metadata_haproxy] */
  timeout_client: orElse(seconds, 32),
  timeout_http_request: orElse(seconds, 30),
  timeout_http_keep_alive: orElse(seconds, 30),
  timeout_connect: orElse(seconds, 30),
  /** seconds until the service must have begun its answer; Neutron's agent gives up after 60 */
  timeout_server: orElse(seconds, 60),

  /** [metadata_rate_limiting] */
  rate_limit_enabled: flag(false),
  ip_versions: orElse(list(number), [4]),
  base_window_duration: orElse(seconds, 10),
  base_query_rate_limit: orElse(integer(1, 1_000_000), 10),
  burst_window_duration: orElse(seconds, 10),
  burst_query_rate_limit: orElse(integer(1, 1_000_000), 10),
});

export type MetadataOptions = Read<typeof shape>;

/**
 * Unknown options are ignored: the files hold other programs' options too.
 * @throws TypeError naming the option, without its value, which may be the secret
 */
export const parseMetadataOptions = (values: Readonly<Record<string, unknown>> = {}): MetadataOptions =>
  readOptions(shape, values, { subject: 'metadata agent: option ', secret: 'all' });
