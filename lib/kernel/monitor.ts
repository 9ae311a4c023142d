/**
 * Telling when something changed: one rtnetlink and one nftables socket in the host's namespace hear
 * every namespace that has an id here (NETLINK_LISTEN_ALL_NSID), and a pidfd tells the end of a process. One
 * thread waits in epoll for all of them: nothing is polled, and a thousand namespaces cost two sockets.
 * Sources: netlink(7), epoll(7), pidfd_open(2), ip-netns(8) "netnsid".
 */
import fs from 'node:fs';
import { type Address, decodeAddress, RTM_NEWADDR } from './address.ts';
import * as libc from './libc.ts';
import { decodeLink, type Link, RTM_DELLINK, RTM_NEWLINK } from './link.ts';
import {
  attributes,
  isOwnPort,
  type Message,
  MessageWriter,
  messages,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NetlinkSocket,
} from './netlink.ts';
import { NETNS_DIRECTORY, withNamespaceFd } from './netns.ts';
import { RTM_DELROUTE, RTM_NEWROUTE } from './route.ts';

const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_LISTEN_ALL_NSID = 8;
/** link, IPv4/IPv6 address, route and rule (enum rtnetlink_groups) */
const ROUTE_GROUPS = [1, 5, 7, 8, 9, 11, 19];
const NFT_GROUPS = [7];
const RTM_NEWNSID = 88;
const RTM_GETNSID = 90;
const NETNSA_NSID = 1;
const NETNSA_FD = 3;
const RECEIVE_BUFFER_BYTES = 16 * 1024 * 1024;
const EPOLLIN = 1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
/** struct epoll_event is packed on x86-64 and nowhere else. */
const EPOLL_EVENT = process.arch === 'x64' ? { size: 12, data: 4 } : { size: 16, data: 8 };

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};

/** The id by which the host's namespace knows another one; assigned if it has none yet. */
function namespaceId(socket: NetlinkSocket, name: string): number {
  return withNamespaceFd(name, (fd) => {
    const ask = (): number => {
      let id = -1;
      const request = new MessageWriter(RTM_GETNSID, 0).fixed([0, 0, 0, 0]).u32(NETNSA_FD, fd).finish();
      socket.ask(request, ({ payload }) => {
        id = attributes(payload, 4).get(NETNSA_NSID)?.readInt32LE(0) ?? -1;
      });
      return id;
    };
    const known = ask();
    if (known >= 0) return known;
    const writer = new MessageWriter(RTM_NEWNSID, 0).fixed([0, 0, 0, 0]).u32(NETNSA_FD, fd);
    socket.transact([writer.bytes(NETNSA_NSID, u32(-1)).finish()]);
    return ask();
  });
}

/** A socket that only listens, with the control buffer that names the sender's namespace. */
class EventSocket {
  readonly fd: number;
  private readonly groups: readonly number[];
  private readonly data = Buffer.alloc(128 * 1024);
  private readonly control = Buffer.alloc(64);
  private readonly vector = Buffer.alloc(16);
  private readonly header = Buffer.alloc(56);

  constructor(protocol: number, groups: readonly number[]) {
    this.fd = libc.socket(AF_NETLINK, SOCK_RAW | libc.SOCK_NONBLOCK, protocol);
    libc.setsockopt(this.fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, u32(1));
    libc.setsockopt(this.fd, SOL_SOCKET, SO_RCVBUFFORCE, u32(RECEIVE_BUFFER_BYTES));
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    libc.bind(this.fd, address);
    this.groups = groups;
    // struct iovec and struct msghdr of a 64-bit system; the buffers live as long as this object.
    this.vector.writeBigUInt64LE(libc.addressOf(this.data), 0);
    this.vector.writeBigUInt64LE(BigInt(this.data.length), 8);
    this.header.writeBigUInt64LE(libc.addressOf(this.vector), 16);
    this.header.writeBigUInt64LE(1n, 24);
    this.header.writeBigUInt64LE(libc.addressOf(this.control), 32);
  }

  /** Hear events from now on. */
  join(): void {
    for (const group of this.groups)
      libc.setsockopt(this.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, u32(group));
  }

  /** Read all that waits. `id` is the sender's namespace id, undefined for the host's own. */
  drain(take: (id: number | undefined, data: Buffer) => void, overflow: () => void): void {
    for (;;) {
      this.header.writeBigUInt64LE(BigInt(this.control.length), 40);
      const length = libc.recvmsg(this.fd, this.header, 0);
      if (length === -libc.EAGAIN) return;
      if (length === -libc.ENOBUFS) overflow();
      else if (length > 0) take(this.senderId(), this.data.subarray(0, length));
      else if (length !== -libc.EINTR) return;
    }
  }

  private senderId(): number | undefined {
    const length = Number(this.header.readBigUInt64LE(40));
    if (length < 20) return undefined;
    const [level, type] = [this.control.readInt32LE(8), this.control.readInt32LE(12)];
    return level === SOL_NETLINK && type === NETLINK_LISTEN_ALL_NSID
      ? this.control.readInt32LE(16)
      : undefined;
  }
}

const RTPROT_KERNEL = 2;

/** The kernel's own routes follow addresses and devices, which are told of by themselves. */
const isConsequence = ({ type, port, payload }: Message): boolean =>
  port === 0 && (type === RTM_NEWROUTE || type === RTM_DELROUTE) && payload[5] === RTPROT_KERNEL;

/** What an event shows of a device or address that is there. */
export type Sight =
  | { readonly link: Link; readonly address?: undefined }
  | { readonly link?: undefined; readonly address: Address };

