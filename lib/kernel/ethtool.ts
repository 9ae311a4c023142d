/** Offloads of a device, by the old ethtool requests (include/uapi/linux/ethtool.h, netdevice(7)). */
import { constants } from 'node:os';
import * as libc from './libc.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_SRXCSUM = 0x15;
const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_STXCSUM = 0x17;

/** One `struct ethtool_value` for a device of the namespace the thread is in; returns its data. */
function ask(name: string, command: number, data: number): number {
  const value = Buffer.alloc(8);
  value.writeUInt32LE(command, 0);
  value.writeUInt32LE(data, 4);
  // struct ifreq: a name of 16 bytes, and here a pointer.
  const request = Buffer.alloc(40);
  request.write(name, 0, 15, 'latin1');
  request.writeBigUInt64LE(libc.addressOf(value), 16);
  const fd = libc.socket(AF_INET, SOCK_DGRAM, 0);
  try {
    libc.ioctl(fd, SIOCETHTOOL, request, `offloads of ${name}`);
  } finally {
    libc.close(fd);
  }
  return value.readUInt32LE(4);
}

/** Does the device get packets whose checksums are still to be computed? @throws KernelError */
export const offloadsChecksums = (name: string): boolean => ask(name, ETHTOOL_GTXCSUM, 0) !== 0;

/** Have the kernel compute, and check, all checksums itself. @throws KernelError */
export function stopChecksumOffload(name: string): void {
  ask(name, ETHTOOL_STXCSUM, 0);
  try {
    ask(name, ETHTOOL_SRXCSUM, 0);
  } catch (error) {
    // Bridges and internal ports of Open vSwitch have no such switch: they check nothing.
    if (!(error instanceof libc.KernelError && error.errno === constants.errno.EOPNOTSUPP)) throw error;
  }
}
