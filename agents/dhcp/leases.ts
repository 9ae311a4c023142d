/**
 * dnsmasq's lease file (its lease.c): `<expiry> <MAC> <address> <name|*> <client id|*>`; after a line
 * `duid <server DUID>` the same for IPv6 with the IAID for the MAC and the client's DUID for the client id. Pure.
 */
import { isIp, isMac } from '../../lib/model/ip.ts';
import type { Network } from '../../lib/model/network.ts';
import { allSubnets, configuredPorts } from './compile/subnets.ts';

export interface Lease {
  /** seconds since 1970; 0 = infinite */
  readonly expiry: number;
  readonly ip: string;
  readonly family: 4 | 6;
  /** IPv4 only */
  readonly mac?: string;
  /** IPv6 only */
  readonly iaid?: string;
  /** hexadecimal with colons; IPv6: DUID of the client. undefined: none */
  readonly clientId?: string;
  /** as it stands in the file */
  readonly line: string;
}

export interface LeaseFile {
  /** DUID of this server; undefined: it never served DHCPv6 */
  readonly serverDuid?: string;
  readonly leases: readonly Lease[];
}

/** Lines that are none are left out: dnsmasq may be writing. */
export function parseLeases(text: string): LeaseFile {
  let serverDuid: string | undefined;
  const leases: Lease[] = [];
  for (const line of text.split('\n')) {
    const [first, second, ip, , last] = line.split(' ');
    if (first === 'duid') serverDuid = second;
    if (!first || !second || !isIp(ip) || !/^\d+$/.test(first)) continue;
    const family = ip.includes(':') ? 6 : 4;
    // Other hardware than Ethernet has its type before the address: 06-…
    const who = family === 6 ? { iaid: second } : { mac: second.replace(/^[0-9a-f]{2}-/, '') };
    const clientId = last === undefined || last === '*' ? {} : { clientId: last };
    leases.push({ expiry: Number(first), ip, family, ...who, ...clientId, line });
  }
  return { ...(serverDuid === undefined ? {} : { serverDuid }), leases };
}

/** An address that a host file gives to a MAC. */
export interface HostEntry {
  readonly mac: string;
  readonly ip: string;
  /** as configured; undefined: none, or any */
  readonly clientId?: string;
}

/** Spares a closer look at the names. */
const MAY_BE_ADDRESS = /^[0-9a-f.:]+$/i;

/** Entries with addresses of a host file; whoever wrote it, Neutron or we. */
export function parseHosts(text: string): HostEntry[] {
  return text.split('\n').flatMap((line) => {
    const [mac, ...fields] = line.split(',');
    if (!isMac(mac)) return [];
    const id = fields.find((field) => field.startsWith('id:'))?.slice(3);
    return fields
      .map((field) => field.replace(/^\[(.*)\]$/, '$1'))
      .filter((field) => MAY_BE_ADDRESS.test(field) && isIp(field))
      .map((ip) => ({ mac: mac.toLowerCase(), ip, ...(id && id !== '*' ? { clientId: id } : {}) }));
  });
}

export interface StaleInput {
  /** content of the host file that dnsmasq served by until now */
  readonly oldHosts: string;
  /** content of the host file it is to serve by */
  readonly newHosts: string;
  readonly leases: readonly Lease[];
  readonly ports: Network['ports'];
}

/**
 * Leases whose address is no longer that client's. SIGHUP does not make dnsmasq forget them, and it would
 * refuse the address to whoever has it now (`neutron/agent/linux/dhcp.py`, _release_unused_leases).
 */
