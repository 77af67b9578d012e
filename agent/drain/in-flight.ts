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
  const { unreadBytes, unackedBytes, bytesReceived, bytesAcked, lastReceivedMs, lastSentMs } = connection;
  if (unreadBytes > 0 || unackedBytes > 0) return true;
  if (bytesReceived > 0n && bytesAcked === 0n) return true;
  if (lastReceivedMs < lastSentMs) return true;
  return Math.min(lastReceivedMs, lastSentMs) < quietMs;
}

export interface ConnectionCount {
  open: number;
  inFlight: number;
}

export function countConnections(connections: readonly TcpConnection[], quietMs: number): ConnectionCount {
  return {
    open: connections.length,
    inFlight: connections.filter((connection) => isInFlight(connection, quietMs)).length,
  };
}
