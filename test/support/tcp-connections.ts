import { openTcpScan, type TcpConnection } from "../../agent/os/tcp-connections.ts";

/** All connections on a listening address, as they are now. */
export function tcpConnections(address: string, port: number): TcpConnection[] {
  const found: TcpConnection[] = [];
  openTcpScan(address, port, (one) => {
    const { peer, peerPort, cookie, queued, lastSentMs, lastReceivedMs } = one;
    const { bytesAcked, bytesReceived, unreadBytes, unackedBytes } = one;
    const ages = { lastSentMs, lastReceivedMs };
    found.push({ peer, peerPort, cookie, queued, ...ages, bytesAcked, bytesReceived, unreadBytes, unackedBytes });
  }).read();
  return found;
}

/** A connection whose last request was answered long ago, and the answer acknowledged. */
export const idleConnection: TcpConnection = {
  peer: "",
  peerPort: 1,
  cookie: 1n,
  queued: false,
  lastSentMs: 5_000,
  lastReceivedMs: 5_040,
  bytesAcked: 300,
  bytesReceived: 100,
  unreadBytes: 0,
  unackedBytes: 0,
};
