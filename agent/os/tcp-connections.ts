import { isIPv6 } from "node:net";
import { addressBytes, isWildcard } from "./address.ts";
import * as libc from "./libc.ts";

/** An accepted or queued TCP connection in the kernel. Ages are in ms, with the resolution of the kernel's tick. */
export interface TcpConnection {
  /** The peer's address and port in hex, as an identity. */
  peer: string;
  /** The kernel's id of the socket; never reused. */
  cookie: bigint;
  /** Milliseconds since data was last sent, and since it was last received. */
  lastSentMs: number;
  lastReceivedMs: number;
  bytesAcked: bigint;
  bytesReceived: bigint;
  /** Received bytes that the app has not read, and sent bytes that the peer has not acknowledged. */
  unreadBytes: number;
  unackedBytes: number;
}

/** The identity of an address and port, as in `TcpConnection.peer`. */
export function peerName(address: string, port: number): string {
  const name = Buffer.alloc(18);
  addressBytes(address).copy(name);
  name.writeUInt16BE(port, 16);
  return name.toString("hex");
}

const ESTABLISHED = 1;
const CLOSE_WAIT = 8;
const LISTEN = 10;

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST_DUMP = 0x1 | 0x300;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const IPPROTO_TCP = 6;
const INET_DIAG_INFO = 2;
const NLMSG_HEADER = 16;
const DIAG_MESSAGE = 72;

/**
 * All connections on a listening address, from the kernel by sock_diag(7), so it works for an app in any language.
 * A socket on `::` also has IPv4 connections, with mapped addresses.
 */
export function tcpConnections(address: string, port: number): TcpConnection[] {
  const found: TcpConnection[] = [];
  const wanted = isWildcard(address) ? null : addressBytes(address);
  dump(isIPv6(address), (1 << ESTABLISHED) | (1 << CLOSE_WAIT), port, (message) => {
    if (wanted && !message.subarray(8, 8 + wanted.length).equals(wanted)) return;
    const info = attribute(message, INET_DIAG_INFO);
    if (!info || info.length < 136) return;
    found.push({
      peer: message.subarray(24, 40).toString("hex") + message.subarray(6, 8).toString("hex"),
      cookie: message.readBigUInt64LE(44),
      unreadBytes: message.readUInt32LE(56),
      unackedBytes: message.readUInt32LE(60),
      lastSentMs: info.readUInt32LE(44),
      lastReceivedMs: info.readUInt32LE(52),
      bytesAcked: info.readBigUInt64LE(120),
      bytesReceived: info.readBigUInt64LE(128),
    });
  });
  return found;
}

/**
 * The inode of the socket listening on this address and port, or on a wildcard that covers it; null if there is none.
 */
export function listenerInode(address: string, port: number): number | null {
  let inode: number | null = null;
  for (const v6 of [false, true]) {
    dump(v6, 1 << LISTEN, port, (message) => {
      const local = message.subarray(8, v6 ? 24 : 12);
      const anyLocal = local.every((byte) => byte === 0);
      const same = v6 === isIPv6(address) && local.equals(addressBytes(address));
      if (same || anyLocal || isWildcard(address)) inode ??= message.readUInt32LE(68);
    });
  }
  return inode;
}

function dump(v6: boolean, states: number, port: number, each: (message: Buffer) => void): void {
  const request = Buffer.alloc(NLMSG_HEADER + 56);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST_DUMP, 6);
  request.writeUInt8(v6 ? libc.AF_INET6 : libc.AF_INET, 16);
  request.writeUInt8(IPPROTO_TCP, 17);
  request.writeUInt8(1 << (INET_DIAG_INFO - 1), 18);
  request.writeUInt32LE(states, 20);
  request.writeUInt16BE(port, 24);
  const fd = libc.socket(libc.AF_NETLINK, libc.SOCK_RAW, NETLINK_SOCK_DIAG);
  try {
    // The kernel answers at once. The timeout makes sure that the event loop never blocks.
    const second = Buffer.alloc(16);
    second.writeUInt32LE(1, 0);
    libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_RCVTIMEO, second);
    libc.send(fd, request);
    const buffer = Buffer.allocUnsafe(64 * 1024);
    for (;;) {
      const length = libc.recv(fd, buffer);
      for (let at = 0; at + NLMSG_HEADER <= length; ) {
        const size = buffer.readUInt32LE(at);
        const type = buffer.readUInt16LE(at + 4);
        if (type === NLMSG_DONE) return;
        const body = buffer.subarray(at + NLMSG_HEADER, at + size);
        if (type === NLMSG_ERROR) throw new libc.NativeError("sock_diag", -body.readInt32LE(0));
        // The kernel filters by port for most states, but may return listening sockets on other ports.
        if (body.readUInt16BE(4) === port) each(body);
        at += (size + 3) & ~3;
      }
    }
  } finally {
    libc.close(fd);
  }
}

function attribute(message: Buffer, wanted: number): Buffer | null {
  for (let at = DIAG_MESSAGE; at + 4 <= message.length; ) {
    const size = message.readUInt16LE(at);
    if (size < 4) return null;
    if (message.readUInt16LE(at + 2) === wanted) return message.subarray(at + 4, at + size);
    at += (size + 3) & ~3;
  }
  return null;
}
