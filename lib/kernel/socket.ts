/**
 * Sockets made inside a namespace and used from outside. Node's own `listen({port, host})` binds late, in
 * the host's namespace; so the descriptor is made here and handed over (`server.listen({fd})`).
 * Sources: socket(7), ip(7), ipv6(7).
 */
import { ipBytes } from './ip-bytes.ts';
import * as libc from './libc.ts';
import { inNamespace } from './netns.ts';

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BROADCAST = 6;
const SO_REUSEPORT = 15;
const SO_BINDTODEVICE = 25;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPV6_FREEBIND = 78;

const on = Buffer.from([1, 0, 0, 0]);
const off = Buffer.alloc(4);

/** struct sockaddr_in or sockaddr_in6; '::' and '0.0.0.0' are the wildcards. */
function sockaddr(address: string, port: number): Buffer {
  const ip = ipBytes(address);
  const v6 = ip.length === 16;
  const bytes = Buffer.alloc(v6 ? 28 : 16);
  bytes.writeUInt16LE(v6 ? AF_INET6 : AF_INET, 0);
  bytes.writeUInt16BE(port, 2);
  ip.copy(bytes, v6 ? 8 : 4);
  return bytes;
}

function prepared(family: number, type: number, device: string | undefined): number {
  const fd = libc.socket(family, type, 0);
  libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on);
  if (device) libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${device}\0`));
  return fd;
}

/** A descriptor inside the namespace, closed again if `use` fails. */
function socketIn(
  ns: string,
  family: number,
  type: number,
  device: string | undefined,
  use: (fd: number) => void,
) {
  return inNamespace(ns, () => {
    const fd = prepared(family, type, device);
    try {
      use(fd);
      return fd;
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  });
}

/**
 * A listening TCP descriptor of the namespace. '::' also takes IPv4 (as mapped addresses).
 * @throws KernelError (EADDRNOTAVAIL: the address isn't there; EADDRINUSE; ENOENT: no such namespace)
 */
export function listenTcp(options: {
  ns: string;
  address: string;
  port: number;
  device?: string;
  backlog?: number;
  /** beside another listener of the same user that shares, too: whoever takes over opens before the other closes */
  share?: boolean;
}): number {
  const where = sockaddr(options.address, options.port);
  const v6 = where.length === 28;
  return socketIn(options.ns, v6 ? AF_INET6 : AF_INET, SOCK_STREAM, options.device, (fd) => {
    if (options.share) libc.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, on);
    if (v6) libc.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.address === '::' ? off : on);
    libc.bind(fd, where, `listen on [${options.address}]:${options.port} in ${options.ns || 'the host'}`);
    libc.listen(fd, options.backlog ?? 128);
  });
}

/** Send one datagram from inside the namespace. @throws KernelError */
export function udpSend(options: {
  ns: string;
  device?: string;
  /** an IPv6 one need not be the namespace's own */
  source?: string;
  sourcePort?: number;
  to: string;
  port: number;
  payload: Buffer;
}): void {
  const to = sockaddr(options.to, options.port);
  const fd = socketIn(options.ns, to.readUInt16LE(0), SOCK_DGRAM, options.device, (made) => {
    libc.setsockopt(made, SOL_SOCKET, SO_BROADCAST, on);
    if (options.source || options.sourcePort) {
      const any = to.length === 28 ? '::' : '0.0.0.0';
      if (to.length === 28) libc.setsockopt(made, IPPROTO_IPV6, IPV6_FREEBIND, on);
      libc.bind(made, sockaddr(options.source ?? any, options.sourcePort ?? 0));
    }
    libc.sendto(made, options.payload, to, `send to ${options.to}:${options.port} in ${options.ns}`);
  });
  libc.close(fd);
}

/**
 * A UDP descriptor that takes what arrives on a device.
 * @throws KernelError (ENOENT: no such namespace; ENODEV: no such device; EADDRINUSE)
 */
export function openUdp6(options: { ns: string; device: string; port: number }): number {
  return socketIn(options.ns, AF_INET6, SOCK_DGRAM, options.device, (fd) => {
    libc.setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
    libc.bind(fd, sockaddr('::', options.port), `listen on port ${options.port} of ${options.device}`);
  });
}

/** @throws KernelError */
export const sendUdp6 = (fd: number, to: string, port: number, payload: Buffer): void =>
  void libc.sendto(fd, payload, sockaddr(to, port), `send to [${to}]:${port}`);
