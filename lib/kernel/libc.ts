/**
 * The C library, called in-process (koffi). Only what the kernel layer needs, each call synchronous and
 * raising a `KernelError` with the errno's name. Sources: the section-2 man pages of each call.
 */
import { constants } from 'node:os';
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');

/** errno number → name ('ENOENT'), from Node's own table. */
const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, value]) => [value, name]));

export const ENOENT = constants.errno.ENOENT;
export const EEXIST = constants.errno.EEXIST;
export const EAGAIN = constants.errno.EAGAIN;
export const EINTR = constants.errno.EINTR;
export const ESRCH = constants.errno.ESRCH;
export const EBUSY = constants.errno.EBUSY;
export const ENODEV = constants.errno.ENODEV;
export const ENOBUFS = constants.errno.ENOBUFS;
export const EADDRNOTAVAIL = constants.errno.EADDRNOTAVAIL;

/** A refused kernel request: what was asked, the errno, and the kernel's own words where it gave some. */
export class KernelError extends Error {
  readonly errno: number;
  readonly code: string;
  readonly operation: string;

  constructor(operation: string, errno: number, words?: string) {
    const code = ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
    super(words ? `${operation}: ${words} (${code})` : `${operation}: ${code}`);
    this.name = 'KernelError';
    this.operation = operation;
    this.errno = errno;
    this.code = code;
  }
}

type Native = (...args: (number | bigint | string | Buffer | null)[]) => number;

const native = (signature: string): Native => libc.func(signature) as unknown as Native;

const raw = {
  setns: native('int setns(int fd, int nstype)'),
  unshare: native('int unshare(int flags)'),
  mount: native(
    'int mount(const char *source, const char *target, const char *type, ulong flags, const void *data)',
  ),
  umount2: native('int umount2(const char *target, int flags)'),
  open: native('int open(const char *path, int flags, int mode)'),
  close: native('int close(int fd)'),
  socket: native('int socket(int domain, int type, int protocol)'),
  bind: native('int bind(int fd, const void *address, uint length)'),
  listen: native('int listen(int fd, int backlog)'),
  getsockname: native('int getsockname(int fd, void *address, _Inout_ uint *length)'),
  setsockopt: native('int setsockopt(int fd, int level, int name, const void *value, uint length)'),
  getsockopt: native('int getsockopt(int fd, int level, int name, void *value, void *length)'),
  send: native('long send(int fd, const void *data, ulong length, int flags)'),
  sendto: native(
    'long sendto(int fd, const void *data, ulong length, int flags, const void *address, uint addressLength)',
  ),
  recv: native('long recv(int fd, void *data, ulong length, int flags)'),
  recvmsg: native('long recvmsg(int fd, void *message, int flags)'),
  write: native('long write(int fd, const void *data, ulong length)'),
  read: native('long read(int fd, void *data, ulong length)'),
  ioctl: native('int ioctl(int fd, ulong request, void *argument)'),
  epollCreate: native('int epoll_create1(int flags)'),
  epollCtl: native('int epoll_ctl(int epfd, int op, int fd, void *event)'),
  eventfd: native('int eventfd(uint initial, int flags)'),
  pthreadSigmask: native('int pthread_sigmask(int how, const void *set, void *former)'),
  syscall: native('long syscall(long number, long a, long b)'),
  prctl: native('int prctl(int option, ulong a, ulong b, ulong c, ulong d)'),
  memfdCreate: native('int memfd_create(const char *name, uint flags)'),
  waitpid: native('int waitpid(int pid, void *status, int options)'),
  spawnActions: native('int posix_spawn_file_actions_init(void *actions)'),
  spawnActionsEnd: native('int posix_spawn_file_actions_destroy(void *actions)'),
  spawnOpen: native(
    'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, uint mode)',
  ),
  spawnDup: native('int posix_spawn_file_actions_adddup2(void *actions, int fd, int as)'),
  spawnAttributes: native('int posix_spawnattr_init(void *attributes)'),
  spawnFlags: native('int posix_spawnattr_setflags(void *attributes, short flags)'),
  spawnDefaults: native('int posix_spawnattr_setsigdefault(void *attributes, const void *signals)'),
  spawnMask: native('int posix_spawnattr_setsigmask(void *attributes, const void *signals)'),
};

const posixSpawn = libc.func(
  'int posix_spawnp(void *pid, const char *file, const void *actions, const void *attributes, const char **argv, const char **environment)',
);

const epollWait = libc.func('int epoll_wait(int epfd, void *events, int maxevents, int timeout)');

