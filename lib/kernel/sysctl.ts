/** Kernel parameters below /proc/sys of a namespace. `/proc/sys/net` is resolved at open. */
import fs from 'node:fs';
import { counters } from './counters.ts';
import { KernelError } from './libc.ts';

const path = (name: string): string => {
  if (!/^net\/[A-Za-z0-9_./-]+$/.test(name) || name.includes('..'))
    throw new TypeError(`not a network sysctl: ${name}`);
  return `/proc/sys/${name}`;
};

/** Current value, trimmed; undefined if this kernel (or namespace, or device) does not have it. Call inside. */
export function readSysctl(name: string): string | undefined {
  try {
    return fs.readFileSync(path(name), 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Set a value. Call inside the namespace. @throws KernelError */
export function writeSysctl(name: string, value: string): void {
  counters.writes += 1;
  try {
    const fd = fs.openSync(path(name), 'w');
    try {
      fs.writeSync(fd, value);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    throw new KernelError(`set ${name} = ${value}`, Math.abs((error as NodeJS.ErrnoException).errno ?? 0));
  }
}
