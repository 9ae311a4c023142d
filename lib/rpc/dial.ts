/** One attempt to reach one broker. */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { Duplex } from 'node:stream';
import type { ConnectionOptions, SecureVersion } from 'node:tls';
import { type ChannelModel, connect, credentials } from 'amqplib';
import type { RabbitOptions } from './options.ts';
import type { Broker } from './transport-url.ts';

/** Milliseconds of silence during connecting after which the broker counts as gone: frozen ones accept and say nothing. */
const PATIENCE = 10_000;
const SYSTEM_CAS = '/etc/ssl/certs/ca-certificates.crt';
const TLS_VERSIONS: Readonly<Record<string, SecureVersion>> = {
  tlsv1: 'TLSv1',
  tlsv1_1: 'TLSv1.1',
  tlsv1_2: 'TLSv1.2',
};

/**
 * A connection that is logged in. Its certificates are read anew, so that renewed ones count at the next reconnect.
 * @param name shown by `rabbitmqctl list_connections client_properties`
 */
export async function dial(
  broker: Broker,
  virtualHost: string,
  rabbit: RabbitOptions,
  name: string,
): Promise<ChannelModel> {
  const login = {
    AMQPLAIN: () => credentials.amqplain(broker.username, broker.password),
    PLAIN: () => credentials.plain(broker.username, broker.password),
    EXTERNAL: () => credentials.external(),
  };
  return connect(
    {
      protocol: rabbit.ssl ? 'amqps' : 'amqp',
      hostname: broker.hostname,
      port: broker.port,
      vhost: encodeURIComponent(virtualHost),
      heartbeat: rabbit.heartbeat_timeout_threshold,
    },
    {
      ...(rabbit.ssl ? await tlsOptions(rabbit) : {}),
      lookup: lookUp,
      credentials: login[rabbit.rabbit_login_method](),
      noDelay: true,
      keepAlive: true,
      keepAliveDelay: 15_000,
      timeout: PATIENCE,
      clientProperties: { connection_name: name, product: 'Viaduct' },
    },
  );
}

type Found = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void;

/**
 * Node asks for addresses of configured families only. libc then lists the addresses of this machine, and the kernel
 * answers that after whatever holds its network lock: seconds, while namespaces are deleted. A family that does not
 * work is found out by connecting.
 */
const lookUp = (hostname: string, options: LookupOptions, found: Found): void =>
  lookup(hostname, { ...options, hints: 0 }, found);

/** Closes as the protocol has it, but never waits longer than the time for a broker that does not answer. */
export async function hangUp(model: ChannelModel, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([model.close().catch(() => undefined), late]);
  clearTimeout(timer);
  drop(model);
}

/** Frees the socket of a connection that is over: towards a frozen peer it would stay half open for ever. */
export function drop(model: ChannelModel): void {
  const { connection } = model;
  const stream = 'stream' in connection ? connection.stream : undefined;
  if (stream instanceof Duplex) stream.destroy();
}

async function tlsOptions(rabbit: RabbitOptions): Promise<ConnectionOptions> {
  const version = TLS_VERSIONS[rabbit.ssl_version.toLowerCase()];
  const file = async (option: string, path: string): Promise<Buffer | undefined> => {
    if (path === '') return undefined;
    return readFile(path).catch((error: Error) => {
      throw new Error(`[oslo_messaging_rabbit] ${option} = ${path} cannot be read: ${error.message}`);
    });
  };
  const nameCounts = rabbit.ssl_ca_file !== '' && rabbit.ssl_enforce_hostname_verification;
  return {
    ca:
      (await file('ssl_ca_file', rabbit.ssl_ca_file)) ?? (await readFile(SYSTEM_CAS).catch(() => undefined)),
    cert: await file('ssl_cert_file', rabbit.ssl_cert_file),
    key: await file('ssl_key_file', rabbit.ssl_key_file),
    ...(version && { minVersion: version, maxVersion: version }),
    ...(nameCounts ? {} : { checkServerIdentity: () => undefined }),
  };
}
