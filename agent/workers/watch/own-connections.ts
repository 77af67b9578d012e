import type { Socket } from "node:net";
import { peerName } from "../../os/tcp-connections.ts";

/** A connection may linger on the slot's side, in an app that does not look; so the names of the last ones are kept. */
const KEPT = 8;

/** The connections that the agent opened to a slot itself, by the names that the slot's side has for them. */
export class OwnConnections {
  private readonly names: string[] = [];
  private opening: Socket | null = null;

  add(socket: Socket): void {
    this.opening = socket;
    socket.once("connect", () => this.name(socket));
  }

  /** @param peer as in `TcpConnection.peer` */
  has(peer: string): boolean {
    // The slot's side may have accepted it before this side was told.
    if (this.opening) this.name(this.opening);
    return this.names.includes(peer);
  }

  private name(socket: Socket): void {
    const { localAddress, localPort } = socket;
    if (localAddress === undefined || !localPort) return;
    if (this.opening === socket) this.opening = null;
    const name = peerName(localAddress, localPort);
    if (this.names.includes(name)) return;
    this.names.push(name);
    if (this.names.length > KEPT) this.names.shift();
  }
}
