import { readFileSync } from "node:fs";
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Objm } from "@nats-io/obj";
import {
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  TimeoutError,
} from "@nats-io/transport-node";
import { persist } from "../bus/retry.ts";
import { BusUnreachableError, redact } from "../protocol/errors.ts";
import { ArgumentError } from "./errors.ts";

export const defaultServer = "nats://127.0.0.1:4222";
export const defaultTimeoutMs = 5000;

export interface BusOptions {
  /** `nats://host:port`, `tls://host:port` or `host:port`; a user and password may stand before the host. */
  servers: readonly string[];
  /** A file with a user's JWT and seed. */
  credsFile?: string | undefined;
  /** Bounds connecting, and each request. */
  timeoutMs: number;
  /** Copies of what this command creates. */
  replicas: number;
  signal: AbortSignal;
}

/** A connection with JetStream behind it. */
export interface Bus {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly kvm: Kvm;
  readonly objm: Objm;
  readonly replicas: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Does it again where JetStream could not answer for a moment, as after the loss of a leader. */
  persist<T>(attempt: () => Promise<T>): Promise<T>;
  /** The same connection for work that another signal ends, and that may wait longer for JetStream. */
  under(signal: AbortSignal, patienceMs?: number): Bus;
  close(): Promise<void>;
}

/** @throws BusUnreachableError, ArgumentError */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { timeoutMs, replicas, signal } = options;
  const where = options.servers.map(redact).join(", ");
  const nc = await within(timeoutMs, connect(connectionOptions(options)), (late) => late.close()).catch((cause) => {
    throw new BusUnreachableError(where, reason(cause, timeoutMs), { cause });
  });
  try {
    const jsm = await jetstreamManager(nc, { timeout: timeoutMs });
    const js = jetstream(nc, { timeout: timeoutMs });
    const parts = { nc, js, jsm, replicas, timeoutMs, kvm: new Kvm(js), objm: new Objm(js), close: () => nc.close() };
    const under = (signal: AbortSignal, patienceMs?: number): Bus => ({
      ...parts,
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

function connectionOptions({ servers, credsFile, timeoutMs }: BusOptions): NodeConnectionOptions {
  const urls = servers.map(parseServer);
  const login = urls.find((url) => url.username !== "");
  return {
    servers: urls.map((url) => url.host),
    name: "slotd-controller",
    timeout: timeoutMs,
    // A command that waits for hosts outlives a restart of the bus.
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    ...(urls.some((url) => url.protocol === "tls:") && { tls: {} }),
    ...(login && loginOf(login)),
    ...(credsFile !== undefined && { authenticator: credsAuthenticator(readCreds(credsFile)) }),
  };
}

function parseServer(text: string): URL {
  const address = text.includes("://") ? text : `nats://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url && ["nats:", "tls:"].includes(url.protocol) && url.hostname !== "") return url;
  throw new ArgumentError("--nats", `must be a nats://HOST:PORT address, not ${JSON.stringify(redact(text))}`);
}

/** As nats-server reads an address: a user with a password, or else a token. */
function loginOf({ username, password }: URL): NodeConnectionOptions {
  const name = decodeURIComponent(username);
  return password === "" ? { token: name } : { user: name, pass: decodeURIComponent(password) };
}

function readCreds(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new ArgumentError("--creds", `can't be read: ${(cause as Error).message}`, { cause });
  }
}

function reason(error: unknown, timeoutMs: number): string {
  if (error instanceof TimeoutError) return `no answer within ${timeoutMs} ms`;
  return error instanceof Error && error.message !== "" ? error.message : "the connection was closed";
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
