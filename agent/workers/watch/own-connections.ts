import type { Socket } from "node:net";
import { peerName, type TcpConnection } from "../../os/tcp-connections.ts";

/** More than a listening socket's queue can hold. */
const KEPT = 5_000;
/** The kernel's ages have a tick, and this side hears of an end a little after it. */
const SLACK_MS = 50;

interface OwnConnection {
  readonly socket: Socket;
  /** What the slot's side calls it; null until it is known. */
  name: string | null;
  /** When this side ended it, monotonic; null while it is open. */
  endedMs: number | null;
}

/**
 * The connections that the agent opened to a slot itself. One that it has abandoned stays in the listening socket's
 * queue for as long as no worker accepts it, so each is known until the kernel does not show it any more.
 */
export class OwnConnections {
  /** By the port of this side. */
  private readonly byPort = new Map<number, OwnConnection>();
  private opening: OwnConnection | null = null;

  add(socket: Socket): void {
    const own: OwnConnection = { socket, name: null, endedMs: null };
    this.opening = own;
    socket.once("connect", () => this.name(own));
    socket.once("close", () => {
      own.endedMs = performance.now();
    });
  }

  has(connection: TcpConnection): boolean {
    // The slot's side may have accepted it before this side was told.
    if (this.opening) this.name(this.opening);
    const own = this.byPort.get(connection.peerPort);
    if (own?.name !== connection.peer) return false;
    // What has received something since is somebody else's, who got the same port.
    return own.endedMs === null || connection.lastReceivedMs >= performance.now() - own.endedMs - SLACK_MS;
  }

  /** Forgets those that had ended when a look at all connections began, and were not found by it. */
  keep(peers: ReadonlySet<string>, beganMs: number): void {
    for (const [port, { name, endedMs }] of this.byPort)
      if (endedMs !== null && endedMs < beganMs && !peers.has(name as string)) this.byPort.delete(port);
  }

  private name(own: OwnConnection): void {
    const { localAddress, localPort } = own.socket;
    if (own.name !== null || localAddress === undefined || !localPort) return;
    if (this.opening === own) this.opening = null;
    own.name = peerName(localAddress, localPort);
    this.byPort.delete(localPort);
    this.byPort.set(localPort, own);
    const [oldest] = this.byPort.keys();
    if (this.byPort.size > KEPT && oldest !== undefined) this.byPort.delete(oldest);
  }
}