/** An IPv4 address is told of when it comes, an IPv6 address also when it turns out to be no duplicate. */
function sightOf({ type, payload }: Message): Sight | undefined {
  if (type === RTM_NEWLINK) return { link: decodeLink(payload) };
  return type === RTM_NEWADDR && payload[0] === AF_INET6 ? { address: decodeAddress(payload) } : undefined;
}

export interface MonitorEvents {
  /** something in this namespace was changed, not by this process; `sight`: what exactly, and how it is now */
  changed(ns: string, sight?: Sight): void;
  /** a device of the host's namespace was made, changed or removed, not by this process */
  hostLink(name: string): void;
  /** a name under /run/netns came or went */
  namespace(name: string): void;
  /** something can't be listened to, in words */
  deaf?(reason: string): void;
  /** events were lost: look at everything */
  overflow(): void;
}

/** Watches processes at once, and namespaces from `listen` on. `close` must be called for the process to end by itself. */
export class Monitor {
  private readonly epoll = libc.epollCreate();
  private readonly wake = libc.eventfd();
  private readonly sockets = [
    new EventSocket(NETLINK_ROUTE, ROUTE_GROUPS),
    new EventSocket(NETLINK_NETFILTER, NFT_GROUPS),
  ];
  private readonly requests = new NetlinkSocket(NETLINK_ROUTE, '');
  private readonly names = new Map<number, string>();
  private readonly ids = new Map<string, number>();
  private readonly processes = new Map<number, () => void>();
  private readonly events: MonitorEvents;
  private directory: fs.FSWatcher | undefined;
  private listening = false;
  private closed = false;
  private readonly onExit = (): void => this.interrupt();

  constructor(events: MonitorEvents) {
    this.events = events;
    for (const fd of [this.wake, ...this.sockets.map((socket) => socket.fd)]) this.add(fd);
    fs.mkdirSync(NETNS_DIRECTORY, { recursive: true });
    this.directory = this.watchNames();
    // The waiting thread would keep a process that calls exit() from ending.
    process.once('exit', this.onExit);
    void this.loop();
  }

  /**
   * Hear the kernel's events from now on. As long as nobody hears them the kernel makes none, which is a fifth of what
   * building a router costs.
   */
  listen(): void {
    if (this.listening || this.closed) return;
    this.listening = true;
    for (const socket of this.sockets) socket.join();
  }

  /** Without an inotify instance a namespace that vanishes as a whole is seen at its next reading only. */
  private watchNames(): fs.FSWatcher | undefined {
    try {
      return fs.watch(NETNS_DIRECTORY, (_event, name) => {
        if (name !== null) this.events.namespace(name);
      });
    } catch (error) {
      this.events.deaf?.(`${NETNS_DIRECTORY} cannot be watched: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** Hear of changes in this namespace from now on ('' for the host's own). */
  watch(name: string): void {
    if (name === '' || this.ids.has(name)) return;
    const id = namespaceId(this.requests, name);
    this.ids.set(name, id);
    this.names.set(id, name);
  }

  unwatch(name: string): void {
    const id = this.ids.get(name);
    this.ids.delete(name);
    if (id !== undefined && this.names.get(id) === name) this.names.delete(id);
  }

  /** Call `ended` once when the process ends (at once if it is gone). Returns how to stop watching. */
  watchProcess(pid: number, ended: () => void): () => void {
    let fd: number;
    try {
      fd = libc.pidfdOpen(pid);
    } catch {
      queueMicrotask(ended);
      return () => undefined;
    }
    const stop = (): void => {
      if (!this.processes.delete(fd)) return;
      this.control(EPOLL_CTL_DEL, fd);
      libc.close(fd);
    };
    this.processes.set(fd, () => {
      stop();
      ended();
    });
    this.add(fd);
    return stop;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.directory?.close();
    process.removeListener('exit', this.onExit);
    this.interrupt();
  }

  private interrupt(): void {
    const token = Buffer.alloc(8);
    token[0] = 1;
    libc.write(this.wake, token);
  }

  private control(operation: number, fd: number): void {
    const event = Buffer.alloc(EPOLL_EVENT.size);
    event.writeUInt32LE(EPOLLIN, 0);
    event.writeInt32LE(fd, EPOLL_EVENT.data);
    libc.epollCtl(this.epoll, operation, fd, event);
  }

  private add(fd: number): void {
    this.control(EPOLL_CTL_ADD, fd);
  }

  private async loop(): Promise<void> {
    const ready = Buffer.alloc(EPOLL_EVENT.size * 64);
    while (!this.closed) {
      const count = await libc.epollWaitAsync(this.epoll, ready, 64);
      if (this.closed) break;
      for (let i = 0; i < count; i++) this.handle(ready.readInt32LE(i * EPOLL_EVENT.size + EPOLL_EVENT.data));
    }
    this.requests.close();
    for (const fd of [...this.processes.keys(), ...this.sockets.map((s) => s.fd), this.wake, this.epoll])
      libc.close(fd);
  }

  private handle(fd: number): void {
    const ended = this.processes.get(fd);
    if (ended) {
      ended();
      return;
    }
    const socket = this.sockets.find((candidate) => candidate.fd === fd);
    socket?.drain(
      (id, data) => this.heard(id, data),
      () => this.events.overflow(),
    );
  }

  /** One datagram. What this process did itself carries the port id of its socket and is no news. */
  private heard(id: number | undefined, data: Buffer): void {
    const name = id === undefined ? '' : this.names.get(id);
    if (name === undefined) return;
    for (const message of messages(data)) {
      if (isOwnPort(message.port) || isConsequence(message)) continue;
      if (name !== '') {
        const sight = sightOf(message);
        this.events.changed(name, sight);
        if (sight) continue;
        return;
      }
      if (message.type === RTM_NEWLINK || message.type === RTM_DELLINK)
        this.events.hostLink(decodeLink(message.payload).name);
    }
  }
}
