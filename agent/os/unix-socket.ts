import { chmodSync, chownSync, rmSync } from "node:fs";
import { unixAddress } from "./address.ts";
import * as libc from "./libc.ts";

const BACKLOG = 16;
/** systemd's limit: NOTIFY_BUFFER_MAX. */
const MAX_DATAGRAM = 4 * 1024;
/** One byte more, to detect longer datagrams. */
const buffer = Buffer.alloc(MAX_DATAGRAM + 1);

/** A unix socket at a path that only its owner may use. Close-on-exec; `close` removes the path. */
export class UnixSocket {
  private closed = false;

  private constructor(
    readonly path: string,
    readonly fd: number,
  ) {}

  /** @param owner the agent's own user by default */
  static open(type: "stream" | "datagram", path: string, owner?: { uid: number; gid: number } | null): UnixSocket {
    rmSync(path, { force: true });
    const kind = type === "stream" ? libc.SOCK_STREAM : libc.SOCK_DGRAM | libc.SOCK_NONBLOCK;
    const socket = new UnixSocket(path, libc.socket(libc.AF_UNIX, kind));
    try {
      libc.bind(socket.fd, unixAddress(path));
      chmodSync(path, 0o600);
      if (owner) chownSync(path, owner.uid, owner.gid);
      if (type === "stream") libc.listen(socket.fd, BACKLOG);
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** The next datagram's text, empty if it is longer than 4 KiB; null if none is queued. */
  receive(): string | null {
    try {
      const length = libc.recv(this.fd, buffer);
      return length > MAX_DATAGRAM ? "" : buffer.toString("utf8", 0, length);
    } catch (error) {
      if (error instanceof libc.NativeError && error.code === "EAGAIN") return null;
      throw error;
    }
  }

  /** Closes the agent's descriptor but keeps the path, for a process that inherited the socket. */
  release(): void {
    if (!this.closed) libc.close(this.fd);
    this.closed = true;
  }

  close(): void {
    this.release();
    rmSync(this.path, { force: true });
  }
}
