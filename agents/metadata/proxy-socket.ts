/**
 * The unix socket where the proxies of Neutron's L3 and DHCP agents bring requests (contract §3): each agent of a node
 * can be exchanged alone. Who may write to it may speak for any instance; its mode is as Neutron sets it.
 */
import fs from 'node:fs';
import type { IncomingMessage } from 'node:http';
import net from 'node:net';
import { dirname } from 'node:path';
import { isIp } from '../../lib/model/ip.ts';
import type { Logger } from './logger.ts';
import { parsePeer } from './peer.ts';
import type { MetadataProxy, Sender } from './proxy.ts';
import { Refusal } from './request.ts';

export interface SocketSettings {
  /** metadata_proxy_socket */
  readonly path: string;
  /** of the socket's file */
  readonly mode: number;
  /** metadata_backlog */
  readonly backlog: number;
  readonly logger: Logger;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * For whom a proxy asks.
 * @throws Refusal 400 for two identities, 500 for none or an address that is none: the proxy is not one of ours
 */
export function senderOf(headers: IncomingMessage['headers']): Sender {
  const router = headers['x-neutron-router-id'];
  const network = headers['x-neutron-network-id'];
  if (router !== undefined && network !== undefined)
    throw new Refusal(400, 'The request comes from a router and from a network.');
  const id = router ?? network;
  if (typeof id !== 'string' || !UUID.test(id))
    throw new Refusal(500, 'The request says neither its router nor its network.');
  const address = headers['x-forwarded-for'];
  // Several addresses: the instance sent such a header of its own.
  if (typeof address !== 'string' || !isIp(address.trim()))
    throw new Refusal(500, 'The request does not say one address it came from.');
  const identity = router !== undefined ? { router: id } : { network: id };
  return { identity, peer: parsePeer(address.trim()) };
}

/**
 * Listens; an old file of that name goes. Closing removes the file.
 * @throws Error when the path can't be used
 */
export async function listenForProxies(
  { path, mode, backlog, logger }: SocketSettings,
  proxy: MetadataProxy,
): Promise<{ close(): void }> {
  fs.mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  fs.rmSync(path, { force: true });
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    proxy.acceptGateway(socket, {
      name: 'metadata_proxy_socket',
      sender: ({ headers }) => senderOf(headers),
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog }, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', (error) => logger.warn({ path }, `the metadata socket failed: ${error.message}`));
  fs.chmodSync(path, mode);
  return {
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export interface SocketModeOptions {
  readonly metadata_proxy_socket_mode: string;
  readonly metadata_proxy_user: string;
  readonly metadata_proxy_group: string;
}

/** Who this process is, by name and number. */
export interface Account {
  readonly user: readonly string[];
  readonly group: readonly string[];
}

const MODES: Readonly<Record<string, number>> = { user: 0o644, group: 0o664, all: 0o666 };

/** The mode of the socket; 'deduce': the least that the proxies' user and group need. */
export function socketMode(options: SocketModeOptions, own: Account): number {
  const set = MODES[options.metadata_proxy_socket_mode];
  if (set !== undefined) return set;
  const { metadata_proxy_user: user, metadata_proxy_group: group } = options;
  if (['', 'root', '0', ...own.user].includes(user)) return MODES.user!;
  return ['', ...own.group].includes(group) ? MODES.group! : MODES.all!;
}
