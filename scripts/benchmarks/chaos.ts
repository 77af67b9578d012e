// chaos: agents, edge, proxy, bus and controller killed at random, under load and during deploys
//   --seconds N   for how long processes are killed, 20 to 3600; 180, or 40 with --quick
//   --seed N      draws the same faults as the run that printed it; a random one by default
//   --proxy KIND  haproxy (the default), varnish or builtin
// Examples:
//   ./scripts/bench chaos --quick
//   ./scripts/bench chaos --seconds 600 --json
//   ./scripts/bench chaos --seed 42 --proxy varnish

import { Users } from "../../test/support/users/users.ts";
import { accountFor } from "./support/chaos/account.ts";
import { untilConverged } from "./support/chaos/convergence.ts";
import { type ChaosFleet, proxyKinds, startFleet } from "./support/chaos/fleet.ts";
import { inflict } from "./support/chaos/inflict.ts";
import { wrongAnswers } from "./support/chaos/judge-answers.ts";
import { endedUnordered } from "./support/chaos/judge-ends.ts";
import { Operator } from "./support/chaos/operator.ts";
import { faultKinds, planFaults } from "./support/chaos/plan-faults.ts";
import { saveLogs } from "./support/chaos/save-logs.ts";
import { type Findings, summarize } from "./support/chaos/summary.ts";
import { WorkerWatch } from "./support/chaos/worker-watch.ts";
import { type OptionsOf, oneOf, wholeNumber } from "./support/options.ts";
import { temporaryDirectory } from "./support/processes.ts";
import { bench, type Run } from "./support/run.ts";

const HOSTS = 2;
const WORKERS = 4;
const LOAD = { client: "naive", slowEvery: 20 } as const;
const CROWD = { users: 80, requestsPerSecond: 160 };
/**
 * The builtin router accepts one connection per turn of its event loop. On a busy machine, those of a larger crowd
 * would wait for long.
 */
const SMALL_CROWD = { users: 20, requestsPerSecond: 40 };
const SETTLE_MS = 2_000;
const MAX_SEED = 2 ** 31 - 1;

const OPTIONS = { seed: wholeNumber(0, MAX_SEED), seconds: wholeNumber(20, 3_600), proxy: oneOf(...proxyKinds) };

await bench(
  "chaos",
  async (
    run,
    {
      seed = Math.floor(Math.random() * MAX_SEED),
      seconds = run.either(180, 40),
      proxy = "haproxy",
    }: OptionsOf<typeof OPTIONS>,
  ) => {
    run.say(`--seed ${seed} --seconds ${seconds} --proxy ${proxy}`);
    for (const [name, value] of Object.entries({ seed, chaos_seconds: seconds, proxy })) run.report.figure(name, value);
    const fleet = await startFleet(run, { hosts: HOSTS, workers: WORKERS, proxy });
    const findings = await wreak(run, fleet, { seed, seconds, proxy });
    summarize(run, findings);
    if (!run.report.met) run.say(`logs and findings: ${saveLogs(fleet, seed, findings)}`);
  },
  OPTIONS,
);

/** Has users there, deploys, and processes that are killed meanwhile; then lets the fleet come to rest. */
async function wreak(
  run: Run,
  fleet: ChaosFleet,
  { seed, seconds, proxy }: Required<OptionsOf<typeof OPTIONS>>,
): Promise<Findings> {
  const { hosts, edge, record } = fleet;
  run.say(`${hosts.length} hosts get their first two versions`);
  const operator = await Operator.start(run, fleet.nats.url, temporaryDirectory(run, "releases"));
  const crowd = proxy === "builtin" ? SMALL_CROWD : CROWD;
  const users = await Users.start({ ...LOAD, ...crowd, urls: [edge.url] });
  run.own(() => users.kill());
  const workers = new WorkerWatch(run, hosts);
  await run.sleep(SETTLE_MS);
  const kinds = faultKinds.filter((kind) => kind !== "proxy" || proxy !== "builtin");
  const plan = planFaults({ seed, ms: seconds * 1_000, hosts: hosts.map(({ name }) => name), kinds });
  run.say(`${plan.length} faults in ${seconds} s: ${plan.map(({ victim }) => victim).join(" ")}`);
  const outages = await inflict(run, fleet, operator, plan);
  run.say("all processes are back; the deploy under way comes to its end");
  await operator.finish();
  const convergence = await untilConverged(run, fleet);
  await run.sleep(SETTLE_MS);
  const report = await users.stop();
  const [lives, strays] = [await workers.stop(), await workers.strays()];
  const orders = record.orders.map(({ value: { host, slot, order }, ...rest }) => {
    const version = order.action === "install" ? order.release.version : null;
    return { ...rest, value: { host, slot, version } };
  });
  return {
    ...{ report, outages, convergence, lives, strays, attempts: operator.attempts },
    account: accountFor(report.seen.failures, outages, [proxy === "builtin" ? "edge" : "proxy"]),
    wrong: wrongAnswers(report.seen.wrong, record.routes, record.acks),
    ended: endedUnordered(lives, orders),
  };
}
