import { isIPv6 } from "node:net";
import { Pool } from "undici";
import type { Endpoint, Table } from "../../table/table.ts";
import type { BuiltinConfig } from "./config.ts";

/** After a failed connection, an endpoint is the last choice for this long. */
const SHUNNED_MS = 1_000;

/** An endpoint, its persistent connections and its number of requests in flight. */
export class Origin {
  readonly pool: Pool;
  inFlight = 0;
  private failedAt = Number.NEGATIVE_INFINITY;

  constructor(
    readonly endpoint: Endpoint,
    config: BuiltinConfig,
  ) {
    const { address, port } = endpoint;
    this.pool = new Pool(`http://${isIPv6(address) ? `[${address}]` : address}:${port}`, {
      connect: { timeout: config.connect_timeout_ms },
      headersTimeout: config.response_timeout_ms,
      // A stream may be silent for long.
      bodyTimeout: 0,
    });
  }

  failed(): void {
    this.failedAt = performance.now();
  }

  /** Its load with one more request, to compare endpoints by. */
  load(now: number): number {
    const shunned = now - this.failedAt < SHUNNED_MS ? 1e9 : 0;
    return shunned + (this.inFlight + 1) / this.endpoint.weight;
  }
}

/** The endpoints of a table with their connections. Endpoints that stay in the next table keep theirs. */
export class Origins {
  private byKey = new Map<string, Origin>();
  private byVersion = new Map<string, Origin[]>();

  constructor(private readonly config: BuiltinConfig) {}

  /** Switches to a table. The connections of endpoints that left close after their last request. */
  set(table: Table): void {
    const before = this.byKey;
    this.byKey = new Map();
    this.byVersion = new Map();
    for (const { version, endpoints } of table.versions) {
      const origins = endpoints.map((endpoint) => {
        const key = JSON.stringify([version, endpoint]);
        const origin = before.get(key) ?? new Origin(endpoint, this.config);
        this.byKey.set(key, origin);
        return origin;
      });
      this.byVersion.set(version, origins);
    }
    for (const [key, origin] of before) if (!this.byKey.has(key)) void origin.pool.close();
  }

  /**
   * The least loaded endpoint of a version; of equal ones, a random one. So a slow endpoint gets fewer requests, unlike
   * with a random choice by weight.
   * @param tried endpoints to leave out
   */
  pick(version: string, tried: ReadonlySet<Origin>): Origin | null {
    const now = performance.now();
    let best: Origin[] = [];
    let least = Number.POSITIVE_INFINITY;
    for (const origin of this.byVersion.get(version) ?? []) {
      if (tried.has(origin)) continue;
      const load = origin.load(now);
      if (load < least) [best, least] = [[origin], load];
      else if (load === least) best.push(origin);
    }
    return best[Math.floor(Math.random() * best.length)] ?? null;
  }

  /** Ends all connections. */
  async destroy(): Promise<void> {
    await Promise.all([...this.byKey.values()].map(({ pool }) => pool.destroy()));
  }
}
