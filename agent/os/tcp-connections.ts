import { isIPv6 } from "node:net";
import { addressBytes, isWildcard } from "./address.ts";
import { findAttribute, INET_DIAG_INFO, SocketDump, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LISTEN } from "./sock-diag.ts";

/** An accepted or queued TCP connection in the kernel. Ages are in ms, with the resolution of the kernel's tick. */
export interface TcpConnection {
  /** `address:port` of the other side, in hex: an identity, not for people. */
  readonly peer: string;
  readonly peerPort: number;
  /** The kernel's own name for the socket, which is never used again. */
  readonly cookie: bigint;
  /** It is in the listening socket's queue: no process has accepted it. */
  readonly queued: boolean;
  /** Milliseconds since the last data was sent, and since the last was received; at first, since it was opened. */
  readonly lastSentMs: number;
  readonly lastReceivedMs: number;
  readonly bytesAcked: number;
  readonly bytesReceived: number;
  /** Bytes that the app has not read, and bytes sent that the other side has not acknowledged. */
  readonly unreadBytes: number;
  readonly unackedBytes: number;
}

/** The identity of an address and port, as in `TcpConnection.peer`. */
export function peerName(address: string, port: number): string {
  const name = Buffer.alloc(18);
  addressBytes(address).copy(name);
  name.writeUInt16BE(port, 16);
  return name.toString("hex");
}

/**
 * A look at every connection on a listening address, from the kernel by sock_diag(7), so that it is the same for an app
 * in any language. A socket bound to an address of one family has connections of that family only; one on `::` has IPv4
 * ones as mapped addresses.
 * @param visit is given one connection after another. The object is the same for all of them: what is needed for longer
 * has to be copied.
 */
export function openTcpScan(address: string, port: number, visit: (connection: TcpConnection) => void): SocketDump {
  const wanted = isWildcard(address) ? null : addressBytes(address);
  const row = new Row();
  const states = [TCP_ESTABLISHED, TCP_CLOSE_WAIT];
  return new SocketDump({ v6: isIPv6(address), states, port, info: true }, (from, at, end) => {
    if (wanted && from.compare(wanted, 0, wanted.length, at + 8, at + 8 + wanted.length) !== 0) return;
    if (row.moveTo(from, at, end)) visit(row);
  });
}

/** Reads a field from the kernel's answer when it is asked for: there may be tens of thousands, and few are. */
class Row implements TcpConnection {
  private from: Buffer = Buffer.alloc(0);
  /** Where the `struct inet_diag_msg` begins, and the `struct tcp_info`. */
  private at = 0;
  private info = 0;

  /** @returns false where the kernel did not say enough of it */
  moveTo(from: Buffer, at: number, end: number): boolean {
    this.from = from;
    this.at = at;
    this.info = findAttribute(from, at, end, INET_DIAG_INFO, 136);
    return this.info !== -1;
  }

  get peer() {
    const port = this.from.toString("hex", this.at + 6, this.at + 8);
    return this.from.toString("hex", this.at + 24, this.at + 40) + port;
  }
  get peerPort() {
    return this.from.readUInt16BE(this.at + 6);
  }
  get cookie() {
    return this.from.readBigUInt64LE(this.at + 44);
  }
  get queued() {
    return this.from.readUInt32LE(this.at + 68) === 0;
  }
  get unreadBytes() {
    return this.from.readUInt32LE(this.at + 56);
  }
  get unackedBytes() {
    return this.from.readUInt32LE(this.at + 60);
  }
  get lastSentMs() {
    return this.from.readUInt32LE(this.info + 44);
  }
  get lastReceivedMs() {
    return this.from.readUInt32LE(this.info + 52);
  }
  get bytesAcked() {
    return this.readUInt64(this.info + 120);
  }
  get bytesReceived() {
    return this.readUInt64(this.info + 128);
  }

  private readUInt64(at: number): number {
    return this.from.readUInt32LE(at) + this.from.readUInt32LE(at + 4) * 2 ** 32;
  }
}

/**
 * The inode of the socket listening on this address and port, or on a wildcard that covers it; null if there is none.
 */
export function listenerInode(address: string, port: number): number | null {
  let inode: number | null = null;
  for (const v6 of [false, true]) {
    const dump = new SocketDump({ v6, states: [TCP_LISTEN], port, info: false }, (from, at) => {
      const local = from.subarray(at + 8, at + (v6 ? 24 : 12));
      const anyLocal = local.every((byte) => byte === 0);
      const same = v6 === isIPv6(address) && local.equals(addressBytes(address));
      if (same || anyLocal || isWildcard(address)) inode ??= from.readUInt32LE(at + 68);
    });
    dump.read();
  }
  return inode;
}
