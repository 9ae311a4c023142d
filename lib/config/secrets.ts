import type { OptionDeclaration, OptionValue } from './option.ts';

export const MASK = '***';

/** The value as it may be shown: secrets and the credentials inside URLs are masked. */
export function shown(
  { secret, credentials }: Pick<OptionDeclaration, 'secret' | 'credentials'>,
  value: OptionValue,
): OptionValue {
  if (secret) return value === null || value === '' ? value : MASK;
  return credentials && typeof value === 'string' ? maskUrl(value) : value;
}

const PLAIN_HOST = /^([\w.-]*|\[[0-9a-f:.]*\])(:\d+)?$/i;

/**
 * `rabbit://u1:***@h1:5672,u2:***@h2/vhost` of a transport URL. A password that was not percent-encoded
 * may contain anything, so that in doubt too much is masked.
 */
export function maskUrl(url: string): string {
  const scheme = /^[\w+.-]+:\/\//.exec(url)?.[0] ?? '';
  const rest = url.slice(scheme.length);
  const lastAt = rest.lastIndexOf('@');
  const tail = rest.slice(lastAt + 1).search(/[/?]/);
  const end = tail < 0 ? rest.length : lastAt + 1 + tail;
  let doubtful = false;
  const hosts = rest
    .slice(0, end)
    .split(',')
    .map((host) => {
      const at = host.lastIndexOf('@');
      if (at < 0) {
        doubtful = !PLAIN_HOST.test(host);
        return doubtful ? MASK : host;
      }
      const user = doubtful ? MASK : /^[^:/]*/.exec(host.slice(0, at))![0];
      const password = !doubtful && !host.slice(0, at).includes(':') ? '' : `:${MASK}`;
      doubtful = false;
      return `${user}${password}${host.slice(at)}`;
    });
  return `${scheme}${hosts.join(',')}${rest.slice(end)}`;
}
