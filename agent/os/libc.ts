import { constants } from "node:os";
import koffi from "koffi";

/**
 * C library calls that Node does not offer. Each wrapper throws a `NativeError` with the errno if the call returns -1.
 */
const lib = koffi.load("libc.so.6");

const native = {
  socket: lib.func("int socket(int domain, int type, int protocol)"),
  bind: lib.func("int bind(int fd, const uint8_t *addr, uint32_t len)"),
  listen: lib.func("int listen(int fd, int backlog)"),
  connect: lib.func("int connect(int fd, const uint8_t *addr, uint32_t len)"),
  setsockopt: lib.func("int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t len)"),
  getsockopt: lib.func("int getsockopt(int fd, int level, int name, _Out_ uint8_t *value, _Inout_ uint8_t *len)"),
  getsockname: lib.func("int getsockname(int fd, _Out_ uint8_t *addr, _Inout_ uint8_t *len)"),
  send: lib.func("int64_t send(int fd, const uint8_t *data, size_t len, int flags)"),
  recv: lib.func("int64_t recv(int fd, _Out_ uint8_t *data, size_t len, int flags)"),
  syncfs: lib.func("int syncfs(int fd)"),
  flock: lib.func("int flock(int fd, int operation)"),
  fcntl: lib.func("int fcntl(int fd, int command, int argument)"),
  close: lib.func("int close(int fd)"),
  poll: lib.func("int poll(_Inout_ uint8_t *fds, uint64_t count, int timeout)"),
  getxattr: lib.func("int64_t getxattr(const char *path, const char *name, _Out_ uint8_t *value, size_t size)"),
  syscall3: lib.func("syscall", "long", ["long", "long", "long", "long"]),
};

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_RCVTIMEO = 20;
export const SO_ACCEPTCONN = 30;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const LOCK_EX_NB = 2 | 4;
const F_SETFD = 2;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const POLLIN = 1;
/** Size of a `struct pollfd` in bytes: fd, events, revents. */
const POLLFD = 8;
const MSG_NOSIGNAL = 0x4000;
/** These newer calls have the same numbers on x86-64 and arm64. */
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;
const SYS_pidfd_getfd = 438;

/** A failed C library call. `code` is the errno's name, as in Node's own errors. */
export class NativeError extends Error {
  readonly code: string;
  constructor(
    readonly call: string,
    readonly errno: number,
  ) {
    const code = Object.entries(constants.errno).find(([, number]) => number === errno)?.[0] ?? `errno ${errno}`;
    super(`${call} failed: ${code}`);
    this.name = "NativeError";
    this.code = code;
  }
}

function checked(call: string, result: number): number {
  if (result === -1) throw new NativeError(call, koffi.errno());
  return result;
}

export function socket(domain: number, type: number, protocol = 0): number {
  return checked("socket", native.socket(domain, type | SOCK_CLOEXEC, protocol));
}

export function bind(fd: number, address: Buffer): void {
  checked("bind", native.bind(fd, address, address.length));
}

export function listen(fd: number, backlog: number): void {
  checked("listen", native.listen(fd, backlog));
}

export function connect(fd: number, address: Buffer): void {
  checked("connect", native.connect(fd, address, address.length));
}

export function setsockopt(fd: number, level: number, name: number, value: Buffer): void {
  checked("setsockopt", native.setsockopt(fd, level, name, value, value.length));
}

export function getsockopt(fd: number, level: number, name: number, bytes: number): Buffer {
  const value = Buffer.alloc(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes);
  checked("getsockopt", native.getsockopt(fd, level, name, value, length));
  return value;
}

/** An option whose value is an int. */
export function getsockoptInt(fd: number, level: number, name: number): number {
  return getsockopt(fd, level, name, 4).readInt32LE();
}

/** The raw `sockaddr` a socket is bound to. */
export function getsockname(fd: number): Buffer {
  const address = Buffer.alloc(128);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(address.length);
  checked("getsockname", native.getsockname(fd, address, length));
  return address.subarray(0, length.readUInt32LE());
}

export function send(fd: number, data: Buffer): number {
  return checked("send", Number(native.send(fd, data, data.length, MSG_NOSIGNAL)));
}

export function recv(fd: number, into: Buffer): number {
  return checked("recv", Number(native.recv(fd, into, into.length, 0)));
}

/** Locks an open file, or throws EAGAIN. The kernel releases the lock when the last descriptor is closed. */
export function lockFile(fd: number): void {
  checked("flock", native.flock(fd, LOCK_EX_NB));
}

/** Keeps programs started by this process from inheriting a descriptor. */
export function setCloseOnExec(fd: number): void {
  checked("fcntl", native.fcntl(fd, F_SETFD, FD_CLOEXEC));
}

/** Makes calls on a descriptor block, for all processes that share it. */
export function setBlocking(fd: number): void {
  checked("fcntl", native.fcntl(fd, F_SETFL, 0));
}

/** An extended attribute as text; null if the file does not have it or can't be read. */
export function getxattr(path: string, name: string): string | null {
  const value = Buffer.alloc(256);
  const length = Number(native.getxattr(path, name, value, value.length));
  return length === -1 ? null : value.toString("utf8", 0, length);
}

/** Makes everything written to a file system durable. Waits in a thread of libuv's pool. */
export function syncFileSystem(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    native.syncfs.async(fd, (error: Error | null, result: number) => {
      if (error) reject(error);
      else if (result === -1) reject(new NativeError("syncfs", koffi.errno()));
      else resolve();
    });
  });
}

export function close(fd: number): void {
  checked("close", native.close(fd));
}

/** A copy of another process's descriptor, close-on-exec. Needs ptrace access to that process. */
export function getForeignFd(pid: number, foreignFd: number): number {
  const pidfd = openPidfd(pid);
  try {
    return checked("pidfd_getfd", Number(native.syscall3(SYS_pidfd_getfd, pidfd, foreignFd, 0)));
  } finally {
    close(pidfd);
  }
}

/** @param number the number of the system call ioprio_set on this platform */
export function ioprioSet(number: number, which: number, who: number, priority: number): void {
  checked("ioprio_set", Number(native.syscall3(number, which, who, priority)));
}

/**
 * A descriptor for a process, never for a later one with the same pid; close-on-exec. It is readable once the process
 * has ended.
 */
export function openPidfd(pid: number): number {
  return checked("pidfd_open", Number(native.syscall3(SYS_pidfd_open, pid, 0, 0)));
}

export function signalPidfd(pidfd: number, signal: number): void {
  checked("pidfd_send_signal", Number(native.syscall3(SYS_pidfd_send_signal, pidfd, signal, 0)));
}

/** The descriptors that are readable now. Does not wait. */
export function readable(fds: readonly number[]): Set<number> {
  const polled = Buffer.alloc(POLLFD * fds.length);
  for (const [i, fd] of fds.entries()) {
    polled.writeInt32LE(fd, POLLFD * i);
    polled.writeInt16LE(POLLIN, POLLFD * i + 4);
  }
  checked("poll", native.poll(polled, fds.length, 0));
  return new Set(fds.filter((_, i) => polled.readInt16LE(POLLFD * i + 6) !== 0));
}
