import { EventEmitter } from "node:events";
import type { Logger } from "pino";
import type { BusConnection } from "../../bus/connection.ts";
import { KeyFollower } from "../../bus/follow-keys.ts";
import { Throttle } from "../../daemon/throttle.ts";
import { decode } from "../../protocol/decode.ts";
import { type Routes, routesSchema } from "../../protocol/routes.ts";
import { buckets, keys } from "../../protocol/subjects.ts";

/** After a hint a replica may still answer with the value before. */
const LATE_MS = 1_000;
/** However many puts are heard, the routes are read this often at most. */
const GAP_MS = 100;

/**
 * The routes of a service. A put is only a hint, since the stream refuses one that another controller was faster than;
 * the key is read. Malformed routes are ignored: the last good ones stay in force.
 */
export class RoutesWatch extends EventEmitter<{ change: [] }> {
  /** Null if there are none, or none were read yet. */
  routes: Routes | null = null;
  private readonly watch: KeyFollower;
  private last: string | null = null;
  /** The last routes were malformed, which was logged once. */
  private malformed = false;
  private late: NodeJS.Timeout | undefined;
  private revision = 0;
  private readonly hinted = new Throttle(() => void this.refresh(), GAP_MS);

  constructor(
    private readonly bus: BusConnection,
    private readonly service: string,
    private readonly log: Logger,
  ) {
    super();
    this.watch = new KeyFollower(bus, buckets.routes, keys.routes(service), this, log);
  }

  start(): void {
    this.bus.on("up", this.onUp);
    this.watch.start();
  }

  stop(): void {
    this.bus.off("up", this.onUp);
    this.watch.stop();
    clearTimeout(this.late);
    this.hinted.stop();
  }

  /** Reads them again, within a time limit. Never rejects. */
  refresh(): Promise<void> {
    return this.watch.refresh();
  }

  onPut(): void {
    this.hinted.call();
    clearTimeout(this.late);
    this.late = setTimeout(() => void this.refresh(), LATE_MS);
  }

  async read(): Promise<void> {
    const entry = await this.bus.read(buckets.routes, keys.routes(this.service));
    // A replica may answer with the previous value, and reads may overtake each other.
    if (entry && entry.revision < this.revision) return;
    this.revision = entry?.revision ?? 0;
    const text = entry?.text ?? null;
    if (text === this.last) return;
    this.last = text;
    this.take(text);
  }

  private readonly onUp = (): void => {
    // The bucket may have been replaced, with revisions that start over.
    this.revision = 0;
  };

  private take(text: string | null): void {
    const decoded = text === null ? { value: null } : decode(routesSchema, text);
    if ("broken" in decoded) {
      if (!this.malformed) this.log.warn({ fault: decoded.broken }, "routes are malformed; they are ignored");
      this.malformed = true;
      return;
    }
    this.malformed = false;
    this.routes = decoded.value;
    this.emit("change");
  }
}
