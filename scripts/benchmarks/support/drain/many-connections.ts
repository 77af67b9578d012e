import { fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import type { Host } from "../../../../test/support/agent/host.ts";
import { until } from "../../../../test/support/until.ts";
import { cpuSecondsOf } from "../process-figures.ts";
import { end, readIfThere, temporaryDirectory } from "../processes.ts";
import { table } from "../report.ts";
import type { Run } from "../run.ts";
import { install, startHost } from "../slot-host.ts";
import { round } from "../statistics.ts";
import type { LoopDelay } from "./loop-delay.ts";

/** A process may have 20,000 files open on many machines. */
const PER_CLIENT = 12_500;
const PER_WORKER = 14_000;
/** Of both slots: each has four. */
const WORKERS = 8;

interface Cost extends LoopDelay {
  connections: number;
  cpuPercent: number;
  /** From the end of the last request to the end of the drain. */
  endMs: number;
}

/** What a drain costs the agent while it waits for one request beside many idle connections. */
export async function measureManyConnections(run: Run): Promise<void> {
  const costs: Cost[] = [];
  for (const connections of run.quick ? [0, 2_000] : [0, 9_000, 50_000])
    costs.push(await run.scope(() => measure(run, connections)));
  const rows = costs.map(({ connections, cpuPercent, p50, p99, max, endMs }) => {
    const name = `idle_${connections}`;
    run.report.figure(`${name}_cpu_percent`, cpuPercent);
    run.report.figure(`${name}_loop_delay_p50_ms`, p50);
    run.report.figure(`${name}_loop_delay_p99_ms`, p99);
    run.report.figure(`${name}_loop_delay_max_ms`, max);
    run.report.figure(`${name}_end_ms`, endMs);
    const ms = [p50, p99, max, endMs].map((value) => `${round(value, 1)} ms`);
    return [String(connections), `${round(cpuPercent, 1)} %`, ...ms];
  });
  const head = ["idle connections", "a core's share", "loop p50", "loop p99", "loop max", "request's end → drained"];
  run.say(`\n${table(head, rows)}`);
  const { connections, cpuPercent, p99 } = costs.at(-1) as Cost;
  run.report.target(`agent's share of a core, draining ${connections} idle connections, %`, cpuPercent, "<=", 10);
  run.report.target(`delay of its event loop then, p99 ms`, p99, "<=", 20);
}

async function measure(run: Run, connections: number): Promise<Cost> {
  const file = join(temporaryDirectory(run, "loop"), "delay.json");
  const module = new URL(`./loop-delay.js?file=${encodeURIComponent(file)}`, import.meta.url);
  const settings = {
    app: { workers: WORKERS, environment: { KEEP_ALIVE_MS: "0", MAX_CONNECTIONS: String(PER_WORKER) } },
    drain: { pause_ms: 10, timeout_ms: 600_000 },
  };
  const { host } = await startHost(run, settings, { nodeOptions: ["--import", module.href] });
  await install(host, "a", "v1");
  run.say(`opening ${connections} connections`);
  await openConnections(run, host, connections);

  const call = request(host.url("a", "/slow?ms=600000"), { agent: false });
  call.on("error", () => {});
  run.own(() => call.destroy());
  call.end();
  await host.untilSlot("a", "has the request", ({ connections: seen }) => seen?.inFlight === 1);
  await host.do("drain", "a");
  await host.untilSlot("a", "waits for it", ({ progress }) => progress?.step === "waiting for requests");
  await loopDelay(host, file);
  const [cpuSeconds, began] = [cpuSecondsOf(host.agentPid), performance.now()];
  await run.sleep(run.either(60_000, 3_000));
  const cpuPercent = (100_000 * (cpuSecondsOf(host.agentPid) - cpuSeconds)) / (performance.now() - began);
  const delay = await loopDelay(host, file);

  call.destroy();
  const ended = performance.now();
  const { lastDrain } = await host.untilSlot("a", "is drained", (slot) => slot.lastDrain !== null);
  const endMs = performance.now() - ended;
  if (lastDrain?.idle !== "idle" || lastDrain.idleConnections !== connections)
    throw new Error(`the drain ended otherwise: ${JSON.stringify(lastDrain)}`);
  const cost = { connections, cpuPercent, endMs, ...delay };
  run.say(`  ${round(cpuPercent, 1)} % of a core, loop p50 ${round(delay.p50, 1)}, p99 ${round(delay.p99, 1)} ms`);
  return cost;
}

/** Opens connections from several processes, each with an address of its own, and has one request answered on each. */
async function openConnections(run: Run, host: Host, count: number): Promise<void> {
  const opened: Promise<unknown>[] = [];
  for (let left = count, client = 2; left > 0; left -= PER_CLIENT, client++) {
    const args = [String(host.ports.a), String(Math.min(left, PER_CLIENT)), `127.0.0.${client}`];
    const child = fork(new URL("./clients-main.js", import.meta.url), args, {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    run.own(() => end(child));
    let words = "";
    child.stderr?.on("data", (text) => {
      words += text;
    });
    const failed = once(child, "exit").then(([code]) => {
      throw new Error(`a client ended with ${code}: ${words.slice(0, 2_000)}`);
    });
    failed.catch(() => {});
    opened.push(Promise.race([once(child, "message"), failed]));
  }
  await Promise.all(opened);
}

/** How long the agent's event loop was held up since the last time. */
async function loopDelay(host: Host, file: string): Promise<LoopDelay> {
  rmSync(file, { force: true });
  process.kill(host.agentPid, "SIGWINCH");
  return JSON.parse(await until("the agent has told its loop's delay", () => readIfThere(file))) as LoopDelay;
}
