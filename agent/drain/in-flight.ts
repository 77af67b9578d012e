import type { TcpConnection } from "../os/tcp-connections.ts";

/**
 * Whether a connection has a request in flight, by what the kernel saw of it, for an app in any language: bytes that
 * the app has not read or the other side has not acknowledged; data received and none ever sent; data received after
 * the last was sent; or data that moved a moment ago, in either direction (a stream, an upload, a download). The ages
 * have the kernel's tick, so that a request which arrived within the same tick as the previous response is recognized
 * by the last rule only.
 * @param quietMs a connection on which nothing moved for this long, and whose last word was the app's, is idle. 0
 * leaves that rule out.
 */
export function isInFlight(connection: TcpConnection, quietMs: number): boolean {
  return isOwed(connection) || Math.min(connection.lastReceivedMs, connection.lastSentMs) < quietMs;
}

/** The app has the next word, or its last one is still under way. */
function isOwed({ unreadBytes, unackedBytes, bytesReceived, bytesAcked, lastReceivedMs, lastSentMs }: TcpConnection) {
  if (unreadBytes > 0 || unackedBytes > 0) return true;
  return (bytesReceived > 0 && bytesAcked === 0) || lastReceivedMs < lastSentMs;
}

/** Connections on a port, but for the agent's own. */
export interface ConnectionCount {
  open: number;
  /** The app has the next word, or its last one is still under way. */
  inFlight: number;
  /** Those, and those on which something moved within `quiet_ms`: what a drain waits for. */
  busy: number;
  /** Those of `busy` that no process has accepted, and for how long nothing came on the one that has waited longest. */
  queued: number;
  queuedMs: number;
  /** Those that a process has accepted, whatever goes on there. */
  accepted: number;
}

/** Counts connections one after another. */
export class Tally implements ConnectionCount {
  open = 0;
  inFlight = 0;
  busy = 0;
  queued = 0;
  queuedMs = 0;
  accepted = 0;

  constructor(private readonly quietMs: number) {}

  add(connection: TcpConnection): void {
    this.open++;
    if (!connection.queued) this.accepted++;
    const owed = isOwed(connection);
    if (owed) this.inFlight++;
    if (!owed && !isInFlight(connection, this.quietMs)) return;
    this.busy++;
    if (!connection.queued) return;
    this.queued++;
    this.queuedMs = Math.max(this.queuedMs, connection.lastReceivedMs);
  }
}
