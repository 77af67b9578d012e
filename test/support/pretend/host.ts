import type { HostStatus, SlotStatus } from "../../../protocol/host-status.ts";
import { toMember } from "../../../protocol/member.ts";
import { type Order, orderVersion } from "../../../protocol/order.ts";
import { buckets, keys } from "../../../protocol/subjects.ts";

/** How a host takes its orders. */
export interface Behaviour {
  /** From an order to its outcome. */
  installMs: number;
  /** Installs end with this error. */
  fails: { code: string; message: string } | null;
  /** This long after an install was done, the slot fails with CRASH_LOOP. */
  crashLoopAfterMs: number | null;
  /** The version that its slots really hold after an install. */
  lies: string | null;
  /** It neither reports nor hears. */
  absent: boolean;
}

export const wellBehaved: Behaviour = { installMs: 5, fails: null, crashLoopAfterMs: null, lies: null, absent: false };

export interface HostContext {
  service: string;
  stage: string;
  write(bucket: string, key: string, value: string | null): void;
  repeat(bucket: string, key: string, value: string): void;
  /** A version is about to be taken away. */
  onReplace(host: string, version: string): void;
}

const WORKERS = 2;

/** A host that pretends: real orders in, real statuses and members out, and no workers at all. */
export class PretendHost {
  behaviour: Behaviour;
  private readonly slots = new Map<string, SlotStatus>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly pending = new Map<string, () => void>();
  private readonly startedAt = new Date().toISOString();
  /** How many orders it acted on. */
  installs = 0;

  constructor(
    readonly name: string,
    private readonly context: HostContext,
    behaviour: Partial<Behaviour>,
    slots: readonly string[],
  ) {
    this.behaviour = { ...wellBehaved, ...behaviour };
    for (const [at, slot] of slots.entries()) this.slots.set(slot, emptySlot(slot, 8000 + at));
  }

  slot(name: string): SlotStatus | undefined {
    return this.slots.get(name);
  }

  /** The versions in its slots. */
  get versions(): (string | null)[] {
    return [...this.slots.values()].map(({ version }) => version);
  }

  take(slot: string, order: Order): void {
    const held = this.slots.get(slot);
    if (held === undefined || this.behaviour.absent || held.order?.id === order.id) return;
    if (order.epoch < held.epoch) {
      const message = `epoch ${order.epoch} is older than ${held.epoch}`;
      this.set(slot, { refused: { code: "STALE_EPOCH", message, orderId: order.id } });
      return;
    }
    clearTimeout(this.timers.get(slot));
    this.pending.delete(slot);
    const { id, epoch, action } = order;
    const version = orderVersion(order);
    this.set(slot, { epoch, order: { id, epoch, action, version, outcome: "pending" } });
    const isThere = action === "install" && held.version === version && held.state === "serving";
    if (isThere) this.end(slot, order);
    else this.after(slot, this.behaviour.installMs, () => this.act(slot, order));
  }

  report(): void {
    this.context.write(buckets.hosts, keys.host(this.context.service, this.name), JSON.stringify(this.status()));
  }

  /** What is said every few seconds, changed or not. */
  beat(): void {
    if (this.behaviour.absent) return;
    this.context.repeat(buckets.hosts, keys.host(this.context.service, this.name), JSON.stringify(this.status()));
    for (const slot of this.slots.values())
      if (slot.state === "serving")
        this.context.repeat(buckets.serversets, this.memberKey(slot.slot), this.member(slot));
  }

  /** Reports one last time, as of a while ago, and falls silent. */
  leave(silentMs = 60_000): void {
    this.behaviour = { ...this.behaviour, absent: true };
    const observedAt = new Date(Date.now() - silentMs).toISOString();
    const status = { ...this.status(), observedAt };
    this.context.write(buckets.hosts, keys.host(this.context.service, this.name), JSON.stringify(status));
  }

  stop(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.behaviour = { ...this.behaviour, absent: true };
  }

  status(): HostStatus {
    const { service, stage } = this.context;
    return {
      ...{ service, stage, host: this.name, agentVersion: "0.0.0", pid: 1, bootId: "boot", startedAt: this.startedAt },
      observedAt: new Date().toISOString(),
      bus: { connected: true, server: null, since: this.startedAt, error: null },
      ...{ controllers: null, load: null, warnings: [], lastError: null },
      slots: Object.fromEntries(this.slots),
    };
  }

