import type { Table } from "../table/table.ts";

export { ProxyDownError, ProxyRejectedError } from "../../protocol/edge-errors.ts";

/** A proxy that is configured by tables: Varnish, HAProxy, or the router in this program. */
export interface ManagedProxy {
  /** Its kind, as it stands in the edge's status. */
  readonly kind: string;
  /**
   * Makes the proxy route by a table. Resolves when it really does, for every request that comes from now on; only then, and when
   * it was kept, is the table acknowledged. Is not called again before both have ended.
   * @throws ProxyRejectedError where the proxy does not take it, ProxyDownError where there is none; the old table stays.
   */
  apply(table: Table, signal: AbortSignal): Promise<void>;
  /**
   * Writes what `apply` brought to the proxy to where a proxy that is started alone begins with it. On disk for good when it resolves.
   * Absent where a proxy never starts alone.
   */
  persist?(): Promise<void>;
  /**
   * Whether the proxy still routes by the table that was applied last. False where it was started anew, or changed by others: then the
   * table is applied once more.
   * @throws ProxyDownError where it does not run
   */
  isCurrent(signal: AbortSignal): Promise<boolean>;
  /** Lets go of the proxy, which goes on as it is. */
  close(): Promise<void>;
}
