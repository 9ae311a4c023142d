/** Names under which configuration and payloads carry secrets. */
const NAMES = [
  'password',
  'auth_pass',
  'ha_vrrp_auth_password',
  'secret',
  'metadata_proxy_shared_secret',
  'transport_url',
  'token',
];

/** Paths for pino's redaction: the names at the top of a record and one or two levels below. */
export const secretPaths: string[] = NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** `scheme://user:password@host` with the password masked: broker URLs turn up inside error messages. */
export function maskCredentials(text: string): string {
  return text.replace(/(:\/\/[^\s:/@"']*):[^\s@"'/]*@/g, '$1:***@');
}