/** Run one native call; a result of -1 becomes a KernelError. */
function checked(operation: string, result: number): number {
  if (result < 0) throw new KernelError(operation, koffi.errno());
  return result;
}

const O_RDONLY = 0;
const O_CLOEXEC = 0o2000000;
const SOCK_CLOEXEC = 0o2000000;
export const SOCK_NONBLOCK = 0o4000;

export const CLONE_NEWNET = 0x40000000;
export const MS_BIND = 4096;
export const MS_REC = 16384;
export const MS_SHARED = 1 << 20;
export const MNT_DETACH = 2;

export const open = (path: string, flags = O_RDONLY): number =>
  checked(`open ${path}`, raw.open(path, flags | O_CLOEXEC, 0));
export const close = (fd: number): void => void raw.close(fd);
export const setns = (fd: number, type: number): void => void checked('setns', raw.setns(fd, type));
export const unshare = (flags: number): void => void checked('unshare', raw.unshare(flags));
export const mount = (source: string, target: string, type: string, flags: number): void =>
  void checked(`mount ${source} on ${target}`, raw.mount(source, target, type, flags, null));
export const umount = (target: string, flags: number): void =>
  void checked(`umount ${target}`, raw.umount2(target, flags));
export const socket = (domain: number, type: number, protocol: number): number =>
  checked('socket', raw.socket(domain, type | SOCK_CLOEXEC, protocol));
export const bind = (fd: number, address: Buffer, what = 'bind'): void =>
  void checked(what, raw.bind(fd, address, address.length));
export const listen = (fd: number, backlog: number): void => void checked('listen', raw.listen(fd, backlog));
export const setsockopt = (fd: number, level: number, name: number, value: Buffer): void =>
  void checked(`setsockopt ${level}/${name}`, raw.setsockopt(fd, level, name, value, value.length));
/** socklen_t of a Buffer, for calls that write the real length there. */
function lengthOf(buffer: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(buffer.length);
  return length;
}

/** Fill the Buffer with an option's value; false if the kernel does not have that option. */
export const getsockopt = (fd: number, level: number, name: number, into: Buffer): boolean =>
  raw.getsockopt(fd, level, name, into, lengthOf(into)) === 0;
export const send = (fd: number, data: Buffer): number => checked('send', raw.send(fd, data, data.length, 0));
export const sendto = (fd: number, data: Buffer, address: Buffer, what = 'sendto'): number =>
  checked(what, raw.sendto(fd, data, data.length, 0, address, address.length));
/** Returns the number of bytes, or -errno (so that EAGAIN and EINTR cost no exception). */
export const recv = (fd: number, into: Buffer, flags: number): number => {
  const length = raw.recv(fd, into, into.length, flags);
  return length < 0 ? -koffi.errno() : length;
};
/** As `recv`, with a hand-made `struct msghdr`. */
export const recvmsg = (fd: number, message: Buffer, flags: number): number => {
  const length = raw.recvmsg(fd, message, flags);
  return length < 0 ? -koffi.errno() : length;
};
export const ioctl = (fd: number, request: number, argument: Buffer, what: string): void =>
  void checked(what, raw.ioctl(fd, request, argument));
export const epollCreate = (): number => checked('epoll_create1', raw.epollCreate(0o2000000));
export const epollCtl = (epfd: number, op: number, fd: number, event: Buffer): void =>
  void checked('epoll_ctl', raw.epollCtl(epfd, op, fd, event));
export const eventfd = (): number => checked('eventfd', raw.eventfd(0, 0o2004000));
const O_WRONLY = 1;

/** Do one thing with a file for a moment; -errno if it can't be opened or that thing fails. */
function withFile(path: string, flags: number, fn: (fd: number) => number): number {
  const fd = raw.open(path, flags | O_CLOEXEC, 0);
  if (fd < 0) return -koffi.errno();
  const result = fn(fd);
  const outcome = result < 0 ? -koffi.errno() : result;
  raw.close(fd);
  return outcome;
}

/** Read the beginning of a file, as much as fits: number of bytes, or -errno. For /proc, where it is half the cost. */
export const readFile = (path: string, into: Buffer): number =>
  withFile(path, O_RDONLY, (fd) => raw.read(fd, into, into.length));
/** Write to an existing file in one go: number of bytes, or -errno. */
export const writeFile = (path: string, data: Buffer): number =>
  withFile(path, O_WRONLY, (fd) => raw.write(fd, data, data.length));

export const write = (fd: number, data: Buffer): number => checked('write', raw.write(fd, data, data.length));

