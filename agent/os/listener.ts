import { isIPv6 } from "node:net";
import { PortTakenError } from "../../protocol/errors.ts";
import { portOf, socketAddress } from "./address.ts";
import * as libc from "./libc.ts";
import { portOwner } from "./port-owner.ts";

/** Connections that may wait for a worker. The kernel limits it to net.core.somaxconn. */
const BACKLOG = 4096;

/**
 * A listening socket that the agent opens and never accepts on. The workers inherit it, and the kernel spreads
 * connections over them. The queue belongs to the socket, so no connection is lost when a worker ends.
 */
export class Listener {
  private closed = false;

  private constructor(
    readonly fd: number,
    readonly origin: "opened" | "adopted" | "stored",
  ) {}

  /** @throws PortTakenError naming the process that already listens there. */
  static open(address: string, port: number): Listener {
    const v6 = isIPv6(address);
    const fd = libc.socket(v6 ? libc.AF_INET6 : libc.AF_INET, libc.SOCK_STREAM);
    try {
      // Otherwise connections in TIME_WAIT block the port for a minute after a restart.
      libc.setsockopt(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, int(1));
      if (address === "::") libc.setsockopt(fd, libc.IPPROTO_IPV6, libc.IPV6_V6ONLY, int(0));
      libc.bind(fd, socketAddress(address, port));
      libc.listen(fd, BACKLOG);
      return new Listener(fd, "opened");
    } catch (error) {
      libc.close(fd);
      if (error instanceof libc.NativeError && error.code === "EADDRINUSE")
        throw new PortTakenError(`${v6 ? `[${address}]` : address}:${port}`, portOwner(address, port));
      throw error;
    }
  }

  /**
   * Gets the socket back from a running worker that inherited it; null if it is not a listening socket on this port.
   */
  static fromProcess(pid: number, foreignFd: number, port: number): Listener | null {
    let fd: number;
    try {
      fd = libc.getForeignFd(pid, foreignFd);
    } catch {
      return null;
    }
    return Listener.check(fd, port, "adopted");
  }

  /**
   * Gets the socket back from the service manager's store; null, and closed, if it is not listening at this address.
   */
  static fromStore(fd: number, address: string, port: number): Listener | null {
    libc.setCloseOnExec(fd);
    const listener = Listener.check(fd, port, "stored");
    if (!listener || isBoundTo(fd, address, port)) return listener;
    listener.close();
    return null;
  }

  private static check(fd: number, port: number, origin: "adopted" | "stored"): Listener | null {
    try {
      const listening = libc.getsockoptInt(fd, libc.SOL_SOCKET, libc.SO_ACCEPTCONN) === 1;
      if (listening && portOf(libc.getsockname(fd)) === port) return new Listener(fd, origin);
    } catch {
      // Not a socket.
    }
    libc.close(fd);
    return null;
  }

  /** Closes the agent's descriptor. The socket stays open while a worker has it. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    libc.close(this.fd);
  }
}

/** Compares family, port and address, and ignores an IPv6 address's scope. */
function isBoundTo(fd: number, address: string, port: number): boolean {
  const length = isIPv6(address) ? 24 : 8;
  return libc.getsockname(fd).subarray(0, length).equals(socketAddress(address, port).subarray(0, length));
}

function int(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32LE(value);
  return buffer;
}
