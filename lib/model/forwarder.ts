/**
 * A name server as dnsmasq's `--server` takes it (dnsmasq(8)): an address, perhaps with a port, a device or source address
 * to ask from, and the domains it is asked for: `192.0.2.53`, `fd00::53#5353@eth0`, `/lab.example/192.0.2.53`. For
 * domains it may be missing (nobody is asked) or `#` (the usual ones are).
 */
import { isIp } from './ip.ts';

const DOMAINS = /^\/([\w*.-]*\/)+/;
const PORT = /#\d{1,5}$/;
const FROM = /^[\w.:-]{1,39}$/;

export function isForwarder(text: string): boolean {
  const domains = DOMAINS.exec(text)?.[0] ?? '';
  const server = text.slice(domains.length);
  if (domains && (server === '' || server === '#')) return true;
  const [address = '', ...from] = server.split('@').map((part) => part.replace(PORT, ''));
  return isIp(address) && from.length < 3 && from.every((part) => FROM.test(part));
}
