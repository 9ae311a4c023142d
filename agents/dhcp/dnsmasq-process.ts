/** The running dnsmasq of a network, as the agent deals with it beside the rows. */
import { reloadDaemon, runningDaemon } from '../../lib/daemon/control.ts';
import { udpSend } from '../../lib/kernel/socket.ts';
import { linkLocal } from '../../lib/model/ip.ts';
import type { DaemonRow } from '../../lib/namespace/rows.ts';
import type { DhcpService } from './compile/network.ts';
import { DHCP_SERVER_PORT, type Release, releasePacket } from './release.ts';
import { DHCP6_SERVER_PORT, DHCP6_SERVERS, type Release6, release6Packet } from './release6.ts';

export interface DnsmasqProcess {
  /** its arguments; undefined: it does not run */
  running(daemon: Pick<DaemonRow, 'pidFile' | 'id'>): readonly string[] | undefined;
  /** SIGHUP */
  reload(daemon: DaemonRow): void;
  /** @throws KernelError */
  release(service: Pick<DhcpService, 'ns' | 'device'>, release: Release): void;
  /** @throws KernelError */
  release6(service: Pick<DhcpService, 'ns' | 'device'>, release: Release6): void;
}

/** @param killScripts directory of scripts that pass signals on; see lib/daemon/control.ts */
export const dnsmasqProcess = (killScripts?: string): DnsmasqProcess => ({
  running: (daemon) => runningDaemon(daemon)?.argv,
  reload: (daemon) => reloadDaemon(daemon, killScripts),
  release: ({ ns, device }, release) =>
    udpSend({ ns, device, to: release.server, port: DHCP_SERVER_PORT, payload: releasePacket(release) }),
  release6: ({ ns, device }, release) =>
    udpSend({
      ns,
      device,
      source: linkLocal(release.mac),
      to: DHCP6_SERVERS,
      port: DHCP6_SERVER_PORT,
      payload: release6Packet(release),
    }),
});
