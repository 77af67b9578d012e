import type { ConnectionScan } from "../drain/connection-counter.ts";
import type { TcpConnection } from "../os/tcp-connections.ts";
import type { Inheritance } from "./process/launch.ts";

/**
 * What stands in front of a pool's workers and brings them requests. A slot's shared socket is one kind: every worker
 * inherits it. A proxy in front of workers that have ports of their own would be another.
 */
export interface Front {
  /** What every worker inherits, from descriptor 3 on. */
  readonly descriptors: Inheritance["descriptors"];
  /** The variables that tell a worker where to listen. LISTEN_FDS and LISTEN_FDNAMES follow from the descriptors. */
  variables(worker: number): Record<string, string>;
  /**
   * Which workers are seen to wait for requests.
   * @returns their pids. A pid that is missing does not wait, or waits in a way that can't be seen.
   */
  accepting(pids: readonly number[]): Set<number>;
  /**
   * A look at all connections to the workers.
   * @param visit as in `openTcpScan`
   */
  openScan(visit: (connection: TcpConnection) => void): ConnectionScan;
  /** Stops accepting: releases every hold on the port. Workers finish what they have accepted. Idempotent. */
  free(): void;
  /** Nothing listens on the port any more. */
  readonly isFree: boolean;
  /** Resolves once nothing listens on the port. @throws StopFailedError naming who does. */
  untilFree(): Promise<void>;
  /** Releases only this agent's hold: the workers keep serving, and the next agent takes over. */
  abandon(): void;
}
