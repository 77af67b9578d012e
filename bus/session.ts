import { EventEmitter } from "node:events";
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import { connect, type NatsConnection, TimeoutError } from "@nats-io/transport-node";
import { abortable, sharedAbort } from "../daemon/abortable.ts";
import { BusUnreachableError } from "../protocol/errors.ts";
import { redactAddress } from "./address.ts";
import type { FollowedBus } from "./follow-keys.ts";
import { listenToKeys } from "./listen.ts";
import { loginOptions } from "./login.ts";
import type { Login } from "./login-rules.ts";
import { reasonOf } from "./reason.ts";
import { persist } from "./retry.ts";

export const defaultTimeoutMs = 5000;
const RECONNECT_MS = 250;

export interface SessionOptions {
  login: Login;
  /** Bounds connecting, and each request. */
  timeoutMs: number;
  /** Copies of what this command creates. */
  replicas: number;
  signal: AbortSignal;
}

/**
 * What a command has of the bus: a connection with JetStream behind it, which is there from the start. A daemon, which
 * starts without the bus, has a `BusConnection`.
 */
export interface BusSession {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly kvm: Kvm;
  readonly objm: Objm;
  readonly replicas: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** The same connection, for whoever follows keys. */
  readonly followed: FollowedBus;
  /** Tries again where JetStream could not answer for a moment, as after the loss of a leader. */
  persist<T>(attempt: () => Promise<T>): Promise<T>;
  /** The same connection for work that another signal ends, and that may wait longer for JetStream. */
  under(signal: AbortSignal, patienceMs?: number): BusSession;
  close(): Promise<void>;
}

/** @throws BusUnreachableError */
export async function connectBus({ login, timeoutMs, replicas, signal }: SessionOptions): Promise<BusSession> {
  const where = login.servers.map(redactAddress).join(", ");
  const options = {
    ...loginOptions(login),
    name: "slotd-controller",
    timeout: timeoutMs,
    // A command that waits for hosts outlives a restart of the bus.
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_MS,
  };
  const nc = await within(timeoutMs, connect(options), (late) => late.close()).catch((cause) => {
    throw new BusUnreachableError(where, reason(cause, timeoutMs), { cause });
  });
  try {
    const jsm = await jetstreamManager(nc, { timeout: timeoutMs });
    const js = jetstream(nc, { timeout: timeoutMs });
    const parts = { nc, js, jsm, replicas, timeoutMs, kvm: new Kvm(js), objm: new Objm(js), close: () => nc.close() };
    const followed = new FollowedSession(nc);
    const under = (signal: AbortSignal, patienceMs?: number): BusSession => ({
      ...parts,
      followed,
      signal,
      persist: (attempt) => persist(attempt, { where, signal, ...(patienceMs !== undefined && { patienceMs }) }),
      under,
    });
    return under(signal);
  } catch (cause) {
    await nc.close();
    throw new BusUnreachableError(where, `JetStream: ${reason(cause, timeoutMs)}`, { cause });
  }
}

/** Tells followers when a session's connection is back. */
class FollowedSession extends EventEmitter<{ up: [] }> implements FollowedBus {
  connected = true;
  private lost = sharedAbort();

  constructor(private readonly nc: NatsConnection) {
    super();
    this.setMaxListeners(0);
    void this.run();
  }

  listen(...[bucket, filter, listener]: Parameters<FollowedBus["listen"]>): () => void {
    return listenToKeys(this.nc, bucket, filter, listener);
  }

  whileUp<T>(promise: Promise<T>): Promise<T> {
    return abortable(promise, this.lost.signal);
  }

  private async run(): Promise<void> {
    for await (const { type } of this.nc.status()) {
      if (type === "disconnect") {
        this.connected = false;
        this.lost.abort(new Error("the connection was lost"));
      } else if (type === "reconnect") {
        this.connected = true;
        this.lost = sharedAbort();
        this.emit("up");
      }
    }
  }
}

function reason(error: unknown, timeoutMs: number): string {
  return error instanceof TimeoutError ? `no answer within ${timeoutMs} ms` : reasonOf(error);
}

/** Of several servers each has a time of its own; this bounds them together. */
async function within<T>(ms: number, work: Promise<T>, discard: (late: T) => unknown): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const bound = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      work.then(discard, () => {});
      reject(new TimeoutError());
    }, ms);
  });
  try {
    return await Promise.race([work, bound]);
  } finally {
    clearTimeout(timer);
  }
}
