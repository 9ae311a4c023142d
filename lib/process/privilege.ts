/**
 * Agents run as root, or as a user with some capabilities: the systemd units in deploy/ grant them. What each is for:
 *
 *   CAP_SYS_ADMIN         make, name and enter network namespaces
 *   CAP_NET_ADMIN         links, addresses, routes, nftables, conntrack, sysctls
 *   CAP_NET_RAW           gratuitous ARP and neighbour advertisements; radvd, dnsmasq
 *   CAP_NET_BROADCAST     hear of changes in all namespaces by one socket
 *   CAP_NET_BIND_SERVICE  DHCP, DNS, metadata on port 80
 *   CAP_DAC_OVERRIDE      /run/netns, which is root's; files that an agent run by root has left
 *   CAP_KILL, CAP_SYS_PTRACE  recognise and end daemons that root or another user has started: to take a node over
 */
import { type Capability, grantChildren, missingCapabilities } from '../kernel/capabilities.ts';
import type { Role } from './roles.ts';

/** Without these nothing works at all; the others depend on who made the files and daemons that are there. */
const BUILDING: readonly Capability[] = [
  'CAP_SYS_ADMIN',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_NET_BROADCAST',
];
const NEEDED: Readonly<Record<Role, readonly Capability[]>> = {
  fabric: BUILDING,
  l3: BUILDING,
  dhcp: [...BUILDING, 'CAP_NET_BIND_SERVICE'],
  metadata: ['CAP_SYS_ADMIN', 'CAP_NET_BIND_SERVICE'],
};

/** What dnsmasq and radvd need, and all that they get. */
const OF_DAEMONS: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE'];

/** This user may not do what the agent has to. */
export class NotPermitted extends Error {
  override readonly name = 'NotPermitted';
}

/**
 * To be called before anything is done.
 * @throws NotPermitted naming what is missing
 */
export function takePrivileges(role: Role): void {
  const missing = missingCapabilities(NEEDED[role]);
  if (missing.length > 0)
    throw new NotPermitted(
      `needs root, or a user with ${NEEDED[role].join(', ')}; missing: ${missing.join(', ')} ` +
        `(deploy/viaduct-${role}-agent.service shows how systemd grants them)`,
    );
  grantChildren(OF_DAEMONS);
}
