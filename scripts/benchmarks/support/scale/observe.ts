import type { Run } from "../run.ts";
import { median } from "../statistics.ts";
import { less, type Traffic } from "./monitored-nats.ts";
import type { SizedFleet } from "./sized-fleet.ts";

/** What a fleet of one size took. */
export interface Observed {
  hosts: number;
  /** Of the command, from its start to its end; the deploy's steps alone. */
  seconds: number;
  slowestSeconds: number;
  stepSeconds: number;
  controllerCpuMs: number;
  controllerPeakRssMb: number;
  /** Through the server during a deploy, and the part of it that the controller sent or got. */
  traffic: Traffic;
  controllerTraffic: Traffic;
  /** Through the server in a second in which nothing happens. */
  idlePerSecond: Traffic;
  edgeCpuMs: number;
  edgeIdleCpuPercent: number;
  edgePeakRssMb: number;
  /** From a change of the serverset to its acknowledgement by the real edge. */
  applied: number[];
  violations: string[];
}

/** Lets a fleet be idle for a while, then deploys these versions to it, wave by wave; medians of the deploys. */
export async function observe(
  run: Run,
  fleet: SizedFleet,
  { hosts, versions, idleMs }: { hosts: number; versions: readonly string[]; idleMs: number },
): Promise<Observed> {
  const idle = await during(fleet, () => run.sleep(idleMs));
  const deploys: Awaited<ReturnType<typeof deploy>>[] = [];
  for (const version of versions) deploys.push(await deploy(fleet, version));
  const of = (pick: (deploy: (typeof deploys)[number]) => number) => median(deploys.map(pick));
  const traffic = (pick: (deploy: (typeof deploys)[number]) => Traffic): Traffic => ({
    inMessages: of((deploy) => pick(deploy).inMessages),
    outMessages: of((deploy) => pick(deploy).outMessages),
    inBytes: of((deploy) => pick(deploy).inBytes),
    outBytes: of((deploy) => pick(deploy).outBytes),
  });
  return {
    hosts,
    seconds: of(({ wallMs }) => wallMs / 1_000),
    slowestSeconds: Math.max(...deploys.map(({ wallMs }) => wallMs / 1_000)),
    stepSeconds: of(({ steps }) => steps.reduce((sum, { ms }) => sum + ms, 0) / 1_000),
    controllerCpuMs: of(({ cpuMs }) => cpuMs),
    controllerPeakRssMb: Math.max(...deploys.map(({ peakRssMb }) => peakRssMb)),
    traffic: traffic(({ traffic }) => traffic),
    controllerTraffic: traffic(({ own }) => own),
    idlePerSecond: perSecond(idle.traffic, idle.ms),
    edgeCpuMs: of(({ edgeCpuMs }) => edgeCpuMs),
    edgeIdleCpuPercent: (100 * idle.edgeCpuMs) / idle.ms,
    edgePeakRssMb: fleet.edgeUsage().peakRssMb,
    applied: deploys.flatMap(({ applied }) => applied),
    violations: await fleet.violations(),
  };
}

async function deploy(fleet: SizedFleet, version: string) {
  await fleet.publish(version);
  const fromMs = Date.now();
  const { result, ...taken } = await during(fleet, () => fleet.deploy(version, "10%"));
  const own = await fleet.nats.lastClosed("slotd-controller");
  await fleet.settled();
  return { ...result, ...taken, own, applied: fleet.registry.latencies(fromMs) };
}

async function during<T>(fleet: SizedFleet, act: () => Promise<T>) {
  const before = { traffic: await fleet.traffic(), edge: fleet.edgeUsage(), at: performance.now() };
  const result = await act();
  const ms = performance.now() - before.at;
  const edgeCpuMs = fleet.edgeUsage().cpuMs - before.edge.cpuMs;
  return { result, ms, edgeCpuMs, traffic: less(await fleet.traffic(), before.traffic) };
}

function perSecond({ inMessages, outMessages, inBytes, outBytes }: Traffic, ms: number): Traffic {
  const of = (count: number) => (1_000 * count) / ms;
  return { inMessages: of(inMessages), outMessages: of(outMessages), inBytes: of(inBytes), outBytes: of(outBytes) };
}
