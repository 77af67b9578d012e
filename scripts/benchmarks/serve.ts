// serve: what a slot serves, against the same workers without an agent, PM2 cluster mode, and nginx
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { countsOf } from "./support/app.ts";
import { startBareWorkers } from "./support/bare-workers.ts";
import { startNginx } from "./support/nginx.ts";
import { Pm2 } from "./support/pm2.ts";
import { temporaryDirectory } from "./support/processes.ts";
import { table } from "./support/report.ts";
import { bench, type Run } from "./support/run.ts";
import { install, startHost } from "./support/slot-host.ts";
import { median, percentile, round, unevenness } from "./support/statistics.ts";
import { type WrkOptions, type WrkResult, wrk } from "./support/wrk.ts";

interface Subject {
  name: string;
  port: number;
  /** The workers' pids, and where they write their counts. */
  workers: number[];
  counts: string;
}

interface Round extends WrkResult {
  /** The busiest worker's requests against the mean of all workers. */
  unevenness: number;
}

type Rounds = Map<string, Round[]>;

const MANY = 32;

await bench("serve", async (run) => {
  await run.scope(() => twoWorkers(run));
  await run.scope(() => manyWorkers(run));
  await run.scope(() => oneWorkerGone(run));
});

/** Two workers, keep-alive: what does the agent cost, and what do others? */
async function twoWorkers(run: Run): Promise<void> {
  run.say("2 workers, 32 keep-alive connections");
  const bare = await bareSubject(run, "bare", 2, "shared");
  const subjects = [
    await slotSubject(run, 2),
    bare,
    await pm2Subject(run, 2),
    { ...bare, name: "nginx", port: await startNginx(run, bare.port) },
  ];
  const rounds = await measure(run, subjects, run.either(21, 3), { connections: 32, seconds: run.either(2, 1) });
  summarize(run, "keepalive_2", rounds);
  run.report.target("slot ÷ bare workers, requests/s", ratio(rounds, "slot", "bare"), ">=", 0.99);
  run.report.target("slot ÷ PM2 cluster, requests/s", ratio(rounds, "slot", "pm2"), ">", 1);
  run.report.target("slot ÷ nginx, requests/s", ratio(rounds, "slot", "nginx"), ">", 1);
}

/** Many workers: how well does the kernel spread connections over them? */
async function manyWorkers(run: Run): Promise<void> {
  const subjects = [
    await slotSubject(run, MANY),
    await bareSubject(run, "one-each", MANY, "one-each"),
    await pm2Subject(run, MANY),
  ];
  const seconds = run.either(3, 1);
  const count = run.either(7, 2);
  for (const [what, options] of [
    [`close_${MANY}`, { connections: 64, seconds, close: true }],
    [`keepalive_${MANY}`, { connections: 64, seconds }],
  ] as const) {
    run.say(`\n${MANY} workers, 64 connections, ${"close" in options ? "a new one for each request" : "keep-alive"}`);
    const rounds = await measure(run, subjects, count, options);
    summarize(run, what, rounds);
    run.report.figure(`${what}_one-each_vs_slot_rps`, ratio(rounds, "one-each", "slot"));
    run.report.figure(`${what}_slot_vs_pm2_rps`, ratio(rounds, "slot", "pm2"));
  }
  await spread(run, subjects);
}

/**
 * How connections that come one by one, and stay, are spread over the workers: without load, so that cores don't
 * matter.
 */
async function spread(run: Run, subjects: Subject[]): Promise<void> {
  const connections = run.either(320, 64);
  run.say(`\n${MANY} workers, ${connections} keep-alive connections opened one after the other, one request on each`);
  const rows: string[][] = [];
  for (const { name, port, workers, counts } of subjects) {
    const found: number[] = [];
    for (let number = 0; number < run.either(5, 2); number++) {
      const before = await countsOf(workers, counts);
      const held: Socket[] = [];
      for (let opened = 0; opened < connections; opened++) {
        const socket = connect(port, "127.0.0.1");
        held.push(socket);
        socket.write("GET / HTTP/1.1\r\nhost: bench\r\n\r\n");
        await once(socket, "data", { signal: AbortSignal.timeout(5_000) });
      }
      const after = await countsOf(workers, counts);
      for (const socket of held) socket.destroy();
      found.push(unevenness(after.map((count, i) => count - (before[i] as number))));
    }
    run.report.figure(`spread_${MANY}_${name}_max_over_mean`, median(found));
    rows.push([name, String(round(median(found)))]);
  }
  run.say(table(["subject", "max ÷ mean"], rows));
}

