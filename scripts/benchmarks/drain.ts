// drain: from the last connection to a free port, from an order to the first act, and what many connections cost
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { Kvm } from "@nats-io/kv";
import { listenerInode } from "../../agent/os/tcp-connections.ts";
import type { Order } from "../../protocol/order.ts";
import { buckets, keys } from "../../protocol/subjects.ts";
import type { Host } from "../../test/support/agent/host.ts";
import { until } from "../../test/support/until.ts";
import { releaseOfApp } from "./support/app.ts";
import { measureManyConnections } from "./support/drain/many-connections.ts";
import { LogTail } from "./support/log-tail.ts";
import { table } from "./support/report.ts";
import { bench, type Run } from "./support/run.ts";
import { startHost } from "./support/slot-host.ts";
import { percentile, round } from "./support/statistics.ts";

/** How the last connection ends: the client goes away in the middle of a stream, or the stream comes to its end. */
type Ending = "client" | "response";

interface Samples {
  /** Ms from the last connection's end to a free port. */
  free: Record<Ending, number[]>;
  /** Ms from an order's publication to the first act on it. */
  act: Record<Order["action"], number[]>;
}

await bench("drain", async (run) => {
  await run.scope(() => measureEnds(run));
  await measureManyConnections(run);
});

async function measureEnds(run: Run): Promise<void> {
  // Small and quick, so that there are many samples; what is measured waits for none of these.
  const { host } = await startHost(run, {
    app: { workers: 2 },
    health: { interval_ms: 1_000 },
    readiness: { hold_ms: 0 },
    drain: { pause_ms: 10 },
  });
  const samples: Samples = { free: { client: [], response: [] }, act: { install: [], uninstall: [] } };
  const publish = await publisher(host);
  const log = new LogTail(host.logFile);
  run.own(() => log.close());

  const cycles = run.either(120, 10);
  run.say(`${cycles} times: install, hold a streaming connection, uninstall, end the connection`);
  for (let number = 0; number < cycles; number++) {
    const ending = number % 2 === 0 ? "client" : "response";
    await cycle(run, host, number, ending, { publish, log, samples });
    if ((number + 1) % 10 === 0) run.say(`  ${number + 1}/${cycles}: ${latest(samples)}`);
  }
  summarize(run, samples);
}

interface Tools {
  publish: (slot: string, order: Record<string, unknown>) => Promise<string>;
  log: LogTail;
  samples: Samples;
}

async function cycle(run: Run, host: Host, number: number, ending: Ending, { publish, log, samples }: Tools) {
  const slot = number % 4 < 2 ? "a" : "b";
  const port = host.ports[slot] as number;
  const release = await releaseOfApp(host.archives, `v${number}`);

  const ordered = async (order: Record<string, unknown> & { action: Order["action"] }) => {
    const publishedMs = performance.timeOrigin + performance.now();
    const id = await publish(slot, order);
    const first = order.action === "install" ? "fetching" : "draining";
    const act = await log.next((line) => line.slot === slot && line.state === first);
    // The log's times have no fractions of a millisecond: the one that may be missing is counted.
    samples.act[order.action].push(act.atMs + 1 - publishedMs);
    return id;
  };

  await host.untilOrder(slot, await ordered({ action: "install", release }));
  await host.untilState(slot, "serving");
  const { response, closed } = await openStream(port, ending === "client" ? 60_000 : 700);
  const id = await ordered({ action: "uninstall", version: release.version });
  await until("only the connection is waited for", async () => {
    return (await host.slot(slot)).progress?.step === "waiting for requests";
  });
  // Somewhere between two of the agent's looks at the connections.
  await run.sleep(50 + Math.random() * 40);
  if (ending === "client") response.destroy();
  const endedMs = await closed;
  await until("the port is free", () => listenerInode("127.0.0.1", port) === null, { everyMs: 1 });
  samples.free[ending].push(performance.now() - endedMs);
  await host.untilOrder(slot, id);
  await host.untilState(slot, "empty");
}

/**
 * A connection with a response that goes on for a while; `closed` is when the connection had ended, as its client saw
 * it.
 */
async function openStream(port: number, ms: number): Promise<{ response: IncomingMessage; closed: Promise<number> }> {
  const call = request({ host: "127.0.0.1", port, path: `/stream?ms=${ms}`, agent: false });
  call.on("error", () => {});
  call.end();
  const [response] = (await once(call, "response")) as [IncomingMessage];
  const { socket } = response;
  const closed = new Promise<number>((resolve) => {
    socket.once("close", () => resolve(performance.now()));
  });
  response.on("error", () => {});
  response.resume();
  return { response, closed };
}

/** Puts orders into the bucket, with as little as possible between the caller's clock and the put. */
async function publisher(host: Host): Promise<Tools["publish"]> {
  const kv = await new Kvm(await host.bus()).open(buckets.orders);
  let orders = 0;
  return async (slot, order) => {
    orders++;
    const id = `bench-${orders}`;
    const whole = { id, epoch: orders, issuedBy: "bench", issuedAt: new Date().toISOString(), ...order };
    await kv.put(keys.order("web", host.name, slot), JSON.stringify(whole));
    return id;
  };
}

function latest({ free, act }: Samples): string {
  const last = (values: number[]) => `${round(values.at(-1) ?? Number.NaN, 1)} ms`;
  return `free port after ${last(free.client)} and ${last(free.response)}, first act after ${last(act.install)} and ${last(act.uninstall)}`;
}

function summarize(run: Run, { free, act }: Samples): void {
  const allFree = [...free.client, ...free.response];
  const allActs = [...act.install, ...act.uninstall];
  const rows = (
    [
      ["free_port", "last connection's end → free port", allFree],
      ["free_port_client", "  … the client ended it", free.client],
      ["free_port_response", "  … the response ended", free.response],
      ["first_act", "order's publication → first act", allActs],
      ["first_act_install", "  … of an install", act.install],
      ["first_act_uninstall", "  … of an uninstall", act.uninstall],
    ] as const
  ).map(([name, what, values]) => {
    const shares = [0.5, 0.9, 0.99, 1].map((share) => percentile(values, share));
    for (const [i, quantile] of ["p50", "p90", "p99", "max"].entries())
      run.report.figure(`${name}_${quantile}_ms`, shares[i] as number);
    return [what, String(values.length), ...shares.map((value) => `${round(value, 1)} ms`)];
  });
  run.say(`\n${table(["", "samples", "p50", "p90", "p99", "max"], rows)}`);
  run.report.figure("free_port_samples", allFree.length);
  run.report.figure("first_act_samples", allActs.length);
  run.report.target("last connection's end to a free port, p99 ms", percentile(allFree, 0.99), "<=", 100);
  run.report.target("order's publication to the first act, p99 ms", percentile(allActs, 0.99), "<=", 10);
}
