import { openBucket } from "../../bus/buckets.ts";
import { type BusSession, connectBus, type SessionOptions } from "../../bus/session.ts";
import type { HostStatus, SlotStatus } from "../../protocol/host-status.ts";
import { type Order, orderVersion, parseOrder } from "../../protocol/order.ts";
import { buckets, keys } from "../../protocol/subjects.ts";

export function connectTo(url: string, options: Partial<SessionOptions> = {}): Promise<BusSession> {
  const signal = new AbortController().signal;
  return connectBus({ login: { servers: [url] }, timeoutMs: 5000, replicas: 1, signal, ...options });
}

/** A slot that nothing was ordered into. */
export function slotStatus(slot: string, over: Partial<SlotStatus> = {}): SlotStatus {
  return {
    slot,
    state: "empty",
    since: "2026-01-01T00:00:00.000Z",
    port: slot === "a" ? 8000 : 8001,
    version: null,
    sha256: null,
    workers: { wanted: 4, alive: 0, ready: 0, restarts: 0 },
    connections: null,
    held: false,
    order: null,
    epoch: 0,
    progress: null,
    lastError: null,
    refused: null,
    lastDrain: null,
    lastEnd: null,
    socket: "none",
    ...over,
  };
}

export function hostStatus(service: string, host: string, over: Partial<HostStatus> = {}): HostStatus {
  const now = new Date().toISOString();
  return {
    service,
    stage: "prod",
    host,
    agentVersion: "0.0.0",
    pid: 1,
    bootId: "boot",
    startedAt: now,
    observedAt: now,
    bus: { connected: true, server: null, since: now, error: null },
    controllers: null,
    load: null,
    slots: { a: slotStatus("a"), b: slotStatus("b") },
    warnings: [],
    lastError: null,
    ...over,
  };
}

export async function report(bus: BusSession, status: HostStatus): Promise<void> {
  const kv = await openBucket(bus, buckets.hosts);
  await kv.put(keys.host(status.service, status.host), JSON.stringify(status));
}

/** The order under a key, which must be a valid one. */
export async function orderFor(bus: BusSession, service: string, host: string, slot: string): Promise<Order> {
  const kv = await openBucket(bus, buckets.orders);
  const entry = await kv.get(keys.order(service, host, slot));
  if (entry === null) throw new Error(`no order for ${host} ${slot}`);
  return parseOrder(entry.string());
}

/** The next order that is put for a host's slot. */
export function nextOrder(bus: BusSession, service: string, host: string, slot: string): Promise<Order> {
  return new Promise((resolve, reject) => {
    bus.nc.subscribe(`$KV.${buckets.orders}.${keys.order(service, host, slot)}`, {
      max: 1,
      callback: (error, message) => (error ? reject(error) : resolve(parseOrder(message.string()))),
    });
  });
}

type Held = NonNullable<SlotStatus["order"]>;

/** A slot that holds an order with an outcome. */
export function withOrder(slot: string, order: Order, outcome: Held["outcome"], error?: Held["error"]): SlotStatus {
  const { id, epoch, action } = order;
  const version = orderVersion(order);
  const state = outcome === "done" ? "serving" : "starting";
  const held: Held = { id, epoch, action, version, outcome, ...(error && { error }) };
  return slotStatus(slot, { state, version, epoch, order: held });
}
