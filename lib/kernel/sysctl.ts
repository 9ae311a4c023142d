/** Kernel parameters below /proc/sys of a namespace. `/proc/sys/net` is resolved at open. */
import { counters } from './counters.ts';
import { ENOENT, KernelError, readFile, writeFile } from './libc.ts';

const path = (name: string): string => {
  if (!/^net\/[A-Za-z0-9_./-]+$/.test(name) || name.includes('..'))
    throw new TypeError(`not a network sysctl: ${name}`);
  return `/proc/sys/${name}`;
};

const VALUE = Buffer.alloc(4096);

/** Current value, trimmed; undefined if this kernel (or namespace, or device) does not have it. Call inside. */
export function readSysctl(name: string): string | undefined {
  const length = readFile(path(name), VALUE);
  if (length === -ENOENT) return undefined;
  if (length < 0) throw new KernelError(`read ${name}`, -length);
  return VALUE.toString('latin1', 0, length).trim();
}

/** Set a value; false if there is no such parameter. Call inside the namespace. @throws KernelError */
export function writeSysctl(name: string, value: string): boolean {
  const length = writeFile(path(name), Buffer.from(value, 'latin1'));
  if (length === -ENOENT) return false;
  counters.writes += 1;
  if (length < 0) throw new KernelError(`set ${name} = ${value}`, -length);
  return true;
}