  private act(slot: string, order: Order): void {
    const held = this.slots.get(slot);
    if (held === undefined) return;
    const { fails } = this.behaviour;
    if (order.action === "install" && fails) {
      this.set(slot, { order: { ...outcomeOf(order, "failed"), error: fails }, lastError: fails });
      return;
    }
    if (held.version !== null) {
      this.context.onReplace(this.name, held.version);
      this.context.write(buckets.serversets, this.memberKey(slot), this.member(held, "STOPPING"));
      this.context.write(buckets.serversets, this.memberKey(slot), null);
    }
    this.end(slot, order);
  }

  private end(slot: string, order: Order): void {
    this.installs++;
    const order_ = outcomeOf(order, "done");
    const since = new Date().toISOString();
    if (order.action === "uninstall") {
      this.set(slot, { ...nothing, state: "empty", since, order: order_ });
      return;
    }
    const { version, sha256 } = order.release;
    const workers = { wanted: WORKERS, alive: WORKERS, ready: WORKERS, restarts: 0 };
    const was = this.slots.get(slot);
    const age = was?.version === version && was.state === "serving" ? was.since : since;
    const held = { state: "serving" as const, since: age, version: this.behaviour.lies ?? version, sha256, workers };
    const connections = { open: 0, inFlight: 0 };
    const now = this.change(slot, { ...held, connections, order: order_, lastError: null });
    // The member is there before anybody hears of the outcome, as with a real agent.
    if (now) this.context.write(buckets.serversets, this.memberKey(slot), this.member(now));
    this.report();
    const { crashLoopAfterMs } = this.behaviour;
    if (crashLoopAfterMs !== null) this.after(slot, crashLoopAfterMs, () => this.crash(slot));
  }

  /** The slot's workers end again and again. */
  crash(slot: string): void {
    this.context.write(buckets.serversets, this.memberKey(slot), null);
    const lastError = { code: "CRASH_LOOP", message: "all workers ended 5 times within 60000 ms" };
    this.set(slot, { ...nothing, state: "failed", lastError });
  }

  private set(slot: string, change: Partial<SlotStatus>): void {
    this.change(slot, change);
    this.report();
  }

  private change(slot: string, change: Partial<SlotStatus>): SlotStatus | undefined {
    const held = this.slots.get(slot);
    const now = held && { ...held, ...change };
    if (now) this.slots.set(slot, now);
    return now;
  }

  private after(slot: string, ms: number, act: () => void): void {
    const now = () => {
      clearTimeout(this.timers.get(slot));
      this.pending.delete(slot);
      act();
    };
    this.pending.set(slot, now);
    this.timers.set(slot, setTimeout(now, ms));
  }

  /** Ends at once what it is at, and takes no time from now on. */
  hurry(): void {
    this.behaviour = { ...this.behaviour, installMs: 5 };
    for (const act of [...this.pending.values()]) act();
  }

  private memberKey(slot: string): string {
    return keys.member(this.context.service, this.context.stage, this.name, slot);
  }

  private member(slot: SlotStatus, status: "ALIVE" | "STOPPING" = "ALIVE"): string {
    const { service, stage } = this.context;
    const { version, sha256, epoch, port, workers } = slot;
    const about = {
      service,
      stage,
      host: this.name,
      slot: slot.slot,
      version: version ?? "none",
      sha256: sha256 ?? "",
    };
    const address = { host: "127.0.0.1", port };
    return JSON.stringify(
      toMember({ ...about, epoch, address, capacity: workers.ready, workers: workers.wanted, status }),
    );
  }
}

const nothing = {
  version: null,
  sha256: null,
  connections: null,
  workers: { wanted: 0, alive: 0, ready: 0, restarts: 0 },
};

function outcomeOf(order: Order, outcome: "done" | "failed") {
  return { id: order.id, epoch: order.epoch, action: order.action, version: orderVersion(order), outcome };
}

function emptySlot(slot: string, port: number): SlotStatus {
  const since = new Date().toISOString();
  return {
    ...{ slot, state: "empty", since, port, held: false, order: null, epoch: 0, progress: null, lastError: null },
    ...{ refused: null, lastDrain: null, lastEnd: null, socket: "none" },
    ...nothing,
  };
}
