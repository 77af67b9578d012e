// footprint: memory and CPU of the idle agent with 64 workers, beside PM2's daemon with 64 of the same app
import { Pm2 } from "./support/pm2.ts";
import { cpuSecondsOf, type Memory, memoryOf } from "./support/process-figures.ts";
import { table } from "./support/report.ts";
import { bench, type Run } from "./support/run.ts";
import { delegatedNode, install, startHost } from "./support/slot-host.ts";
import { mean, median, round } from "./support/statistics.ts";

interface Subject {
  name: string;
  pid: number;
  workers: number[];
}

interface Window extends Memory {
  cpuPercent: number;
  /** Per worker, on average. */
  workerPssMb: number;
  workerRssMb: number;
}

await bench("footprint", async (run) => {
  const workers = run.either(64, 8);
  const node = delegatedNode(run);
  run.say(
    `${workers} workers each, the agent's ${node ? "in control groups of their own" : "without control groups"}: starting`,
  );
  const { host } = await startHost(run, { app: { workers } }, node ? { node } : {});
  await install(host, "a", "v1");
  await install(host, "b", "v2");
  const pm2 = await Pm2.start(run, { instances: workers, mode: "fork" });
  const subjects: Subject[] = [
    { name: "agent", pid: host.agentPid, workers: [...(await host.pids("a")), ...(await host.pids("b"))] },
    { name: "pm2", pid: pm2.daemonPid, workers: pm2.pids() },
  ];
  for (const { name, workers: pids } of subjects)
    if (pids.length !== workers) throw new Error(`${name} has ${pids.length} workers instead of ${workers}`);

  const settleMs = run.either(45_000, 2_000);
  run.say(`settling for ${settleMs / 1000} s`);
  await run.sleep(settleMs);

  // Both idle side by side, so that each window is the same time for both.
  const windows = new Map<string, Window[]>(subjects.map(({ name }) => [name, []]));
  const count = run.either(5, 2);
  const windowMs = run.either(36_000, 3_000);
  const firstCpu = subjects.map(({ pid }) => cpuSecondsOf(pid));
  const firstMs = performance.now();
  for (let number = 0; number < count; number++) {
    for (const [i, window] of (await observe(run, subjects, windowMs)).entries())
      windows.get((subjects[i] as Subject).name)?.push(window);
    const now = [...windows].map(([name, seen]) => {
      const last = seen.at(-1) as Window;
      return `${name} ${round(last.rssMb, 1)} MB, ${round(last.cpuPercent, 3)} %`;
    });
    run.say(`  window ${number + 1}/${count} of ${windowMs / 1000} s: ${now.join("; ")}`);
  }
  const whole = subjects.map(({ pid }, i) => {
    const used = cpuSecondsOf(pid) - (firstCpu[i] as number);
    return (100_000 * used) / (performance.now() - firstMs);
  });
  summarize(run, windows, whole);
});

async function observe(run: Run, subjects: Subject[], windowMs: number): Promise<Window[]> {
  const began = performance.now();
  const before = subjects.map(({ pid }) => cpuSecondsOf(pid));
  await run.sleep(windowMs);
  return subjects.map(({ pid, workers }, i) => {
    const used = cpuSecondsOf(pid) - (before[i] as number);
    const memories = workers.map(memoryOf);
    return {
      ...memoryOf(pid),
      cpuPercent: (100_000 * used) / (performance.now() - began),
      workerPssMb: mean(memories.map(({ pssMb }) => pssMb)),
      workerRssMb: mean(memories.map(({ rssMb }) => rssMb)),
    };
  });
}

function summarize(run: Run, windows: Map<string, Window[]>, whole: number[]): void {
  const medians = new Map<string, Window>();
  const rows = [...windows].map(([name, seen], i) => {
    const of = (key: keyof Window) => median(seen.map((window) => window[key]));
    const all = {
      rssMb: of("rssMb"),
      pssMb: of("pssMb"),
      cpuPercent: of("cpuPercent"),
      workerPssMb: of("workerPssMb"),
      workerRssMb: of("workerRssMb"),
    };
    medians.set(name, all);
    run.report.figure(`${name}_rss_mb`, all.rssMb);
    run.report.figure(`${name}_pss_mb`, all.pssMb);
    run.report.figure(`${name}_cpu_percent`, all.cpuPercent);
    run.report.figure(`${name}_cpu_percent_whole_run`, whole[i] as number);
    run.report.figure(`${name}_per_worker_rss_mb`, all.workerRssMb);
    run.report.figure(`${name}_per_worker_pss_mb`, all.workerPssMb);
    return [
      name,
      `${round(all.rssMb, 1)} MB`,
      `${round(all.pssMb, 1)} MB`,
      `${round(all.cpuPercent, 3)} %`,
      `${round(whole[i] as number, 3)} %`,
      `${round(all.workerRssMb, 1)} MB`,
      `${round(all.workerPssMb, 1)} MB`,
    ];
  });
  run.say(`\n${table(["", "RSS", "PSS", "CPU", "CPU, whole run", "a worker's RSS", "a worker's PSS"], rows)}`);
  const agent = medians.get("agent") as Window;
  const pm2 = medians.get("pm2") as Window;
  run.report.target("agent's RSS ÷ PM2's", agent.rssMb / pm2.rssMb, "<", 1);
  run.report.target("agent's CPU, percent of a core", agent.cpuPercent, "<", 0.2);
}
