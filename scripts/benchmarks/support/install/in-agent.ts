import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Release } from "../../../../protocol/release.ts";
import type { Host } from "../../../../test/support/agent/host.ts";
import { until } from "../../../../test/support/until.ts";
import { LogTail } from "../log-tail.ts";
import { readIfThere, start } from "../processes.ts";
import type { Run } from "../run.ts";
import { install, startHost } from "../slot-host.ts";
import { round } from "../statistics.ts";
import type { LoopDelay } from "./loop-delay.ts";
import { type Latencies, SteadyLoad } from "./steady-load.ts";
import { emptyDirectory, settle, warm } from "./tree.ts";

const WORKERS = 4;
/** Of the two cores that this was made on, a tenth. */
const REQUESTS_PER_S = 200;

/** What was seen in each round. */
export interface InAgent {
  quiet: Latencies[];
  installing: Latencies[];
  tar: Latencies[];
  loop: Record<"quiet" | "installing" | "removing", LoopDelay[]>;
  installSeconds: number[];
  rssMb: { before: number; highest: number };
}

/**
 * Installs a release into one slot of a real host again and again, while the other slot serves; in turn with tar, which
 * does as it likes.
 */
export async function installInAgent(run: Run, directory: string, release: Release, rounds: number): Promise<InAgent> {
  const file = join(directory, "loop-delay.json");
  const module = new URL("./loop-delay.js", import.meta.url);
  module.searchParams.set("to", file);
  const settings = {
    app: { workers: WORKERS },
    readiness: { hold_ms: 0 },
    drain: { pause_ms: 10 },
    // What is uninstalled goes at once.
    releases: { keep: 0 },
  };
  const { host } = await startHost(run, settings, { nodeOptions: ["--import", module.href] });
  await install(host, "b", "serving");
  const log = new LogTail(host.logFile);
  run.own(() => log.close());
  const load = await SteadyLoad.start(run, host.url("b"), REQUESTS_PER_S);
  const loopDelay = () => takeLoopDelay(host, file);
  const seen: InAgent = {
    quiet: [],
    installing: [],
    tar: [],
    loop: { quiet: [], installing: [], removing: [] },
    installSeconds: [],
    rssMb: { before: highestRssMb(host.agentPid), highest: 0 },
  };

  const measureQuiet = async () => {
    settle();
    await load.take();
    await loopDelay();
    await run.sleep(run.either(5_000, 2_000));
    seen.loop.quiet.push(await loopDelay());
    seen.quiet.push(await load.take());
  };
  const measureInstall = async (version: string) => {
    warm(fileURLToPath(release.url));
    settle();
    await load.take();
    await loopDelay();
    const began = performance.now();
    // The same bytes under another name; without what would make it shorter.
    const id = await host.install("a", { ...release, version });
    await log.next((line) => line.slot === "a" && line.state === "starting", 120_000);
    seen.installSeconds.push((performance.now() - began) / 1000);
    seen.loop.installing.push(await loopDelay());
    seen.installing.push(await load.take());
    const { order, lastError } = await host.untilOrder("a", id);
    if (order?.outcome !== "done") throw new Error(`the install was ${order?.outcome}: ${JSON.stringify(lastError)}`);
    await measureRemoval(version);
  };
  const measureRemoval = async (version: string) => {
    await loopDelay();
    await host.untilOrder("a", await host.uninstall("a", version));
    const tree = join(host.state, "releases", version);
    await until("its files are gone", () => !existsSync(tree));
    seen.loop.removing.push(await loopDelay());
  };
  const measureTar = async () => {
    const cwd = emptyDirectory(join(directory, "beside"));
    settle();
    await load.take();
    const child = await start(run, "tar", ["-xzf", fileURLToPath(release.url)], { cwd, stdio: "inherit" });
    const [code] = await once(child, "close");
    run.signal.throwIfAborted();
    if (code !== 0) throw new Error(`tar ended with ${code}`);
    seen.tar.push(await load.take());
    rmSync(cwd, { recursive: true });
  };

  for (let number = 0; number < rounds; number++) {
    await measureQuiet();
    const one = () => measureInstall(`v${number}`);
    for (const measure of number % 2 === 0 ? [one, measureTar] : [measureTar, one]) await measure();
    const p99 = (of: Latencies[]) => `${round(of.at(-1)?.p99Ms ?? Number.NaN, 1)} ms`;
    run.say(
      `  ${number + 1}/${rounds}: p99 ${p99(seen.quiet)} quiet, ${p99(seen.installing)} with an install, ${p99(seen.tar)} with tar`,
    );
  }
  seen.rssMb.highest = highestRssMb(host.agentPid);
  return seen;
}

async function takeLoopDelay(host: Host, file: string): Promise<LoopDelay> {
  rmSync(file, { force: true });
  process.kill(host.agentPid, "SIGWINCH");
  const text = await until("the agent told the delay of its event loop", () => readIfThere(file), { everyMs: 2 });
  return JSON.parse(text) as LoopDelay;
}

/** VmHWM of /proc/PID/status: proc(5). */
function highestRssMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN) / 1024;
}
