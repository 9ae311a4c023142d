/**
 * Network namespaces, in-process: the files under /run/netns that `ip netns` knows.
 *
 * `setns` changes the calling *thread*, so everything here is synchronous: enter, run, come back. A
 * socket belongs to the namespace it was created in; make it inside, use it from outside.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { counters } from './counters.ts';
import * as libc from './libc.ts';

export const NETNS_DIRECTORY = '/run/netns';
const THREAD_NAMESPACE = '/proc/thread-self/ns/net';
const NSFS_MAGIC = 0x6e736673;

// libuv's pool threads keep for ever the namespace they were born in: have them born now, at home.
await fs.promises.stat('/');

/** The namespace this process was started in, and the one the thread is in at the moment. */
const home = libc.open(THREAD_NAMESPACE);
let current = home;

/** A synchronous function's result; an async function is refused by the type. */
type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

const path = (name: string): string => join(NETNS_DIRECTORY, name);

/** Go back after `enter`; a thread that can't must not run another line in the wrong namespace. */
function comeBack(to: number): void {
  try {
    libc.setns(to, libc.CLONE_NEWNET);
    current = to;
  } catch (error) {
    process.stderr.write(`viaduct: cannot leave a network namespace: ${String(error)}; aborting\n`);
    process.abort();
  }
}

/**
 * Run `fn` inside the namespace and return its result. '' is the process's own namespace.
 * @throws KernelError ENOENT if there is no such namespace; whatever `fn` throws
 */
export function inNamespace<T>(name: string, fn: () => Synchronous<T>): T {
  const fd = name === '' ? home : libc.open(path(name));
  return inNamespaceFd(fd, fn, fd !== home);
}

function inNamespaceFd<T>(fd: number, fn: () => Synchronous<T>, closeAfter: boolean): T {
  const before = current;
  try {
    if (fd !== before) {
      libc.setns(fd, libc.CLONE_NEWNET);
      current = fd;
    }
    return fn();
  } finally {
    if (current !== before) comeBack(before);
    if (closeAfter) libc.close(fd);
  }
}

/** A descriptor of the namespace, as IFLA_NET_NS_FD wants it; the caller closes it with `libc.close`. */
export const openNamespace = (name: string): number => libc.open(name === '' ? THREAD_NAMESPACE : path(name));

/** Run `fn` with a descriptor of the namespace. */
export function withNamespaceFd<T>(name: string, fn: (fd: number) => Synchronous<T>): T {
  const fd = openNamespace(name);
  try {
    return fn(fd);
  } finally {
    libc.close(fd);
  }
}

const isMounted = (name: string): boolean => {
  try {
    // Most that are asked for are not there: an exception is dear.
    return fs.existsSync(path(name)) && fs.statfsSync(path(name)).type === NSFS_MAGIC;
  } catch {
    return false;
  }
};

/** The namespace exists: its file is there and is really a namespace (not a leftover plain file). */
export const namespaceExists = isMounted;

/** Identity of a namespace over time: a namespace deleted and made again has another number. */
export const namespaceInode = (name: string): number | undefined =>
  isMounted(name) ? fs.statSync(path(name)).ino : undefined;

/** Names of all namespaces on this host; empty if there never was one. */
export function listNamespaces(): string[] {
  try {
    return fs.readdirSync(NETNS_DIRECTORY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

let directoryReady = false;

/**
 * As iproute2 does it: the directory is a shared mount, so that a namespace mounted or unmounted by one
 * process is so for those in other mount namespaces too.
 */
function prepareDirectory(): void {
  if (directoryReady) return;
  fs.mkdirSync(NETNS_DIRECTORY, { recursive: true, mode: 0o755 });
  try {
    libc.mount('', NETNS_DIRECTORY, 'none', libc.MS_SHARED | libc.MS_REC);
  } catch {
    libc.mount(NETNS_DIRECTORY, NETNS_DIRECTORY, 'none', libc.MS_BIND | libc.MS_REC);
    libc.mount('', NETNS_DIRECTORY, 'none', libc.MS_SHARED | libc.MS_REC);
  }
  directoryReady = true;
}

/**
 * Make a namespace and its file. A plain file left under that name (a host that lost its mounts) is
 * mounted over: that is a repair, not an error.
 * @throws KernelError EEXIST if the namespace is there
 */
export function createNamespace(name: string): void {
  if (isMounted(name)) throw new libc.KernelError(`create namespace ${name}`, libc.EEXIST);
  prepareDirectory();
  fs.closeSync(fs.openSync(path(name), fs.constants.O_RDONLY | fs.constants.O_CREAT, 0o000));
  const before = current;
  counters.writes += 1;
  libc.unshare(libc.CLONE_NEWNET);
  current = -1;
  try {
    libc.mount(THREAD_NAMESPACE, path(name), 'none', libc.MS_BIND);
  } catch (error) {
    fs.unlinkSync(path(name));
    throw error;
  } finally {
    comeBack(before);
  }
}

/** Remove a namespace's name. The kernel frees it once no process or socket uses it. Absent is fine. */
export function deleteNamespace(name: string): void {
  counters.writes += 1;
  try {
    libc.umount(path(name), libc.MNT_DETACH);
  } catch (error) {
    if (!(error instanceof libc.KernelError) || !['EINVAL', 'ENOENT'].includes(error.code)) throw error;
  }
  try {
    fs.unlinkSync(path(name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
