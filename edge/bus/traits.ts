import type { ConnectionTraits } from "../../bus/connection.ts";
import { buckets } from "../../protocol/subjects.ts";

/**
 * There are few edges, and an edge without the bus routes by an old table: it looks for the bus sooner than an agent
 * does.
 */
export const edgeTraits: ConnectionTraits = {
  needs: [buckets.serversets, buckets.routes, buckets.edges],
  delayMs: 0,
  retryMs: 500,
  reconnectJitterMs: 250,
  pingMs: 2_000,
  requestTimeoutMs: 3_000,
};
