import * as libc from "./libc.ts";

/** States of a TCP connection, as the kernel numbers them. */
export const TCP_ESTABLISHED = 1;
export const TCP_CLOSE_WAIT = 8;
export const TCP_LISTEN = 10;
/** The attribute of a message that holds a `struct tcp_info`. */
export const INET_DIAG_INFO = 2;

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST_DUMP = 0x1 | 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const IPPROTO_TCP = 6;
const NLMSG_HEADER = 16;
/** Bytes of a `struct inet_diag_msg`, which the attributes follow. */
const DIAG_MESSAGE = 72;

/** The kernel fills 32 KiB at most at once. Each portion is dealt with before the next one is read, by any dump. */
const portion = Buffer.allocUnsafe(64 * 1024);

export interface DumpRequest {
  v6: boolean;
  states: readonly number[];
  /** The local one: the kernel leaves out the others. */
  port: number;
  /** With a `struct tcp_info` of each. */
  info: boolean;
}

/**
 * The kernel's list of TCP sockets: sock_diag(7). It is read in portions of about a hundred, since the kernel makes it
 * while it is read: 50,000 sockets take it 100 ms. A socket that comes or goes meanwhile may be missing.
 */
export class SocketDump {
  private readonly fd: number;
  private closed = false;

  /**
   * @param each is given a buffer, and where in it a `struct inet_diag_msg` begins and its attributes end. They are
   * there until it returns.
   */
  constructor(
    private readonly request: DumpRequest,
    private readonly each: (from: Buffer, at: number, end: number) => void,
  ) {
    this.fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, NETLINK_SOCK_DIAG);
    try {
      // The kernel answers at once; the bound is there so that nothing can hold the event loop.
      const second = Buffer.alloc(16);
      second.writeUInt32LE(1, 0);
      libc.setsockopt(this.fd, libc.SOL_SOCKET, libc.SO_RCVTIMEO, second);
      libc.send(this.fd, encode(request));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Reads on until so much time has passed, or the list has ended. @returns whether it has; it is closed then */
  read(forMs = Number.POSITIVE_INFINITY): boolean {
    const end = performance.now() + forMs;
    try {
      while (!this.closed) {
        if (this.readPortion()) this.close();
        else if (performance.now() >= end) return false;
      }
      return true;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    libc.close(this.fd);
  }

  /** @returns whether it was the last one */
  private readPortion(): boolean {
    const length = libc.recv(this.fd, portion);
    for (let at = 0; at + NLMSG_HEADER <= length; ) {
      const size = portion.readUInt32LE(at);
      const type = portion.readUInt16LE(at + 4);
      const body = at + NLMSG_HEADER;
      if (type === NLMSG_DONE) return true;
      if (type === NLMSG_ERROR) throw new libc.NativeError("sock_diag", -portion.readInt32LE(body));
      // The kernel filters by port for most states; a listening socket of another port may still come along.
      if (portion.readUInt16BE(body + 4) === this.request.port) this.each(portion, body, at + size);
      at += (size + 3) & ~3;
    }
    return false;
  }
}

/** Where the value of a message's attribute begins; -1 where it is missing or has fewer bytes than wanted. */
export function findAttribute(from: Buffer, message: number, end: number, wanted: number, minBytes: number): number {
  for (let at = message + DIAG_MESSAGE; at + 4 <= end; ) {
    const size = from.readUInt16LE(at);
    if (size < 4) return -1;
    if (from.readUInt16LE(at + 2) === wanted) return size - 4 < minBytes ? -1 : at + 4;
    at += (size + 3) & ~3;
  }
  return -1;
}

/** A netlink header and a `struct inet_diag_req_v2`. */
function encode({ v6, states, port, info }: DumpRequest): Buffer {
  const request = Buffer.alloc(NLMSG_HEADER + 56);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  request.writeUInt8(v6 ? libc.AF_INET6 : libc.AF_INET, 16);
  request.writeUInt8(IPPROTO_TCP, 17);
  request.writeUInt8(info ? 1 << (INET_DIAG_INFO - 1) : 0, 18);
  const bits = states.reduce((all, state) => all | (1 << state), 0);
  request.writeUInt32LE(bits, 20);
  request.writeUInt16BE(port, 24);
  return request;
}
