/** Has a running dnsmasq forget the leases of addresses that are somebody else's now, or nobody's. */
import { setTimeout as pause } from 'node:timers/promises';
import { cidrContains, isMac } from '../../lib/model/ip.ts';
import type { Network } from '../../lib/model/network.ts';
import { ownPort } from './compile/identity.ts';
import type { DhcpService } from './compile/network.ts';
import { allSubnets } from './compile/subnets.ts';
import * as files from './directory.ts';
import type { DnsmasqProcess } from './dnsmasq-process.ts';
import { type Lease, parseLeases } from './leases.ts';

/** Neutron's patience with releases: rounds, and milliseconds between them. */
const ROUNDS = 3;
const PAUSE = 300;
/** dnsmasq's answer is a changed lease file, some milliseconds later. */
const ANSWER = 10;
/** Said where a client's is not known: in a DHCPv6 release it has no meaning. */
const NO_MAC = '02:00:00:00:00:00';

export interface ReleaseInput {
  readonly network: Network;
  readonly service: DhcpService;
  readonly hostName: string;
  readonly process: Pick<DnsmasqProcess, 'release' | 'release6'>;
  /** the leases to be forgotten that are still in this text of the lease file */
  readonly stale: (leases: string) => readonly Lease[];
  readonly warn: (message: string) => void;
}

/** What dnsmasq keeps all the same is said, by address. */
export async function releaseLeases(input: ReleaseInput): Promise<void> {
  for (let round = 0; ; round += 1) {
    const leases = await files.wholeLeases(input.service.directory);
    const stale = input.stale(leases);
    if (stale.length === 0) return;
    if (round === ROUNDS) {
      const addresses = stale.map(({ ip }) => ip).join(', ');
      input.warn(`dnsmasq did not let go of leases no port has any more: ${addresses}`);
      return;
    }
    if (round > 0) await pause(PAUSE);
    const { serverDuid } = parseLeases(leases);
    for (const lease of stale) releaseOne(input, lease, serverDuid);
    await pause(ANSWER);
  }
}

/** Of most clients the DUID ends with the MAC: DUID-LLT and DUID-LL (RFC 8415, §11). */
function macOf(duid: string): string {
  const mac = duid.slice(-17);
  return /^00:0[13]:00:01:/.test(duid) && isMac(mac) ? mac : NO_MAC;
}

/** The server's address on the subnet of a leased one. */
function serverOf({ network, hostName }: ReleaseInput, ip: string): string | undefined {
  const subnets = allSubnets(network).filter(({ cidr }) => cidrContains(cidr, ip));
  return ownPort(network, hostName)?.fixed_ips.find(({ subnet_id }) =>
    subnets.some(({ id }) => id === subnet_id),
  )?.ip_address;
}

const anyOf = ({ network, hostName }: ReleaseInput, family: 4 | 6): string | undefined =>
  ownPort(network, hostName)?.fixed_ips.find(({ ip_address }) => ip_address.includes(':') === (family === 6))
    ?.ip_address;

function releaseOne(input: ReleaseInput, lease: Lease, serverId: string | undefined): void {
  const { service, process, warn } = input;
  const { ip, mac, iaid, clientId, family } = lease;
  const server = serverOf(input, ip) ?? anyOf(input, family);
  if (!server) return;
  try {
    if (family === 4 && mac) process.release(service, { mac, ip, server, ...(clientId ? { clientId } : {}) });
    else if (iaid && clientId && serverId) {
      process.release6(service, { mac: macOf(clientId), ip, server, iaid, clientId, serverId });
    }
  } catch (error) {
    warn(`lease of ${ip} could not be released: ${(error as Error).message}`);
  }
}
