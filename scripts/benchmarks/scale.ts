// scale: a simulated fleet of 10, 100 and 1,000 hosts and 20 edges on one nats-server, deployed in waves of 10%

import { bench } from "./support/run.ts";
import { type Observed, observe } from "./support/scale/observe.ts";
import { SizedFleet } from "./support/scale/sized-fleet.ts";
import { summarize } from "./support/scale/summary.ts";

const EDGES = 20;
/** What every host takes from its order to its outcome: what is above that, and waves times that, is slotd's. */
const INSTALL_MS = 500;

await bench("scale", async (run) => {
  const sizes = run.quick ? [10, 50] : [10, 100, 1_000];
  const versions = run.quick ? ["C"] : ["C", "D", "E"];
  const idleMs = run.either(10_000, 5_000);
  run.say(`${EDGES} edges, one of them real; a host's install takes ${INSTALL_MS} ms; waves of 10%`);
  const all: Observed[] = [];
  for (const hosts of sizes) {
    await run.scope(async () => {
      const fleet = await SizedFleet.start(run, { hosts, edges: EDGES, installMs: INSTALL_MS });
      for (const version of ["A", "B"]) {
        await fleet.publish(version);
        await fleet.deploy(version, "100%");
      }
      const observed = await observe(run, fleet, { hosts, versions, idleMs });
      all.push(observed);
      const { seconds, controllerCpuMs, controllerPeakRssMb } = observed;
      run.say(
        `  ${hosts} hosts: ${seconds.toFixed(1)} s, the controller's CPU ${controllerCpuMs.toFixed(0)} ms, ` +
          `its memory ${controllerPeakRssMb.toFixed(0)} MB`,
      );
    });
  }
  run.report.figure("install_ms", INSTALL_MS);
  run.report.figure("edges", EDGES);
  summarize(run, all);
});
