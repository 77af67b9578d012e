import { EventEmitter, once } from "node:events";
import type { Logger } from "pino";
import type { BusConnection } from "../../bus/connection.ts";
import { KeyFollower } from "../../bus/follow-keys.ts";
import { decode } from "../../protocol/decode.ts";
import { type EdgeStatus, edgeStatusSchema } from "../../protocol/routes.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { Acknowledgement, Mark } from "../drain/mark.ts";
import { EdgeLeases, type Found } from "./edge-leases.ts";

/** How often to check for leases that have ended. */
const LEASES_MS = 1_000;
/** How many edges' statuses are asked for at a time. */
const AT_ONCE = 32;

/**
 * The edges of a service, by what they report. A report is believed as it is heard, stored or not: it is the edge's own
 * word of what its proxy runs with. Malformed ones are ignored.
 */
export class EdgeWatch extends EventEmitter<{ change: [] }> {
  private readonly leases = new EdgeLeases();
  private readonly watch: KeyFollower;
  /** Keys whose last value was malformed, which was logged once. */
  private readonly malformed = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private looking = false;

  constructor(
    private readonly bus: BusConnection,
    private readonly service: string,
    private readonly log: Logger,
  ) {
    super();
    this.setMaxListeners(0);
    this.watch = new KeyFollower(bus, buckets.edges, keys.edge(service, "*"), this, log);
  }

  start(): void {
    this.bus.on("up", this.onUp);
    this.bus.on("down", this.onDown);
    this.watch.start();
    this.timer = setInterval(() => void this.lookAfterLeases(), LEASES_MS);
  }

  stop(): void {
    this.bus.off("up", this.onUp);
    this.bus.off("down", this.onDown);
    this.watch.stop();
    clearInterval(this.timer);
  }

  /** The edges with a live lease, by name; null until the bucket was read. */
  live(): EdgeStatus[] | null {
    return this.leases.known ? this.leases.live() : null;
  }

  /** Whether edges can be heard at all: the bus is up. */
  get reachable(): boolean {
    return this.bus.connected;
  }

  /** Reads the bucket again, within a time limit. Never rejects. */
  refresh(): Promise<void> {
    return this.watch.refresh();
  }

  /** Resolves when an edge may have changed; rejects when the signal is aborted. */
  async changed(signal: AbortSignal): Promise<void> {
    await once(this, "change", { signal });
  }

  /** An edge acknowledges a revision of the serverset bucket, which is what a mark is here. */
  hasApplied({ appliedServersets }: Acknowledgement, mark: Mark): boolean {
    return appliedServersets >= mark;
  }

  onPut(key: string, text: string | null): void {
    if (text === null) this.leases.forget(this.edgeOf(key));
    else {
      const status = this.parse(key, text);
      if (status) this.leases.hear(text, status, performance.now());
    }
    this.emit("change");
  }

  async read(): Promise<void> {
    const began = performance.now();
    const found = new Map<string, Found>();
    const present = await this.bus.keys(buckets.edges, keys.edge(this.service, "*"));
    for (let next = 0; next < present.length; next += AT_ONCE) {
      await Promise.all(
        present.slice(next, next + AT_ONCE).map(async (key) => {
          const text = (await this.bus.read(buckets.edges, key))?.text ?? null;
          if (text !== null) found.set(this.edgeOf(key), { text, status: this.parse(key, text) });
        }),
      );
    }
    this.leases.take(found, began, performance.now());
    this.emit("change");
  }

  private readonly onUp = (): void => {
    this.leases.renew(performance.now());
    this.emit("change");
  };

  private readonly onDown = (): void => {
    this.emit("change");
  };

  private async lookAfterLeases(): Promise<void> {
    if (this.looking || !this.leases.isOverdue(performance.now())) return;
    this.looking = true;
    await this.refresh();
    this.looking = false;
  }

  private edgeOf(key: string): string {
    return key.slice(key.indexOf(".") + 1);
  }

  /** The status; null if it is malformed, which is logged once until it changes. */
  private parse(key: string, text: string): EdgeStatus | null {
    const { status, fault } = parseStatus(key, text);
    if (fault === null) this.malformed.delete(key);
    else if (!this.malformed.has(key)) {
      this.malformed.add(key);
      this.log.warn({ key, fault }, "status of an edge is malformed; it is ignored");
    }
    return status;
  }
}

function parseStatus(key: string, text: string): { status: EdgeStatus; fault: null } | { status: null; fault: string } {
  const decoded = decode(edgeStatusSchema, text);
  if ("broken" in decoded) return { status: null, fault: decoded.broken };
  const { service, edge } = decoded.value;
  if (keys.edge(service, edge) !== key)
    return { status: null, fault: `must be of ${key}, not of ${keys.edge(service, edge)}` };
  return { status: decoded.value, fault: null };
}
