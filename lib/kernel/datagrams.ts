/**
 * UDP over IPv6 on devices of other namespaces. Node's own sockets lose what comes from a link-local address there: they
 * look for the sender's interface in the host's namespace. One thread waits in epoll for all sockets, from the first on.
 * Sources: epoll(7), udp(7), ipv6(7).
 */
import * as libc from './libc.ts';
import { openUdp6, sendUdp6 } from './socket.ts';

const EPOLLIN = 1;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const MSG_DONTWAIT = 0x40;
const AT_ONCE = 64;
const LARGEST = 65_536;
/** struct epoll_event is packed on x86-64 and nowhere else. */
const EPOLL_EVENT = process.arch === 'x64' ? { size: 12, data: 4 } : { size: 16, data: 8 };

interface Waiting {
  readonly epoll: number;
  readonly wake: number;
}

/** `end` must be called for the process to end by itself. */
export class Datagrams {
  private readonly sockets = new Map<number, (datagram: Buffer) => void>();
  private readonly buffer = Buffer.alloc(LARGEST);
  private waiting: Waiting | undefined;

  /** @returns what names the socket from now on. @throws KernelError */
  open(where: { ns: string; device: string; port: number }, heard: (datagram: Buffer) => void): number {
    this.waiting ??= this.begin();
    const fd = openUdp6(where);
    this.sockets.set(fd, heard);
    control(this.waiting.epoll, EPOLL_CTL_ADD, fd);
    return fd;
  }

  /** @throws KernelError (EADDRNOTAVAIL: the device has no address yet; ENODEV, ENETUNREACH: it went) */
  send(socket: number, to: string, port: number, payload: Buffer): void {
    sendUdp6(socket, to, port, payload);
  }

  close(socket: number): void {
    if (!this.sockets.delete(socket)) return;
    if (this.waiting) control(this.waiting.epoll, EPOLL_CTL_DEL, socket);
    libc.close(socket);
  }

  end(): void {
    for (const socket of [...this.sockets.keys()]) this.close(socket);
    if (!this.waiting) return;
    const token = Buffer.alloc(8);
    token[0] = 1;
    libc.write(this.waiting.wake, token);
    this.waiting = undefined;
  }

  private begin(): Waiting {
    const waiting = { epoll: libc.epollCreate(), wake: libc.eventfd() };
    control(waiting.epoll, EPOLL_CTL_ADD, waiting.wake);
    void this.wait(waiting);
    return waiting;
  }

  private async wait(own: Waiting): Promise<void> {
    const ready = Buffer.alloc(EPOLL_EVENT.size * AT_ONCE);
    do {
      const count = await libc.epollWaitAsync(own.epoll, ready, AT_ONCE);
      if (this.waiting !== own) break;
      for (let i = 0; i < count; i++) this.drain(ready.readInt32LE(i * EPOLL_EVENT.size + EPOLL_EVENT.data));
    } while (this.waiting === own);
    libc.close(own.epoll);
    libc.close(own.wake);
  }

  /** Whoever hears may close the socket. */
  private drain(fd: number): void {
    for (let heard = this.sockets.get(fd); heard; heard = this.sockets.get(fd)) {
      const length = libc.recv(fd, this.buffer, MSG_DONTWAIT);
      // An error of the socket (a device that went) is told by whoever sends next.
      if (length < 0) return;
      heard(Buffer.from(this.buffer.subarray(0, length)));
    }
  }
}

function control(epoll: number, operation: number, fd: number): void {
  const event = Buffer.alloc(EPOLL_EVENT.size);
  event.writeUInt32LE(EPOLLIN, 0);
  event.writeInt32LE(fd, EPOLL_EVENT.data);
  libc.epollCtl(epoll, operation, fd, event);
}
