import type { Table } from "../table/table.ts";

export { ProxyDownError, ProxyRejectedError } from "../../protocol/edge-errors.ts";

/** A proxy that routes by tables: Varnish, HAProxy, or the router in this program. */
export interface ManagedProxy {
  /** Its kind, as in the edge's status. */
  readonly kind: string;
  /**
   * Makes the proxy route by a table. Resolves when every new request is routed by it. The table is acknowledged after
   * this and `persist`; the next call comes after both have ended.
   * @throws ProxyRejectedError if the proxy refuses the table, ProxyDownError if it does not run; the old table stays
   */
  apply(table: Table, signal: AbortSignal): Promise<void>;
  /**
   * Writes the applied table to the files that the proxy starts from without an edge. Durable when it resolves.
   * Absent if the proxy never runs without its edge.
   */
  persist?(): Promise<void>;
  /**
   * Whether the proxy still routes by the table that was applied last. False if it was restarted or somebody else
   * changed it: then the table is applied again.
   * @throws ProxyDownError if it does not run
   */
  isCurrent(signal: AbortSignal): Promise<boolean>;
  /** Disconnects from the proxy, which keeps routing as it does. */
  close(): Promise<void>;
}
