/** One broker of a transport URL. */
export interface Broker {
  readonly hostname: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

export interface TransportUrl {
  readonly brokers: readonly Broker[];
  readonly virtualHost: string;
  /** `?name=value`: overrides of [oslo_messaging_rabbit], repeated names joined with a comma */
  readonly overrides: Readonly<Record<string, string>>;
}

const DEFAULT_PORT = 5672;

/**
 * Reads oslo.messaging's `transport_url`: `rabbit://USER:PASS@HOST:PORT,USER:PASS@HOST2:PORT/VHOST?OPTION=VALUE`.
 * A host without credentials is guest/guest, as RabbitMQ's clients have it; it inherits nothing from its neighbour.
 * Throws TypeError naming the part that is wrong, never a password.
 */
export function parseTransportUrl(url: string): TransportUrl {
  const match =
    /^(?<scheme>[a-z]+)(?:\+[a-z0-9_-]+)?:\/\/(?<hosts>[^/?#]*)(?<path>[^?#]*)(?:\?(?<query>[^#]*))?/i.exec(
      url,
    );
  const { scheme = '', hosts = '', path = '', query = '' } = match?.groups ?? {};
  if (!match) throw new TypeError('transport_url: expected rabbit://user:password@host:port/vhost');
  if (!/^(rabbit|kombu)$/i.test(scheme)) {
    throw new TypeError(`transport_url: scheme '${scheme}' is not supported: use rabbit://`);
  }
  const brokers = (hosts === '' ? ['localhost'] : hosts.split(',')).map(parseBroker);
  const virtualHost = decode(path.replace(/^\//, ''), 'virtual host') || '/';
  return { brokers, virtualHost, overrides: parseOverrides(query) };
}

/** 'host:port' for people, IPv6 in brackets. */
export const brokerName = ({ hostname, port }: Broker): string =>
  hostname.includes(':') ? `[${hostname}]:${port}` : `${hostname}:${port}`;

function parseBroker(text: string, index: number): Broker {
  const at = text.lastIndexOf('@');
  const address = text.slice(at + 1).trim();
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]*))(?::(?<port>\d*))?$/.exec(address);
  if (!match) {
    throw new TypeError(
      `transport_url: host ${index + 1}: '${address}' is not host, host:port or [IPv6]:port`,
    );
  }
  const { v6, name, port } = match.groups ?? {};
  const number = port ? Number(port) : DEFAULT_PORT;
  if (number < 1 || number > 65_535) throw new TypeError(`transport_url: port ${port} is not 1 to 65535`);
  const [username = '', ...password] = at < 0 ? [] : text.slice(0, at).split(':');
  return {
    hostname: v6 ?? (name || 'localhost'),
    port: number,
    username: decode(username, 'user name') || 'guest',
    password: decode(password.join(':'), 'password') || 'guest',
  };
}

function parseOverrides(query: string): Record<string, string> {
  const overrides: Record<string, string> = {};
  for (const [name, value] of new URLSearchParams(query)) {
    overrides[name] = Object.hasOwn(overrides, name) ? `${overrides[name]},${value}` : value;
  }
  return overrides;
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(
      `transport_url: the ${what} has a '%' that does not start an escape: write it as %25`,
    );
  }
}
