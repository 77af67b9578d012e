import { type Event, eventSchema } from "../../../../protocol/event.ts";
import {
  type HostStatus,
  hostStatusSchema,
  type SlotStatus,
  slotStatusSchema,
  type WorkerStatus,
  workerStatusSchema,
} from "../../../../protocol/host-status.ts";

/** A time this many milliseconds ago, in wire format. */
export function ago(ms: number): string {
  return new Date(Date.now() - ms).toISOString();
}

const HOUR = 3_600_000;

/** A serving slot, with changes. Validated by the schema, like all values here. */
export function slot(over: Partial<SlotStatus> = {}): SlotStatus {
  return slotStatusSchema.parse({
    slot: "a",
    state: "serving",
    since: ago(3.2 * HOUR + 2_000),
    port: 8000,
    version: "1.4.2",
    sha256: "a".repeat(64),
    workers: { wanted: 2, alive: 2, ready: 2, restarts: 0 },
    connections: { open: 41, inFlight: 3 },
    held: false,
    order: { id: "order-1", epoch: 7, action: "install", version: "1.4.2", outcome: "done" },
    epoch: 7,
    progress: null,
    lastError: null,
    refused: null,
    lastDrain: null,
    lastEnd: null,
    socket: "opened",
    ...over,
  } satisfies SlotStatus);
}

export function host(slots: SlotStatus[], over: Partial<HostStatus> = {}): HostStatus {
  return hostStatusSchema.parse({
    service: "web",
    stage: "prod",
    host: "web1.example",
    agentVersion: "9.8.7",
    pid: 812,
    bootId: "0a0b",
    startedAt: ago(26 * HOUR),
    observedAt: ago(0),
    bus: { connected: true, server: "127.0.0.1:4222", since: ago(HOUR), error: null },
    controllers: null,
    load: null,
    slots: Object.fromEntries(slots.map((one) => [one.slot, one])),
    warnings: [],
    lastError: null,
    ...over,
  } satisfies HostStatus);
}

export function worker(over: Partial<WorkerStatus> = {}): WorkerStatus {
  return workerStatusSchema.parse({
    slot: "a",
    worker: 0,
    version: "1.4.2",
    pid: 4001,
    state: "ready",
    uptimeMs: 725_000,
    cpuPercent: 12.34,
    memoryBytes: 64 * 1024 ** 2,
    restarts: 0,
    says: null,
    output: "/var/log/slotd/a-0.log",
    ...over,
  } satisfies WorkerStatus);
}

export function event(message: string, over: Partial<Event> = {}): Event {
  return eventSchema.parse({
    at: ago(0),
    service: "web",
    host: "web1.example",
    slot: "a",
    kind: "state",
    message,
    ...over,
  } satisfies Event);
}