export function staleLeases({ oldHosts, newHosts, leases, ports }: StaleInput): Lease[] {
  if (leases.length === 0) return [];
  const owners = new Map<string, Set<string>>();
  for (const port of ports)
    for (const { ip_address } of port.fixed_ips) {
      const macs = owners.get(ip_address) ?? new Set();
      owners.set(ip_address, macs.add(port.mac_address));
    }
  const byAddress = (text: string) => new Map(parseHosts(text).map((entry) => [entry.ip, entry]));
  const before = byAddress(oldHosts);
  const after = byAddress(newHosts);
  return leases.filter(({ ip, mac: leased, clientId }) => {
    const mac = leased ?? before.get(ip)?.mac;
    const macs = owners.get(ip);
    if (!macs || (mac !== undefined && !macs.has(mac))) return true;
    // A port without a configured client id takes any; one that got another must let go of the old.
    const configured = after.get(ip)?.clientId;
    return (
      clientId !== undefined &&
      configured !== undefined &&
      before.has(ip) &&
      before.get(ip)?.clientId !== configured
    );
  });
}

export interface InitialLeases {
  readonly network: Network;
  /** content of the lease file as it was left */
  readonly leases: string;
  /** content of the host file by which it came about; empty: not known */
  readonly oldHosts: string;
  /** lines of the host file that dnsmasq is started with */
  readonly newHosts: readonly string[];
  /** dnsmasq does not start with more leases than it may give */
  readonly most?: number;
}

/** A DUID made from a MAC ends with it (RFC 8415, §11). */
const isOf = ({ mac, clientId }: Lease, owner: string | undefined): boolean =>
  owner !== undefined && (mac === owner || (mac === undefined && clientId?.endsWith(owner) === true));

/**
 * Leases that others have of the addresses in these lines of a host file, which are new to dnsmasq: a look
 * through the lease file's text, whatever its length.
 */
export function leasesOfOthers(text: string, hostLines: readonly string[]): Lease[] {
  const owners = new Map(parseHosts(hostLines.join('\n')).map(({ ip, mac }) => [ip, mac]));
  const lines: string[] = [];
  for (let start = 0, end = 0; start < text.length; start = end + 1) {
    end = text.indexOf('\n', start);
    if (end < 0) end = text.length;
    const from = text.indexOf(' ', text.indexOf(' ', start) + 1) + 1;
    if (owners.has(text.slice(from, text.indexOf(' ', from)))) lines.push(text.slice(start, end));
  }
  return parseLeases(lines.join('\n')).leases.filter((lease) => !isOf(lease, owners.get(lease.ip)));
}

/**
 * The lease file dnsmasq is started with: every IPv4 address is leased for ever to its port, so that renewals
 * after a restart, or at another agent, are not refused. IPv6 leases are kept (their IAID is known to nobody else)
 * unless the address is another port's now.
 */
export function initialLeases(given: InitialLeases): string {
  const { network, leases: left, oldHosts, newHosts, most = Number.POSITIVE_INFINITY } = given;
  const subnets = new Map(allSubnets(network).map((subnet) => [subnet.id, subnet]));
  const { serverDuid, leases } = parseLeases(left);
  const stale = new Set(
    staleLeases({ oldHosts, newHosts: newHosts.join('\n'), leases, ports: network.ports }),
  );
  const known = new Map(leases.filter((lease) => !stale.has(lease)).map((lease) => [lease.ip, lease.line]));
  const v4: string[] = [];
  const v6: string[] = [];
  for (const port of configuredPorts(network))
    for (const { subnet_id, ip_address: ip } of port.fixed_ips) {
      const subnet = subnets.get(subnet_id);
      if (!subnet?.enable_dhcp) continue;
      if (subnet.ip_version === 4) v4.push(`0 ${port.mac_address} ${ip} * *`);
      else if (subnet.ipv6_address_mode === null || subnet.ipv6_address_mode === 'dhcpv6-stateful')
        v6.push(known.get(ip) ?? '');
    }
  const duid = serverDuid === undefined ? [] : [`duid ${serverDuid}`];
  const kept = v6.filter((line) => line !== '').slice(0, most);
  return [...v4.slice(0, most - kept.length), ...duid, ...kept].map((line) => `${line}\n`).join('');
}
