import type { ConnectionTraits } from "../../bus/connection.ts";
import { everythingKept } from "../../bus/kept.ts";

/** There may be thousands of agents, and the workers serve without the bus: the agent takes over its workers first. */
export const agentTraits: ConnectionTraits = {
  needs: everythingKept,
  delayMs: 100,
  retryMs: 1_000,
  reconnectJitterMs: 500,
  pingMs: 5_000,
  requestTimeoutMs: 5_000,
};