/** One of the workers is away for a moment: who waits for it? */
async function oneWorkerGone(run: Run): Promise<void> {
  const tries = run.either(400, 100);
  run.say(`\n8 workers, one of them stopped: ${tries} new connections, each with one request`);
  const rows: string[][] = [];
  for (const sockets of ["shared", "one-each"] as const) {
    const { port, children } = await startBareWorkers(run, 8, sockets);
    await run.sleep(500);
    children[3]?.kill("SIGSTOP");
    let unanswered = 0;
    for (let begun = 0; begun < tries; begun += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => isAnswered(port, 1_000)));
      unanswered += answers.filter((answered) => !answered).length;
    }
    children[3]?.kill("SIGCONT");
    run.report.figure(`one_stopped_${sockets}_unanswered_percent`, (100 * unanswered) / tries);
    rows.push([sockets, String(unanswered)]);
  }
  run.say(table(["sockets", "not answered in 1 s"], rows));
}

async function slotSubject(run: Run, workers: number): Promise<Subject> {
  const counts = temporaryDirectory(run, "counts");
  const { host } = await startHost(run, { app: { workers: workers * 2, environment: { COUNTS_DIRECTORY: counts } } });
  await install(host, "a", "v1");
  return { name: "slot", port: host.ports.a as number, workers: await host.pids("a"), counts };
}

async function bareSubject(run: Run, name: string, workers: number, sockets: "shared" | "one-each"): Promise<Subject> {
  const { port, children, counts } = await startBareWorkers(run, workers, sockets);
  return { name, port, workers: children.map(({ pid }) => pid as number), counts };
}

async function pm2Subject(run: Run, instances: number): Promise<Subject> {
  const pm2 = await Pm2.start(run, { instances, mode: "cluster" });
  return { name: "pm2", port: pm2.port, workers: pm2.pids(), counts: pm2.counts };
}

/** Rounds in which all subjects are measured one after the other, each round beginning with another one. */
async function measure(run: Run, subjects: Subject[], count: number, options: WrkOptions): Promise<Rounds> {
  for (const { port } of subjects) await wrk(run, `http://127.0.0.1:${port}/`, { ...options, seconds: 1 });
  const rounds: Rounds = new Map(subjects.map(({ name }) => [name, []]));
  for (let number = 0; number < count; number++) {
    for (const [i] of subjects.entries()) {
      const subject = subjects[(i + number) % subjects.length] as Subject;
      rounds.get(subject.name)?.push(await measureOne(run, subject, options));
    }
    const done = [...rounds].map(([name, results]) => `${name} ${Math.round(results.at(-1)?.requestsPerSecond ?? 0)}`);
    run.say(`  round ${number + 1}/${count}: ${done.join(", ")} requests/s`);
  }
  return rounds;
}

async function measureOne(run: Run, { port, workers, counts }: Subject, options: WrkOptions): Promise<Round> {
  const before = await countsOf(workers, counts);
  const result = await wrk(run, `http://127.0.0.1:${port}/`, options);
  const after = await countsOf(workers, counts);
  return { ...result, unevenness: unevenness(after.map((count, i) => count - (before[i] as number))) };
}

function summarize(run: Run, what: string, rounds: Rounds): void {
  const rows = [...rounds].map(([name, results]) => {
    const of = (key: keyof Round) => median(results.map((result) => result[key]));
    const rates = results.map((result) => result.requestsPerSecond);
    run.report.figure(`${what}_${name}_rps`, of("requestsPerSecond"));
    run.report.figure(`${what}_${name}_p99_ms`, of("p99Ms"));
    run.report.figure(`${what}_${name}_max_over_mean`, of("unevenness"));
    run.report.figure(
      `${what}_${name}_errors`,
      results.reduce((sum, { errors }) => sum + errors, 0),
    );
    return [
      name,
      String(Math.round(of("requestsPerSecond"))),
      `${Math.round(percentile(rates, 0.1))}–${Math.round(percentile(rates, 0.9))}`,
      String(round(of("p50Ms"))),
      String(round(of("p99Ms"))),
      String(round(of("unevenness"))),
      String(results.reduce((sum, { errors }) => sum + errors, 0)),
    ];
  });
  run.say(table(["subject", "requests/s", "p10–p90", "p50 ms", "p99 ms", "max ÷ mean", "errors"], rows));
}

/** The median of the rounds' ratios: what is measured at nearly the same moment is disturbed alike. */
function ratio(rounds: Rounds, one: string, other: string): number {
  const others = rounds.get(other) ?? [];
  return median(
    (rounds.get(one) ?? []).map((result, i) => result.requestsPerSecond / (others[i]?.requestsPerSecond ?? Number.NaN)),
  );
}

async function isAnswered(port: number, withinMs: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    socket.write("GET / HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
    await once(socket, "data", { signal: AbortSignal.timeout(withinMs) });
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
