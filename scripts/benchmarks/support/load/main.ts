import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";
import { buckets } from "../../../../protocol/subjects.ts";
import type { FromLoad, LoadOptions, ToLoad } from "./load.ts";
import { type Backend, type Backends, backend, MemberTable } from "./table.ts";
import { type ConnectionKind, connectionKinds, type Method, type PhaseResult, Tally } from "./tally.ts";

/** One request in so many takes longer, so that some are always under way when a version is taken away. */
const SLOW_EVERY = 50;
const SLOW_MS = 200;
const REQUEST_TIMEOUT_MS = 10_000;
const BODY = Buffer.alloc(2_000, "x");

const options = JSON.parse(process.argv[2] as string) as LoadOptions;
const backends = await findBackends();
const tallies = new Map<string, Tally>();
let phase = "warm-up";
let stopped = false;

process.on("message", (message: ToLoad) => {
  if (message.kind === "phase") phase = message.name;
  else stopped = true;
});
// Nothing is left to do for whom it is done.
process.on("disconnect", () => process.exit(1));
tell({ kind: "ready" });

const streams = connectionKinds.flatMap((connection) =>
  (["GET", "POST"] as const).flatMap((method) =>
    Array.from({ length: options.concurrency / 4 }, () => stream(connection, method)),
  ),
);
await Promise.all(streams);
const phases: Record<string, PhaseResult> = {};
for (const [name, tally] of tallies) phases[name] = tally.result();
tell({ kind: "result", phases }, () => process.exit(0));

function tell(message: FromLoad, sent: () => void = () => {}): void {
  process.send?.(message, sent);
}

async function findBackends(): Promise<Backends> {
  if ("port" in options) {
    const only = backend("127.0.0.1", options.port, null);
    return { pick: () => only };
  }
  const table = new MemberTable();
  const nc = await connect({ servers: options.nats });
  const kv = await new Kvm(nc).open(buckets.serversets);
  const watch = await kv.watch({ key: options.key });
  void (async () => {
    for await (const entry of watch) table.update(entry.key, entry.operation === "PUT" ? entry.json() : null);
  })();
  while (table.size === 0) await sleep(10);
  return table;
}

/** One client that sends a request, waits for the answer and a moment more, and so on. Nothing is tried twice. */
async function stream(connection: ConnectionKind, method: Method): Promise<void> {
  await sleep(Math.random() * options.pauseMs);
  for (let number = 1; !stopped; number++) {
    const slow = method === "GET" && number % SLOW_EVERY === 0;
    const during = phase;
    const began = performance.now();
    const to = backends.pick();
    const failure = to ? await send(to, connection, method, slow) : "no member is ALIVE";
    const latencyMs = slow ? null : performance.now() - began;
    tallyOf(during).add({ connection, method, latencyMs, failure });
    await sleep(options.pauseMs * (0.5 + Math.random()));
  }
}

function tallyOf(name: string): Tally {
  const tally = tallies.get(name) ?? new Tally();
  tallies.set(name, tally);
  return tally;
}

/** Returns why it failed, or null. */
function send(to: Backend, connection: ConnectionKind, method: Method, slow: boolean): Promise<string | null> {
  return new Promise((resolve) => {
    const { host, port } = to;
    const path = slow ? `/slow?ms=${SLOW_MS}` : "/";
    const headers = method === "POST" ? { "content-length": BODY.length } : {};
    const outgoing = request({ host, port, path, method, headers, agent: to[connection] }, (response) => {
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
      });
      response.once("error", (error) => resolve(`answer broke off: ${(error as NodeJS.ErrnoException).code}`));
      response.once("end", () => resolve(judge(to, response.statusCode ?? 0, response.headers["x-app-version"], size)));
    });
    outgoing.setTimeout(REQUEST_TIMEOUT_MS, () => outgoing.destroy(new Error("timeout")));
    outgoing.once("error", (error: NodeJS.ErrnoException) =>
      resolve(`${error.code ?? error.message} on a ${outgoing.reusedSocket ? "kept" : "new"} connection`),
    );
    outgoing.end(method === "POST" ? BODY : undefined);
  });
}

function judge(to: Backend, status: number, version: unknown, size: number): string | null {
  if (status !== 200) return `status ${status}`;
  if (to.version !== null && version !== to.version) return `answered by another version than the member said`;
  return size > 0 ? null : "empty answer";
}
