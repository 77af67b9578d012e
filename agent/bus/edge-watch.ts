import { EventEmitter, once } from "node:events";
import type { Msg } from "@nats-io/transport-node";
import type { Logger } from "pino";
import type { Bus } from "../../bus/connection.ts";
import { BucketWatch } from "../../bus/follow-keys.ts";
import { type EdgeStatus, edgeStatusSchema } from "../../protocol/routes.ts";
import { buckets, keys, subjects } from "../../protocol/subjects.ts";
import { EdgeLeases, type Found } from "./edge-leases.ts";

/** How often leases that are over are looked after. */
const LEASES_MS = 1_000;

/**
 * The edges of a service, by what they report. A report is believed as it is heard, stored or not: it is the edge's own word of what its
 * proxy runs with. Malformed ones are ignored.
 */
export class EdgeWatch extends EventEmitter<{ change: [] }> {
  private readonly leases = new EdgeLeases();
  private readonly watch: BucketWatch;
  /** Keys of what was malformed when it was last looked at, and told. */
  private readonly malformed = new Set<string>();
  private timer: NodeJS.Timeout | undefined;
  private looking = false;

  constructor(
    private readonly bus: Bus,
    private readonly service: string,
    private readonly log: Logger,
  ) {
    super();
    this.setMaxListeners(0);
    this.watch = new BucketWatch(bus, buckets.edges, keys.edge(service, "*"), this, log);
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

  /** The edges with a live lease, by name; null while it could not be read yet who they are. */
  live(): EdgeStatus[] | null {
    return this.leases.known ? this.leases.live() : null;
  }

  /** Whether an edge could be heard. */
  get reachable(): boolean {
    return this.bus.connected;
  }

  /** Reads them anew, within a bound. Never rejects. */
  refresh(): Promise<void> {
    return this.watch.refresh();
  }

  /** Resolves when something about them may be new; rejects when the signal is given. */
  async changed(signal: AbortSignal): Promise<void> {
    await once(this, "change", { signal });
  }

  onPut(key: string, message: Msg): void {
    if (message.headers?.get("KV-Operation")) this.leases.forget(this.edgeOf(key));
    else {
      const text = message.string();
      const status = this.parse(key, text);
      if (status) this.leases.hear(text, status, performance.now());
    }
    this.emit("change");
  }

  async read(): Promise<void> {
    const began = performance.now();
    const kv = await this.bus.kv(buckets.edges);
    // The stream's own list of subjects: a listing of keys would need a consumer.
    const manager = await this.bus.jetstream.jetstreamManager(false);
    const filter = subjects.puts(buckets.edges, keys.edge(this.service, "*"));
    const { state } = await manager.streams.info(`KV_${buckets.edges}`, { subjects_filter: filter });
    const names = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(filter.length - 1));
    const entries = await Promise.all(names.map((name) => kv.get(keys.edge(this.service, name))));
    const found = new Map<string, Found>();
    for (const entry of entries) {
      if (entry?.operation !== "PUT") continue;
      const text = entry.string();
      found.set(this.edgeOf(entry.key), { text, status: this.parse(entry.key, text) });
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

  /** The status, or null, which is logged once for as long as it stays so. */
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
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { status: null, fault: "is not JSON" };
  }
  const parsed = edgeStatusSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { status: null, fault: `${issue?.path.join(".") || "(the whole status)"}: ${issue?.message}` };
  }
  const { service, edge } = parsed.data;
  if (keys.edge(service, edge) !== key) return { status: null, fault: `is of ${keys.edge(service, edge)}` };
  return { status: parsed.data, fault: null };
}