/** Wait for epoll events on a thread of the pool; resolves to their number. */
export const epollWaitAsync = (epfd: number, events: Buffer, capacity: number): Promise<number> =>
  new Promise((resolve, reject) => {
    epollWait.async(epfd, events, capacity, -1, (error: Error | null, count: number) => {
      if (error) reject(error);
      else resolve(count);
    });
  });

const SIG_BLOCK = 0;
const SIG_SETMASK = 2;
/** glibc's sigset_t. All but what a faulty instruction raises: ILL, TRAP, ABRT, BUS, FPE and SEGV. */
const EVERY_SIGNAL = Buffer.alloc(128, 0xff);
EVERY_SIGNAL[0] = 0b0000_0111;
EVERY_SIGNAL[1] = 0b1111_1011;

/** Run `fn` with signals held back from this thread: they come when it is done (or to another thread). */
export function withoutSignals<T>(fn: () => T): T {
  const former = Buffer.alloc(128);
  raw.pthreadSigmask(SIG_BLOCK, EVERY_SIGNAL, former);
  try {
    return fn();
  } finally {
    raw.pthreadSigmask(SIG_SETMASK, former, null);
  }
}

const SYS_PIDFD_OPEN = 434;
/** pidfd_open(2): a descriptor that becomes readable when the process ends. */
export const pidfdOpen = (pid: number): number =>
  checked(`pidfd_open ${pid}`, raw.syscall(SYS_PIDFD_OPEN, pid, 0));

const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_IS_SET = 1;
const PR_CAP_AMBIENT_LOWER = 3;
/** Programs that this thread starts get the capability. False also for one that the kernel does not have. */
export const hasAmbient = (bit: number): boolean =>
  raw.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, bit, 0, 0) === 1;
/** They do not, from now on. */
export const lowerAmbient = (bit: number): void =>
  void checked(
    `prctl PR_CAP_AMBIENT_LOWER ${bit}`,
    raw.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, bit, 0, 0),
  );

/** Where a Buffer's bytes are, for pointers inside hand-made C structures. The Buffer must stay alive. */
export const addressOf = (buffer: Buffer): bigint => koffi.address(buffer) as bigint;

const MFD_CLOEXEC = 1;
/** A file that has no name and is gone with its last descriptor. */
export const memoryFile = (name: string): number =>
  checked('memfd_create', raw.memfdCreate(name, MFD_CLOEXEC));

const WNOHANG = 1;
const STATUS = Buffer.alloc(4);
/** wait(2)'s status of a child that has ended, undefined while it runs. @throws KernelError ECHILD: it is no child */
export function endedChild(pid: number): number | undefined {
  return checked(`waitpid ${pid}`, raw.waitpid(pid, STATUS, WNOHANG)) === 0
    ? undefined
    : STATUS.readInt32LE();
}

/** Longer than glibc's posix_spawn_file_actions_t (80 bytes) and posix_spawnattr_t (336). */
const SPAWN_STRUCT_BYTES = 512;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
const O_RDWR = 2;
const SIGNAL_SET_BYTES = 128;

/** No signal held back and none ignored, whatever this process does. */
function spawnAttributes(): Buffer {
  const attributes = Buffer.alloc(SPAWN_STRUCT_BYTES);
  raw.spawnAttributes(attributes);
  raw.spawnFlags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  raw.spawnDefaults(attributes, Buffer.alloc(SIGNAL_SET_BYTES, 0xff));
  raw.spawnMask(attributes, Buffer.alloc(SIGNAL_SET_BYTES));
  return attributes;
}

let attributes: Buffer | undefined;

/**
 * Start a program (looked for in PATH) in the namespaces this thread is in: its input and output are /dev/null, its
 * errors go to `errors`, a descriptor. Returns its pid; it must be waited for. posix_spawn(3) lends it this
 * process's memory until it runs the program, where a fork copies page tables.
 * @throws KernelError
 */
export function spawn(argv: readonly string[], environment: readonly string[], errors: number): number {
  attributes ??= spawnAttributes();
  const actions = Buffer.alloc(SPAWN_STRUCT_BYTES);
  const pid = Buffer.alloc(4);
  raw.spawnActions(actions);
  try {
    for (const fd of [0, 1]) raw.spawnOpen(actions, fd, '/dev/null', O_RDWR, 0);
    raw.spawnDup(actions, errors, 2);
    const errno = posixSpawn(pid, argv[0], actions, attributes, [...argv, null], [...environment, null]);
    if (errno !== 0) throw new KernelError(`start ${argv[0]}`, errno);
  } finally {
    raw.spawnActionsEnd(actions);
  }
  return pid.readInt32LE();
}
