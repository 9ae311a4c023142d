/**
 * A client's DHCPDISCOVER on the host's end of a DHCP port, where the bridge would be, and the server's offer. A network
 * serves when its server offers the right address: it runs, in the right place, with its files.
 * Sources: RFC 2131 (messages), RFC 1497 (magic cookie), socket(7).
 */
import dgram from 'node:dgram';
import { ipBytes, macBytes } from '../../../lib/kernel/ip-bytes.ts';
import * as libc from '../../../lib/kernel/libc.ts';
import { KernelError } from '../../../lib/kernel/libc.ts';
import { NETLINK_ROUTE, NetlinkSocket } from '../../../lib/kernel/netlink.ts';
import { pause } from '../../e2e/shell.ts';
import type { WantedNetwork } from './site.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_BROADCAST = 6;
const SO_BINDTODEVICE = 25;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;
const BOOTREQUEST = 1;
const BROADCAST_FLAG = 0x8000;
const MAGIC_COOKIE = 0x63825363;
const DISCOVER = Buffer.from([53, 1, 1, 255]);
const OPTIONS_AT = 240;
const LOOK_AGAIN_MS = 25;
/** Then the device is looked at again: it may be another one by now. */
const ASK_MS = 5_000;

function discover(mac: string, transaction: number): Buffer {
  const message = Buffer.alloc(300);
  message.set([BOOTREQUEST, 1, 6, 0]);
  message.writeUInt32BE(transaction, 4);
  message.writeUInt16BE(BROADCAST_FLAG, 10);
  macBytes(mac).copy(message, 28);
  message.writeUInt32BE(MAGIC_COOKIE, 236);
  DISCOVER.copy(message, OPTIONS_AT);
  return message;
}

/** A descriptor for a client's port on this device. @throws KernelError */
function clientSocket(device: string): number {
  const on = Buffer.from([1, 0, 0, 0]);
  const any = Buffer.alloc(16);
  any.writeUInt16LE(AF_INET, 0);
  any.writeUInt16BE(CLIENT_PORT, 2);
  const fd = libc.socket(AF_INET, SOCK_DGRAM, 0);
  try {
    libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, on);
    libc.setsockopt(fd, SOL_SOCKET, SO_BROADCAST, on);
    libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${device}\0`));
    libc.bind(fd, any);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** Asks again and again until the offer comes; when, or undefined after `deadline`. */
async function offered(device: string, { mac, address }: WantedNetwork['client'], deadline: number) {
  const socket = dgram.createSocket({ type: 'udp4' });
  let seen: number | undefined;
  socket.on('error', () => {});
  socket.on('message', (message) => {
    const right = message.length > OPTIONS_AT && message.subarray(16, 20).equals(ipBytes(address));
    if (right) seen ??= performance.now();
  });
  try {
    await new Promise<void>((resolve) => socket.bind({ fd: clientSocket(device) }, resolve));
    for (let transaction = 1; seen === undefined && performance.now() < deadline; transaction++) {
      socket.send(discover(mac, transaction), SERVER_PORT, '255.255.255.255', () => {});
      await pause(LOOK_AGAIN_MS);
    }
    return seen;
  } finally {
    socket.close();
  }
}

async function serves(
  network: WantedNetwork,
  device: string,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  while (performance.now() < deadline) {
    signal?.throwIfAborted();
    using links = new NetlinkSocket(NETLINK_ROUTE, '');
    if (links.deviceIndex(device) === undefined) await pause(LOOK_AGAIN_MS);
    else {
      try {
        const seen = await offered(device, network.client, Math.min(deadline, performance.now() + ASK_MS));
        if (seen !== undefined) return seen;
      } catch (error) {
        // The device went away or is not ready: it is looked at again.
        if (!(error instanceof KernelError)) throw error;
        await pause(LOOK_AGAIN_MS);
      }
    }
  }
  throw new Error(`network ${network.id}: no offer of ${network.client.address} on ${device}`);
}

/**
 * @param devices network id → its DHCP port's device in the host
 * @returns performance.now() of the moment when the last network made its offer
 * @throws Error naming a network that does not serve within `patience` ms
 */
export async function networksServe(
  networks: readonly WantedNetwork[],
  devices: ReadonlyMap<string, string>,
  patience: number,
  signal?: AbortSignal,
): Promise<number> {
  const deadline = performance.now() + patience;
  const seen = await Promise.all(
    networks.map((network) => serves(network, devices.get(network.id) ?? '', deadline, signal)),
  );
  return Math.max(...seen);
}
